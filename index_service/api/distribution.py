"""`/v2/` at the index: who a client is, which repositories there are, and the way to the registry that has one.

Images themselves are read at registries. A client that follows the redirect there takes no Authorization along to
another port, so the address has the token.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlencode

from flask import Blueprint, Response, current_app, request

from common import http
from common.distribution import (
    PREFIX,
    TOKEN_PARAMETER,
    NameUnknown,
    TokenRequired,
    is_below,
    next_page,
    page_size,
    parse_name,
    parse_path,
    pull_scope,
)
from common.errors import Invalid, Unauthenticated, Unavailable
from common.names import RepositoryName
from common.tokens import bearer, read_bearer_header
from index_service.api.protocol_request import client_address, credential, user_agent
from index_service.current import services
from index_service.services.credentials import Credential, Login
from index_service.services.distribution import Distribution, IssuedTokens

MAX_FORM_BYTES = 64 * 1024

SCOPES_AT_ONCE = 8
"""How many repositories are looked at of those that one request for a token names."""

CATALOGUE_SCOPE = "registry:catalog:*"
PAGE, MAX_PAGE = 100, 1000

views = Blueprint("distribution", __name__)


def send_to_v1() -> Response | None:
    """Daemons that are served by v1 find nothing here."""
    return http.send_to_v1(request.environ) if is_below(request.path) else None


@views.get("")
@views.get("/")
def get_base() -> Response:
    """200 for whoever has a token, else where to get one: a client learns it only here."""
    tokens = read_bearer_header(request.headers.get("Authorization"))
    try:
        _distribution().identify(tokens or [])
    except Unauthenticated as error:
        raise _token_required() from error
    return http.reply({})


@views.get("/token")
def get_token() -> Response:
    """A token, by Basic or for nobody: for what may be read of the `scope`, or for nothing."""
    return _issue(credential(), request.args.getlist("scope"))


@views.post("/token")
def post_token() -> Response:
    """The same with name and password in a form, as containerd sends them. Nobody has a refresh token."""
    form = parse_qs(http.read_body(request, MAX_FORM_BYTES).decode("utf-8", "replace"))
    kind = _first(form, "grant_type")
    if kind == "refresh_token":
        raise Unauthenticated("Refresh tokens are not supported")
    if kind != "password":
        raise Invalid("grant_type is not password")
    login = Login(_first(form, "username"), _first(form, "password"), client_address(), user_agent())
    return _issue(login, form.get("scope", []))


@views.get("/_catalog")
def get_catalogue() -> Response:
    """The repositories that the bearer of a token may read."""
    tokens = read_bearer_header(request.headers.get("Authorization"))
    size = page_size(request.args.get("n"), PAGE, MAX_PAGE)
    last = request.args.get("last")
    try:
        names = _distribution().names(tokens or [], size + 1, parse_name(last) if last else None)
    except Unauthenticated as error:
        raise _token_required(CATALOGUE_SCOPE) from error
    return http.reply(
        {"repositories": [str(name) for name in names[:size]]}, extra=next_page(f"{PREFIX}/_catalog", names, size)
    )


@views.get("/<path:path>")
def redirect(path: str) -> Response:
    """307 to the registry that has the repository, for a token that opens it."""
    parsed = parse_path(path)
    if parsed is None:
        raise NameUnknown("There is nothing here")
    name = parse_name(parsed[0])
    if TOKEN_PARAMETER in request.args:
        # A proxy has brought the client back that we sent to a registry.
        raise Unavailable("The proxy in front sends /v2/ to the index where it has to send it to the registry")
    tokens = read_bearer_header(request.headers.get("Authorization"))
    try:
        place = _distribution().locate(tokens or [], name)
    except Unauthenticated as error:
        raise _token_required(pull_scope(parsed[0])) from error
    query = [*request.args.items(multi=True), (TOKEN_PARAMETER, bearer([place.token]))]
    location = f"{request.scheme}://{place.endpoint}{PREFIX}/{quote(path, safe='/:@+,;=!$')}?{urlencode(query)}"
    response = http.reply(None, 307, {"Location": location})
    response.set_data(b"")
    return response


def _distribution() -> Distribution:
    return services().distribution


def _issue(credential: Credential, scopes: list[str]) -> Response:
    wanted = dict(list(_repositories(scopes))[:SCOPES_AT_ONCE])
    is_pull = all(actions == {"pull"} for actions in wanted.values())
    issued = _distribution().issue(credential, client_address(), user_agent(), read=list(wanted), is_pull=is_pull)
    return http.reply(_described(issued))


def _described(issued: IssuedTokens) -> dict[str, str | int]:
    word = bearer(issued.tokens)
    issued_at = issued.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"token": word, "access_token": word, "expires_in": issued.seconds, "issued_at": issued_at}


def _repositories(scopes: list[str]) -> Iterator[tuple[RepositoryName, set[str]]]:
    """The repositories that scopes such as `repository:acme/app:pull,push` name, and what for.

    Anything else, and what is no name, opens nothing.
    """
    for scope in " ".join(scopes).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind.partition("(")[0] == "repository" and name:
            try:
                yield RepositoryName.parse(name), set(actions.split(","))
            except Invalid:
                continue


def _token_required(scope: str = "") -> TokenRequired:
    had_token = bool(scope) and read_bearer_header(request.headers.get("Authorization")) is not None
    return http.token_required(request.environ, current_app.config["ORIGIN"], scope, had_token=had_token)


def _first(form: dict[str, list[str]], name: str) -> str:
    return form.get(name, [""])[0]
