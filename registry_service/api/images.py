"""Uploads of images: JSON, layer and checksum (protocol §3.3 to §3.5). Reads are in `fast_reads`."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common import agents, headers, http
from common.checksums import Checksum
from common.errors import NotFound
from common.names import ImageId
from common.tokens import Access
from registry_service.api import request_context
from registry_service.api.request_context import registry
from registry_service.grants import Credentials
from registry_service.graph.errors import UnknownParent

BLOCK = 256 * 1024
"""How much of a layer is read, hashed and written at a time."""

views = Blueprint("images", __name__)


@views.put("/images/<image_id>/json")
def put_json(image_id: str) -> Response:
    credentials = _require_write()
    image = ImageId(image_id)
    body = http.read_body(request, http.MAX_JSON_BYTES)
    gate, push = registry().gate, registry().push
    parent = push.parent_of(image, body)
    gate.require_announced(credentials, image)
    if parent is not None:
        request_context.conclude(credentials, parent)
        _require_usable_parent(credentials, parent)
    declared = request.headers.get(headers.CHECKSUM)
    push.begin(
        image,
        body,
        request_context.uploader(),
        declared=Checksum(declared) if declared else None,
        holder=gate.holder(credentials),
    )
    return http.reply(True)


@views.put("/images/<image_id>/layer")
def put_layer(image_id: str) -> Response:
    credentials = _require_write()
    image = ImageId(image_id)
    gate = registry().gate
    gate.require_announced(credentials, image)
    blocks = http.body_blocks(request, BLOCK)
    registry().push.receive(image, request_context.uploader(), blocks, holder=gate.holder(credentials))
    return http.reply(True)


@views.put("/images/<image_id>/checksum")
def put_checksum(image_id: str) -> Response:
    credentials = _require_write()
    image = ImageId(image_id)
    gate = registry().gate
    gate.require_announced(credentials, image)
    registry().push.seal(
        image,
        request_context.uploader(),
        payload=request.headers.get(headers.CHECKSUM_PAYLOAD),
        tarsum=request.headers.get(headers.CHECKSUM),
        docker_version=agents.docker_version(request.headers.get("User-Agent", "")),
        holder=gate.holder(credentials),
    )
    return http.reply(True)


def _require_usable_parent(credentials: Credentials, parent: ImageId) -> None:
    """Raises UnknownParent for a parent that is not there, and in the same words for one that is not to be seen."""
    try:
        registry().gate.usable(credentials, parent)
    except NotFound as error:
        raise UnknownParent from error


def _require_write() -> Credentials:
    credentials = request_context.admit(Access.WRITE)
    registry().require_writable(*registry().gate.repositories(credentials, Access.WRITE))
    return credentials
