"""Repositories and their image lists: a daemon's requests around a push or pull, and a registry's (§2.3 to §2.8)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from common import headers
from common.errors import Invalid, NotFound
from common.http import read_json, reply
from common.names import ImageId, RepositoryName, Tag
from common.properties import read_properties, write_properties
from index_service.api.protocol_request import asks_token, client_address, credential, protocol
from index_service.api.protocol_response import issued_headers, reply_empty
from index_service.current import services
from index_service.repositories.image_list import parse_image_list

views = Blueprint("repositories", __name__)


@views.put("/repositories/<itself:repository>")
@views.put("/repositories/<itself:repository>/")
def put_repository(repository: str) -> Response:
    """Start of a push: 200 with a write token and the registry to push to."""
    name, entries = RepositoryName.parse(repository), parse_image_list(read_json(request))
    issued = protocol().announce_push(credential(), name, entries)
    return reply("", extra=issued_headers(issued))


@views.delete("/repositories/<itself:repository>")
@views.delete("/repositories/<itself:repository>/")
def delete_repository(repository: str) -> Response:
    """202 with a delete token to take to the registry; 200 when the registry has done it."""
    issued = protocol().delete_repository(credential(), RepositoryName.parse(repository))
    return reply("") if issued is None else reply("", 202, issued_headers(issued))


@views.get("/repositories/<repository_of:repository>/images")
@views.get("/repositories/<repository_of:repository>/images/")
def get_images(repository: str) -> Response:
    """The image list; with a token if the client requests one, without if a registry checks one."""
    name = RepositoryName.parse(repository)
    listing = protocol().read_listing(credential(), name, asks_token=asks_token(), store=_store())
    return reply(listing.images, extra=None if listing.issued is None else issued_headers(listing.issued))


@views.put("/repositories/<repository_of:repository>/images")
def put_images(repository: str) -> Response:
    """End of a push: 204."""
    name, entries = RepositoryName.parse(repository), parse_image_list(read_json(request))
    protocol().conclude_push(credential(), name, entries)
    return reply_empty()


@views.delete("/repositories/<repository_of:repository>/images")
def delete_images(repository: str) -> Response:
    """204 and no effect, as docker-registry answered: a list only grows."""
    protocol().require_writable(credential(), RepositoryName.parse(repository))
    return reply_empty()


@views.put("/repositories/<path:repository>/auth")
def put_auth(repository: str) -> Response:
    """A registry checks a token; this consumes a delete token."""
    protocol().authorize(credential(), RepositoryName.parse(repository))
    return reply("OK")


@views.get("/repositories/<path:repository>/layer/<image_id>/access")
@views.get("/repositories/<path:repository>/layer/<image_id>/access/")
def get_layer_access(repository: str, image_id: str) -> Response:
    """A registry checks whether the repository, or a public one, holds an image."""
    name, image = RepositoryName.parse(repository), ImageId(image_id)
    return reply({"access": protocol().has_access(credential(), name, image, store=_store())})


@views.get("/repositories/<repository_of:repository>/tags")
@views.get("/repositories/<repository_of:repository>/tags/")
def get_tags(repository: str) -> Response:
    """Image ids by tag. Daemons ask the registry; programs with a password ask here, as they asked the Hub."""
    return reply(protocol().tags(credential(), RepositoryName.parse(repository)))


@views.get("/repositories/<path:repository>/tags/<tag>")
@views.get("/repositories/<path:repository>/tags/<tag>/")
def get_tag(repository: str, tag: str) -> Response:
    """The image id of one tag, as a JSON string."""
    image = protocol().tags(credential(), RepositoryName.parse(repository)).get(Tag(tag))
    if image is None:
        raise NotFound("Tag not found")
    return reply(image)


@views.put("/repositories/<path:repository>/tags/<tag>")
def put_tag(repository: str, tag: str) -> Response:
    """A registry reports that a tag was set; the body is the image's id as a JSON string."""
    name, checked, image = RepositoryName.parse(repository), Tag(tag), _image_id(read_json(request))
    protocol().set_tag(credential(), name, checked, image)
    return reply(True)


@views.delete("/repositories/<path:repository>/tags/<tag>")
def delete_tag(repository: str, tag: str) -> Response:
    """A registry reports that a tag was deleted."""
    protocol().delete_tag(credential(), RepositoryName.parse(repository), Tag(tag))
    return reply(True)


@views.get("/repositories/<repository_of:repository>/properties")
@views.get("/repositories/<repository_of:repository>/properties/")
def get_properties(repository: str) -> Response:
    """The visibility of a repository, as docker-registry tells it (§3.9)."""
    private = protocol().is_private(credential(), RepositoryName.parse(repository))
    return reply(write_properties(is_private=private))


@views.put("/repositories/<repository_of:repository>/properties")
def put_properties(repository: str) -> Response:
    """Change the visibility, by the policy of the site: a registry passes it on."""
    name, private = RepositoryName.parse(repository), read_properties(read_json(request))
    actor = protocol().writer(credential(), name)
    services().permissions.set_private(actor, client_address(), name, is_private=private)
    return reply(True)


def _store() -> str:
    """The store of the registry that asks, as it names it; empty where it names none."""
    return request.headers.get(headers.STORE, "").strip()


def _image_id(data: Any) -> ImageId:
    if not isinstance(data, str):
        raise Invalid("Invalid data: expected an image id")
    return ImageId(data)
