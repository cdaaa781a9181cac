"""Repositories and their tags (protocol §3.9). Every view requires a token for the repository it names."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common import agents, http
from common.errors import Invalid
from common.names import ImageId, RepositoryName, Tag
from common.properties import read_properties, write_properties
from common.tokens import Access
from registry_service.api import request_context
from registry_service.api.request_context import registry
from registry_service.grants import Credentials

views = Blueprint("repositories", __name__)


@views.get("/repositories/<repository_of:repository>/tags")
@views.get("/repositories/<repository_of:repository>/tags/")
def get_tags(repository: str) -> Response:
    name, _ = _admit(repository, Access.READ)
    return http.reply(registry().tags.all(name))


@views.get("/repositories/<path:repository>/tags/<tag>")
@views.get("/repositories/<path:repository>/tags/<tag>/")
def get_tag(repository: str, tag: str) -> Response:
    name, _ = _admit(repository, Access.READ)
    return http.reply(registry().tags.get(name, Tag(tag)))


@views.put("/repositories/<path:repository>/tags/<tag>")
def put_tag(repository: str, tag: str) -> Response:
    name, credentials = _admit(repository, Access.WRITE)
    image = _tagged_image(http.read_json(request))
    request_context.conclude(credentials, image)
    image = registry().gate.usable(credentials, image)
    agent = agents.parse(request.headers.get("User-Agent", ""))
    registry().require_creatable(name, Tag(tag))
    registry().set_tag(credentials, name, Tag(tag), image, agent)
    return http.reply(True)


@views.delete("/repositories/<path:repository>/tags/<tag>")
def delete_tag(repository: str, tag: str) -> Response:
    name, credentials = _admit(repository, Access.DELETE)
    agent = agents.parse(request.headers.get("User-Agent", ""))
    registry().delete_tag(credentials, name, Tag(tag), agent)
    return http.reply(True)


@views.get("/repositories/<path:repository>/tags/<tag>/json")
@views.get("/repositories/<path:repository>/tags/<tag>/json/")
def get_tag_json(repository: str, tag: str) -> Response:
    name, _ = _admit(repository, Access.READ)
    return http.reply(registry().tags.description(name, Tag(tag)))


@views.get("/repositories/<repository_of:repository>/json")
@views.get("/repositories/<repository_of:repository>/json/")
def get_json(repository: str) -> Response:
    name, _ = _admit(repository, Access.READ)
    return http.reply(registry().tags.description(name, None))


@views.get("/repositories/<repository_of:repository>/properties")
@views.get("/repositories/<repository_of:repository>/properties/")
def get_properties(repository: str) -> Response:
    name, credentials = _admit(repository, Access.READ)
    private = registry().gate.is_private(credentials, name)
    if private is None:
        private = registry().repositories.is_private(name)
    return http.reply(write_properties(is_private=private))


@views.put("/repositories/<repository_of:repository>/properties")
def put_properties(repository: str) -> Response:
    name, credentials = _admit(repository, Access.WRITE)
    private = read_properties(http.read_json(request))
    if not registry().gate.set_private(credentials, name, private):
        registry().repositories.set_private(name, private)
    return http.reply(True)


@views.delete("/repositories/<repository_of:repository>/tags")
@views.delete("/repositories/<path:repository>/")
def delete_repository(repository: str) -> Response:
    name, credentials = _admit(repository, Access.DELETE)
    registry().repositories.require(name)
    registry().gate.consume_delete(credentials, name)
    registry().repositories.delete(name)
    return http.reply(True)


def _admit(repository: str, access: Access) -> tuple[RepositoryName, Credentials]:
    name = RepositoryName.parse(repository)
    credentials = request_context.admit(access, name)
    if access is not Access.READ:
        registry().require_writable(name)
    return name, credentials


def _tagged_image(body: object) -> ImageId:
    if not isinstance(body, str) or not body:
        raise Invalid("Invalid data")
    return ImageId(body)
