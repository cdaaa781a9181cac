"""The door to images: json, layer, ancestry, checksum, files and diff (protocol §3.3 to §3.8)."""

from __future__ import annotations

import json

from flask import Flask, Response, request

from common import headers, http
from common.checksums import Checksum
from common.names import ImageId
from common.tokens import Access
from registry_service.api import asking, transfer
from registry_service.grants import Credentials
from registry_service.graph import agents
from registry_service.services import ReadableImages, Registry

BLOCK = 256 * 1024
"""How much of a layer is read, hashed and written at a time."""


class ImageDoor:
    """Reads ask the gate whether this image may be read; writes whether the repository lists it."""

    def __init__(self, registry: Registry, hand_over: transfer.HandOver) -> None:
        self._hand_over = hand_over
        self._registry = registry
        self._gate = registry.gate
        self._push = registry.push

    def install(self, app: Flask) -> None:
        for name in ("json", "layer", "ancestry", "files", "diff"):
            app.add_url_rule(f"/v1/images/<image_id>/{name}", f"get_{name}", getattr(self, f"get_{name}"))
        for name in ("json", "layer", "checksum"):
            view = getattr(self, f"put_{name}")
            app.add_url_rule(f"/v1/images/<image_id>/{name}", f"put_{name}", view, methods=["PUT"])

    def get_json(self, image_id: str) -> Response:
        images, image = self._readable(image_id)
        described = images.describe(image)
        response = self._immutable(image, described.json)
        response.headers[headers.SIZE] = str(described.size)
        for checksum in described.checksums:
            response.headers.add(headers.CHECKSUM_PAYLOAD, checksum)
        return response

    def get_ancestry(self, image_id: str) -> Response:
        images, image = self._readable(image_id)
        return self._immutable(image, json.dumps(images.ancestry(image)).encode())

    def get_layer(self, image_id: str) -> Response:
        images, image = self._readable(image_id)
        return transfer.layer_response(images, images.layer(image), self._hand_over)

    def get_files(self, image_id: str) -> Response:
        images, image = self._readable(image_id)
        return self._immutable(image, json.dumps(images.files(image)).encode())

    def get_diff(self, image_id: str) -> Response:
        images, image = self._readable(image_id)
        return self._immutable(image, json.dumps(images.diff(image)).encode())

    def put_json(self, image_id: str) -> Response:
        credentials = self._writing()
        image = ImageId(image_id)
        body = http.read_body(request, http.MAX_JSON_BYTES)
        parent = self._push.parent_of(image, body)
        self._gate.require_listed(credentials, image)
        if parent is not None:
            self._push.require_parent(parent)
            self._gate.require_usable_parent(credentials, parent)
        claimed = request.headers.get(headers.CHECKSUM)
        self._push.begin(image, body, asking.uploader(), claimed=Checksum(claimed) if claimed else None)
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
        self._registry.require_writable(*asking.repositories())
        return credentials

    def _readable(self, image_id: str) -> tuple[ReadableImages, ImageId]:
        credentials = asking.admit(self._gate, Access.READ)
        image = ImageId(image_id)
        self._gate.require_readable(credentials, image)
        return self._registry.reading(asking.repositories()), image

    def _immutable(self, image: ImageId, body: bytes) -> Response:
        """JSON derived from an image: it changes no more than the image does."""
        etag = f'"{image}"'
        return transfer.unchanged(etag) or transfer.remember(Response(body, mimetype="application/json"), etag)
