"""The door to images as they are read: json, ancestry, layer, files and diff (protocol §3.3 to §3.8).

Twenty-one of a pull's twenty-three requests come here. So this door stands before Flask as a WSGI application of its
own: of what a small answer costs, Flask's contexts, routing and responses were half.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.routing import Map, Rule

from common import headers, http, log
from common.names import ImageId
from common.tokens import Access
from registry_service.api import asking, transfer
from registry_service.api.transfer import Answer
from registry_service.services import ReadableImages, Registry

_PATH = re.compile(r"/v1/images/([^/]+)/(json|ancestry|layer|files|diff)/?")


class ReadingDoor:
    """Whatever is no GET or HEAD of an image goes on to the application behind. Reads ask the gate for each image."""

    def __init__(self, registry: Registry, delivery: str, behind: WSGIApplication, *, is_fronted: bool) -> None:
        """With `is_fronted` a proxy stands in front, which with `delivery` nginx goes without saying."""
        self._registry = registry
        self._gate = registry.gate
        self._behind = behind
        is_fronted = delivery == "nginx" or (delivery == "redirect" and is_fronted)
        # Nginx may answer for us only where nobody has to prove anything.
        self._keeping = transfer.KEPT_BY_NGINX if is_fronted and registry.gate.is_open else ()
        self._hand_over = transfer.handed_over(delivery, self._keeping)

    def announce(self, routes: Map) -> None:
        """Let the application behind know what is answered here, for what it says of other methods."""
        for name in ("json", "ancestry", "layer", "files", "diff"):
            routes.add(Rule(f"/v1/images/<image_id>/{name}", endpoint=f"get_{name}", methods=["GET"]))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = _PATH.fullmatch(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] in ("GET", "HEAD") else None
        if path is None:
            return self._behind(environ, start_response)
        http.begin(environ)
        asking.remember_mirrors(environ)
        try:
            answer = self._answer(environ, *path.groups())
        except Exception as error:  # noqa: BLE001 - as Flask would, every failure becomes an answer
            return http.failed(error, environ)(environ, start_response)
        answer.headers.append((headers.REQUEST_ID, log.request_id.get()))
        start_response(answer.status, answer.headers)
        return answer.body

    def _answer(self, environ: WSGIEnvironment, image_id: str, name: str) -> Answer:
        credentials = asking.credentials(environ)
        cookie = self._gate.admit(credentials, Access.READ)
        image = ImageId(image_id)
        self._gate.require_readable(credentials, image)
        images = self._registry.reading(credentials)
        answer: Answer = getattr(self, f"_{name}")(environ, images, image)
        if cookie is not None:
            answer.headers.append(asking.grant_cookie(cookie))
        return answer

    def _json(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        described = images.describe(image)
        answer = self._immutable(environ, image, described.json)
        answer.headers.append((headers.SIZE, str(described.size)))
        answer.headers += ((headers.CHECKSUM_PAYLOAD, checksum) for checksum in described.checksums)
        return answer

    def _ancestry(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        return self._derived(environ, image, images.ancestry(image))

    def _layer(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        return transfer.layer_answer(environ, images, images.layer(image), self._hand_over)

    def _files(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        return self._derived(environ, image, images.files(image))

    def _diff(self, environ: WSGIEnvironment, images: ReadableImages, image: ImageId) -> Answer:
        return self._derived(environ, image, images.diff(image))

    def _derived(self, environ: WSGIEnvironment, image: ImageId, content: Any) -> Answer:
        return self._immutable(environ, image, json.dumps(content).encode())

    def _immutable(self, environ: WSGIEnvironment, image: ImageId, body: bytes) -> Answer:
        """JSON derived from an image: it changes no more than the image does."""
        etag = f'"{image}"'
        return transfer.unchanged(environ, etag) or transfer.small(environ, body, etag, self._keeping)
