"""The door to images as they are pushed: json, layer and checksum (protocol §3.3 to §3.5)."""

from __future__ import annotations

from flask import Flask, Response, request

from common import headers, http
from common.checksums import Checksum
from common.names import ImageId
from common.tokens import Access
from registry_service.api import asking
from registry_service.grants import Credentials
from registry_service.graph import agents
from registry_service.services import Registry

BLOCK = 256 * 1024
"""How much of a layer is read, hashed and written at a time."""


class ImageDoor:
    """Each asks the gate whether the repository lists the image. Who reads comes by way of `reading`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._gate = registry.gate
        self._push = registry.push

    def install(self, app: Flask) -> None:
        for name in ("json", "layer", "checksum"):
            view = getattr(self, f"put_{name}")
            app.add_url_rule(f"/v1/images/<image_id>/{name}", f"put_{name}", view, methods=["PUT"])

    def put_json(self, image_id: str) -> Response:
        credentials = self._writing()
        image = ImageId(image_id)
        body = http.read_body(request, http.MAX_JSON_BYTES)
        parent = self._push.parent_of(image, body)
        self._gate.require_listed(credentials, image)
        if parent is not None:
            self._push.require_parent(parent)
            self._gate.require_usable_parent(credentials, parent)
        declared = request.headers.get(headers.CHECKSUM)
        self._push.begin(image, body, asking.uploader(), declared=Checksum(declared) if declared else None)
        return http.reply(True)

    def put_layer(self, image_id: str) -> Response:
        credentials = self._writing()
        image = ImageId(image_id)
        self._gate.require_listed(credentials, image)
        self._push.receive(image, asking.uploader(), http.body_blocks(request, BLOCK))
        return http.reply(True)

    def put_checksum(self, image_id: str) -> Response:
        credentials = self._writing()
        image = ImageId(image_id)
        self._gate.require_listed(credentials, image)
        self._push.seal(
            image,
            asking.uploader(),
            payload=request.headers.get(headers.CHECKSUM_PAYLOAD),
            tarsum=request.headers.get(headers.CHECKSUM),
            docker_version=agents.docker_version(request.headers.get("User-Agent", "")),
        )
        return http.reply(True)

    def _writing(self) -> Credentials:
        credentials = asking.admit(self._gate, Access.WRITE)
        self._registry.require_writable(*self._gate.repositories(credentials, Access.WRITE))
        return credentials
