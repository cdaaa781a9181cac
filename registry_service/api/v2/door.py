"""The door `/v2/`: WSGI middleware before Flask, since a pull of today's clients is all reading.

The token comes with the request as a Bearer, or in the query where the index has sent the client on: clients take no
Authorization along to another port. Tokens of other repositories, and those that permit more than reading, are not
looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import MethodNotAllowed

from common import distribution, http, request_record
from common.distribution import IMAGES, PREFIX, TOKEN_PARAMETER, NameUnknown
from common.errors import Unauthenticated
from common.names import RepositoryName
from common.tokens import Access, Token, authorization, read_bearer, read_bearer_header
from registry_service.api.delivery import Answer
from registry_service.api.v2 import facts, lists
from registry_service.api.v2.contents import Contents, parse_digest
from registry_service.api.without_flask import respond
from registry_service.grants import Credentials
from registry_service.services import Registry

_READING = ("GET", "HEAD")
_ROUTES = {part: f"/v2/<name>/{part}/<reference>" for part in ("manifests", "blobs", "tags", "referrers", IMAGES)}


class Door:
    """Answers everything below `/v2/`, and passes all else on to the application behind."""

    def __init__(self, registry: Registry, contents: Contents, behind: WSGIApplication, index_url: str) -> None:
        """`index_url` is where clients reach the index, empty if by the host that they name."""
        self._registry = registry
        self._contents = contents
        self._behind = behind
        self._index_url = index_url

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not distribution.is_below(environ["PATH_INFO"]):
            return self._behind(environ, start_response)
        http.begin(environ)
        refusal = http.send_to_v1(environ)
        if refusal is not None:
            return refusal(environ, start_response)
        return respond(environ, start_response, self._answer)

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        if environ["REQUEST_METHOD"] not in _READING:
            raise MethodNotAllowed(_READING)
        path = environ["PATH_INFO"].removeprefix(PREFIX).removeprefix("/")
        record = request_record.of(environ)
        if not path:
            record.route = "/v2/"
            return self._base(environ)
        if path == "_catalog":
            record.route = "/v2/_catalog"
            return lists.catalogue(environ, self._registry)
        parsed = distribution.parse_path(path)
        if parsed is None:
            raise NameUnknown("There is nothing here")
        record.route = _ROUTES[parsed[1]]
        return self._read(environ, *parsed)

    def _base(self, environ: WSGIEnvironment) -> Answer:
        """200 for whoever has a token, whatever it opens, else where to get one: clients that log in have none else."""
        with self._challenging(environ):
            self._registry.gate.identify(Credentials(authorization(_tokens(environ))))
        return lists.base(environ)

    def _read(self, environ: WSGIEnvironment, asked: str, part: str, reference: str) -> Answer:
        name = distribution.parse_name(asked)
        with self._challenging(environ, asked):
            credentials = self._admit(environ, self._tokens_for(environ, name))
            if part == "manifests":
                return self._contents.manifest(environ, credentials, name, reference)
            if part == "blobs":
                return self._contents.blob(environ, credentials, name, reference)
            if part == IMAGES:
                return facts.facts(environ, self._registry, credentials, reference)
            if part == "referrers":
                parse_digest(reference)
                return lists.referrers(environ)
            if reference != "list":
                raise NameUnknown("There is nothing here")
            return lists.tags(environ, self._registry, name, asked)

    def _tokens_for(self, environ: WSGIEnvironment, name: RepositoryName) -> list[Token]:
        if self._registry.gate.is_open:
            # Nobody checks it: it says to a mirror whose source has the images.
            return [Token("v2", name, Access.READ)]
        return [each for each in _tokens(environ) if each.repository == name and each.access is Access.READ]

    def _admit(self, environ: WSGIEnvironment, tokens: Sequence[Token]) -> Credentials:
        """Raises Unauthenticated. What is sent to whoever has a token is for nobody else, also where the query had it:
        the request is from here on as if its header had."""
        if self._registry.gate.is_open:
            return Credentials(authorization(tokens))
        environ["HTTP_AUTHORIZATION"] = authorization(tokens)
        credentials = Credentials(environ["HTTP_AUTHORIZATION"])
        self._registry.gate.admit(credentials, Access.READ)
        return credentials

    @contextmanager
    def _challenging(self, environ: WSGIEnvironment, asked: str | None = None) -> Iterator[None]:
        """Raises TokenRequired in place of Unauthenticated. `asked` is the repository's name as sent."""
        had_token = asked is not None and _has_token(environ)
        try:
            yield
        except Unauthenticated as error:
            scope = distribution.pull_scope(asked) if asked else ""
            raise http.token_required(environ, self._index_url, scope, had_token=had_token) from error


def _tokens(environ: WSGIEnvironment) -> list[Token]:
    """Those of the header first."""
    sent = read_bearer_header(environ.get("HTTP_AUTHORIZATION")) or []
    return [*sent, *read_bearer(lists.parameters(environ).get(TOKEN_PARAMETER, ""))]


def _has_token(environ: WSGIEnvironment) -> bool:
    is_sent = read_bearer_header(environ.get("HTTP_AUTHORIZATION")) is not None
    return is_sent or TOKEN_PARAMETER in lists.parameters(environ)
