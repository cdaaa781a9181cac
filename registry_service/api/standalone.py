"""The index's routes of a standalone registry: no authentication, and tokens that nobody checks (protocol §1.1, §2).

Daemons cannot push or pull without these routes, so a registry without an index serves them itself.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from flask import Blueprint, Response, current_app, request

from common import headers, http
from common.errors import Invalid
from common.names import ImageId, RepositoryName
from common.tokens import Access, Token
from registry_service.api import request_context
from registry_service.api.request_context import registry

_ALPHABET = string.ascii_uppercase + string.digits
_PAGE = 100


views = Blueprint("standalone", __name__)


@views.get("/users")
def get_users() -> Response:
    return http.reply("OK")


@views.post("/users")
def post_users() -> Response:
    http.read_json(request)
    return http.reply("User Created", 201)


@views.put("/users/<username>")
def put_user(**_: str) -> Response:
    return Response(status=204)


@views.put("/repositories/<path:repository>/")
def put_repository(repository: str) -> Response:
    name = _writable(repository)
    registry().repositories.add_images(name, _entries(http.read_json(request)))
    response = _announce(http.reply(""), name, Access.WRITE)
    cookie = request_context.cookie_header(request.environ, request_context.PUSH_COOKIE, secrets.token_hex(8))
    response.headers.add(*cookie)
    return response


@views.get("/repositories/<repository_of:repository>/images")
def get_images(repository: str) -> Response:
    name = RepositoryName.parse(repository)
    return _announce(http.reply(registry().repositories.images(name)), name, Access.READ)


@views.put("/repositories/<repository_of:repository>/images")
def put_images(repository: str) -> Response:
    name = _writable(repository)
    registry().repositories.add_images(name, _entries(http.read_json(request)))
    return _announce(Response(status=204), name, Access.WRITE)


@views.delete("/repositories/<repository_of:repository>/images")
def delete_images(repository: str) -> Response:
    RepositoryName.parse(repository)
    return Response(status=204)


@views.put("/repositories/<path:repository>/auth")
def put_auth(repository: str) -> Response:
    RepositoryName.parse(repository)
    return http.reply("OK")


@views.get("/search")
def search() -> Response:
    """Without `n` and `page`, all that match: what lists a registry's repositories this way reads one answer."""
    term, page = request.args.get("q", ""), http.positive(request.args.get("page"), 1)
    found = registry().repositories.search(term)
    is_paged = request.args.get("n") or request.args.get("page")
    size = min(http.positive(request.args.get("n"), 25), _PAGE) if is_paged else max(len(found), 1)
    shown = found[(page - 1) * size :][:size]
    return http.reply(
        {
            "query": term,
            "num_results": len(found),
            "num_pages": -(-len(found) // size),
            "page": page,
            "page_size": size,
            "results": [_result(name) for name in shown],
        }
    )


def _writable(repository: str) -> RepositoryName:
    name = RepositoryName.parse(repository)
    registry().require_creatable(name)
    registry().require_writable(name)
    return name


def _announce(response: Response, name: RepositoryName, access: Access) -> Response:
    """Add the headers that daemons need to go on: a token, and the registry's endpoints."""
    signature = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    token = str(Token(signature, name, access))
    response.headers[headers.TOKEN] = token
    response.headers["WWW-Authenticate"] = f"Token {token}"
    # One line each: daemons up to 0.10 take a line for one endpoint, later ones split lines at commas too.
    for endpoint in current_app.config["ENDPOINTS"] or (_requested_host(),):
        response.headers.add(headers.ENDPOINTS, endpoint)
    return response


def _requested_host() -> str:
    """Raises Invalid: a daemon aborts a push or pull without an endpoint (protocol §0.4)."""
    host = http.request_host()
    if host is None:
        raise Invalid("Invalid Host header: it has to name the registry, as host or host:port")
    return host


def _entries(body: Any) -> list[dict[str, str]]:
    """The image list of a push, ids checked (protocol §1.7)."""
    if not isinstance(body, list) or not all(isinstance(entry, dict) for entry in body):
        raise Invalid("Invalid data")
    return [{**entry, "id": _listed_id(entry)} for entry in body]


def _listed_id(entry: dict[str, Any]) -> str:
    if not isinstance(entry.get("id"), str):
        raise Invalid("Invalid data: each image needs an id")
    return ImageId(entry["id"])


def _result(name: RepositoryName) -> dict[str, Any]:
    """One search result, with every field a client of any age reads (protocol §2.6)."""
    return {
        "name": str(name),
        "description": "",
        "star_count": 0,
        "is_official": False,
        "is_automated": False,
        "is_trusted": False,
    }
