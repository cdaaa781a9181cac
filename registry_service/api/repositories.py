"""The door to repositories and their tags (protocol §3.9)."""

from __future__ import annotations

from flask import Flask, Response, request

from common import http
from common.errors import Invalid
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access
from registry_service.api import asking
from registry_service.graph import agents
from registry_service.services import Registry

_ROOT = "/v1/repositories/<path:repository>"


class RepositoryDoor:
    """Every view names a repository, and the token must be for that one."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def install(self, app: Flask) -> None:
        for method, path, view in (
            ("GET", "/tags", self.get_tags),
            ("DELETE", "/tags", self.delete_repository),
            ("GET", "/tags/<tag>", self.get_tag),
            ("PUT", "/tags/<tag>", self.put_tag),
            ("DELETE", "/tags/<tag>", self.delete_tag),
            ("GET", "/tags/<tag>/json", self.get_tag_json),
            ("GET", "/json", self.get_json),
            ("GET", "/properties", self.get_properties),
            ("PUT", "/properties", self.put_properties),
            ("DELETE", "/", self.delete_repository),
        ):
            app.add_url_rule(_ROOT + path, f"repository_{view.__name__}", view, methods=[method])
            if method == "GET":
                app.add_url_rule(f"{_ROOT}{path}/", f"repository_{view.__name__}", view, methods=[method])

    def get_tags(self, repository: str) -> Response:
        name, _ = self._admit(repository, Access.READ)
        return http.reply(self._registry.tags.all(name))

    def get_tag(self, repository: str, tag: str) -> Response:
        name, _ = self._admit(repository, Access.READ)
        return http.reply(self._registry.tags.get(name, Tag(tag)))

    def put_tag(self, repository: str, tag: str) -> Response:
        name, credentials = self._admit(repository, Access.WRITE)
        image = _tagged_image(http.read_json(request))
        self._registry.gate.require_readable(credentials, image)
        agent = agents.parse(request.headers.get("User-Agent", ""))
        self._registry.set_tag(
            name.require_creatable(), Tag(tag).require_creatable(), image, agent, credentials.authorization or ""
        )
        return http.reply(True)

    def delete_tag(self, repository: str, tag: str) -> Response:
        name, credentials = self._admit(repository, Access.DELETE)
        self._registry.delete_tag(name, Tag(tag), credentials.authorization or "")
        return http.reply(True)

    def get_tag_json(self, repository: str, tag: str) -> Response:
        name, _ = self._admit(repository, Access.READ)
        return http.reply(self._registry.tags.description(name, Tag(tag)))

    def get_json(self, repository: str) -> Response:
        name, _ = self._admit(repository, Access.READ)
        return http.reply(self._registry.tags.description(name, None))

    def get_properties(self, repository: str) -> Response:
        name, _ = self._admit(repository, Access.READ)
        private = self._registry.repositories.is_private(name)
        return http.reply({"access": "private" if private else "public"})

    def put_properties(self, repository: str) -> Response:
        name, _ = self._admit(repository, Access.WRITE)
        self._registry.repositories.set_private(name, _is_private(http.read_json(request)))
        return http.reply(True)

    def delete_repository(self, repository: str) -> Response:
        name, credentials = self._admit(repository, Access.DELETE)
        self._registry.repositories.require(name)
        self._registry.gate.consume_delete(credentials, name)
        self._registry.repositories.delete(name)
        return http.reply(True)

    def _admit(self, repository: str, access: Access) -> tuple[RepositoryName, asking.Credentials]:
        name = RepositoryName.parse(repository)
        credentials = asking.admit(self._registry.gate, access, name)
        if access is not Access.READ:
            self._registry.require_writable(name)
        return name, credentials


def _tagged_image(body: object) -> ImageId:
    if not isinstance(body, str) or not body:
        raise Invalid("Invalid data")
    return ImageId(body)


def _is_private(body: object) -> bool:
    if not isinstance(body, dict) or body.get("access") not in ("private", "public"):
        raise Invalid("Invalid data")
    return bool(body["access"] == "private")
