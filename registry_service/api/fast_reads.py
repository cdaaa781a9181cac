"""The fast path of reads: an image's json, ancestry, layer, files and diff (protocol §3.3 to §3.8).

Twenty-one of a pull's twenty-three requests are of these. So this is WSGI middleware before Flask, whose contexts,
routing and responses were half of the cost of a small response.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from functools import partial
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Blueprint, Response, request

from common import headers, http
from common.names import ImageId
from common.tokens import Access
from registry_service.api import delivery, request_context
from registry_service.api.delivery import Answer, DeliveryStrategy
from registry_service.api.sharing import Sharing
from registry_service.api.without_flask import respond
from registry_service.services import ReadableImages, Registry
from registry_service.storage.paths import ApartImageId

PARTS = ("json", "ancestry", "layer", "files", "diff")

_ROUTES = {part: f"/v1/images/<image_id>/{part}" for part in PARTS}
_PATH = re.compile(rf"/v1/images/([^/]+)/({'|'.join(PARTS)})/?")


class FastReads:
    """Answers GET and HEAD of images, each authorized by the gate, and passes all else on to the application behind."""

    def __init__(
        self, registry: Registry, strategy: DeliveryStrategy, sharing: Sharing, behind: WSGIApplication
    ) -> None:
        self._registry = registry
        self._gate = registry.gate
        self._behind = behind
        self._strategy = strategy
        self._sharing = sharing

    def routes(self) -> Blueprint:
        """The same routes for Flask, which needs them to answer other methods with 405 and Allow."""
        views = Blueprint("fast_reads", __name__)
        for part in PARTS:
            views.add_url_rule(f"/images/<image_id>/{part}", part, partial(self._view, name=part), methods=["GET"])
        return views

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = _PATH.fullmatch(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] in ("GET", "HEAD") else None
        if path is None:
            return self._behind(environ, start_response)
        image_id, name = path.groups()
        http.begin(environ).route = _ROUTES[name]
        return respond(environ, start_response, partial(self._answer, image_id=image_id, name=name))

    def _view(self, image_id: str, name: str) -> Response:
        answer = self._answer(request.environ, image_id, name)
        return Response(answer.body, answer.status, answer.headers, direct_passthrough=True)

    def _answer(self, environ: WSGIEnvironment, image_id: str, name: str) -> Answer:
        credentials = request_context.credentials(environ)
        cookie = self._gate.admit(credentials, Access.READ)
        image = self._gate.readable(credentials, ImageId(image_id))
        if name == "json":
            self._registry.require_promised(credentials, image)
        images = self._registry.reading(credentials)
        answer: Answer = getattr(self, f"_{name}")(environ, images, image)
        self._sharing.allow(answer, credentials, image)
        if cookie is not None:
            answer.headers.append(request_context.cookie_header(environ, request_context.GRANT_COOKIE, cookie))
        return answer

    def _json(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        described = images.describe(image)
        answer = self._immutable(environ, image, described.json)
        answer.headers.append((headers.SIZE, str(described.size)))
        answer.headers += ((headers.CHECKSUM_PAYLOAD, checksum) for checksum in described.checksums)
        return answer

    def _ancestry(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        ancestry = images.ancestry(image)
        answer = self._derived(environ, image, ancestry)
        apart = sum(isinstance(ancestor, ApartImageId) for ancestor in ancestry)
        if apart:
            answer.headers.append((headers.APART, str(apart)))
        store = None if self._gate.is_open else self._registry.holdings.store.tell()
        if store is not None:
            answer.headers.append((headers.STORE, store))
        return answer

    def _layer(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        return delivery.layer_answer(environ, images, images.layer(image), self._strategy)

    def _files(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        return self._derived(environ, image, images.files(image))

    def _diff(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        return self._derived(environ, image, images.diff(image))

    def _derived(self, environ: WSGIEnvironment, image: ImageId, content: Any) -> Answer:
        return self._immutable(environ, image, json.dumps(content).encode())

    def _immutable(self, environ: WSGIEnvironment, image: ImageId, body: bytes) -> Answer:
        """JSON derived from an image: as immutable as the image."""
        etag = f'"{self._entity(image, body)}"'
        return delivery.unchanged(environ, etag) or delivery.small(environ, body, etag)

    def _entity(self, image: ImageId, body: bytes) -> str:
        """What is the same for each response about an image, and for no other image of its id."""
        if self._registry.mirror is not None:
            # It depends on the source, too, which image that is.
            return f"{image}-{hashlib.sha256(body).hexdigest()[:16]}"
        if isinstance(image, ApartImageId):
            return f"{image}-{hashlib.sha256(str(image.repository).encode()).hexdigest()[:16]}"
        return image
