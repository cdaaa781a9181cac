"""The index's routes where there is no index: every caller is welcome, and tokens are decoration (protocol §1.1, §2).

Daemons cannot push or pull without somebody answering these, so a registry that stands alone does.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from flask import Flask, Response, request

from common import headers, http
from common.errors import Invalid
from common.names import ImageId, RepositoryName
from common.tokens import Access, Token
from registry_service.api import asking
from registry_service.services import Registry

_ALPHABET = string.ascii_uppercase + string.digits
_ROOT = "/v1/repositories/<path:repository>"
_PAGE = 100


class StandaloneDoor:
    def __init__(self, registry: Registry, endpoints: tuple[str, ...]) -> None:
        self._registry = registry
        self._repositories = registry.repositories
        self._endpoints = endpoints

    def install(self, app: Flask) -> None:
        for method, path, view in (
            ("GET", "/v1/users", self.get_users),
            ("POST", "/v1/users", self.post_users),
            ("PUT", "/v1/users/<username>", self.put_user),
            ("PUT", f"{_ROOT}/", self.put_repository),
            ("GET", f"{_ROOT}/images", self.get_images),
            ("PUT", f"{_ROOT}/images", self.put_images),
            ("DELETE", f"{_ROOT}/images", self.delete_images),
            ("PUT", f"{_ROOT}/auth", self.put_auth),
            ("GET", "/v1/search", self.search),
        ):
            app.add_url_rule(path, f"standalone_{view.__name__}", view, methods=[method])

    def get_users(self) -> Response:
        return http.reply("OK")

    def post_users(self) -> Response:
        http.read_json(request)
        return http.reply("User Created", 201)

    def put_user(self, username: str) -> Response:
        return Response(status=204)

    def put_repository(self, repository: str) -> Response:
        name = self._writable(repository)
        self._repositories.add_images(name, _entries(http.read_json(request)))
        response = self._announce(http.reply(""), name, Access.WRITE)
        response.headers.add("Set-Cookie", f"{asking.PUSH_COOKIE}={secrets.token_hex(8)}; Path=/v1/; HttpOnly")
        return response

    def get_images(self, repository: str) -> Response:
        name = RepositoryName.parse(repository)
        return self._announce(http.reply(self._repositories.images(name)), name, Access.READ)

    def put_images(self, repository: str) -> Response:
        name = self._writable(repository)
        self._repositories.add_images(name, _entries(http.read_json(request)))
        return self._announce(Response(status=204), name, Access.WRITE)

    def delete_images(self, repository: str) -> Response:
        RepositoryName.parse(repository)
        return Response(status=204)

    def put_auth(self, repository: str) -> Response:
        RepositoryName.parse(repository)
        return http.reply("OK")

    def search(self) -> Response:
        term, page = request.args.get("q", ""), http.positive(request.args.get("page"), 1)
        size = min(http.positive(request.args.get("n"), 25), _PAGE)
        found = self._repositories.search(term)
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

    def _writable(self, repository: str) -> RepositoryName:
        name = RepositoryName.parse(repository).require_creatable()
        self._registry.require_writable(name)
        return name

    def _announce(self, response: Response, name: RepositoryName, access: Access) -> Response:
        """What daemons wait for before they go on: a token, and where the registry is."""
        signature = "".join(secrets.choice(_ALPHABET) for _ in range(16))
        token = str(Token(signature, name, access))
        response.headers[headers.TOKEN] = token
        response.headers["WWW-Authenticate"] = f"Token {token}"
        # One line each: daemons up to 0.10 take a line for one endpoint, later ones split lines at commas too.
        for endpoint in self._endpoints or (request.host,):
            response.headers.add(headers.ENDPOINTS, endpoint)
        return response


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
