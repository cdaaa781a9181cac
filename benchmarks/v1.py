"""A daemon of 2015, Docker 1.6, with a v1 index and a v1 registry (protocol §1.5, §1.7)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

from benchmarks.client import CHUNKED, Habits, Verify, address_of, fetch, head, last, parsed, require, upload
from benchmarks.layers import Image, Layer
from benchmarks.loop import Steps, Together
from benchmarks.wire import Address, Broken, Request

_AGENT = "docker/1.6.2 go/go1.4.2 git-commit/7c8fca2 kernel/3.16.0-4-amd64 os/linux arch/amd64"


class V1:
    """One session with the index at `address`, which says what registry to go on with."""

    def __init__(self, address: Address, repository: str, habits: Habits, login: tuple[str, str] | None = None) -> None:
        self._index = self._registry = address
        self._path = f"/v1/repositories/{repository}"
        self._habits = replace(habits, agent=_AGENT)
        self._basic = [f"Authorization: Basic {_base64(':'.join(login))}"] if login else []
        self._session: list[str] = []
        self._cookies: dict[str, str] = {}

    def pull(self, image: Image, verify: Verify) -> Steps:
        """Images, tags, ancestry, then JSON and layer of each image, base first."""
        listed = yield from self._ask_index(f"GET {self._path}/images", (200,))
        if len(parsed(listed.body)) < len(image.layers):
            raise Broken("GET images: too few")
        tags = yield from self._ask(f"GET {self._path}/tags")
        if parsed(tags.body).get("latest") != image.id:
            raise Broken("GET tags: not the image that was tagged")
        ancestry = yield from self._ask(f"GET /v1/images/{image.id}/ancestry")
        if parsed(ancestry.body) != image.ancestry:
            raise Broken("GET ancestry: not the image's")
        if self._habits.parallel == 1:
            for layer in image.layers:
                yield from self._pull_layer(layer, verify())
        else:
            yield Together([self._pull_layer(layer, verify()) for layer in image.layers], self._habits.parallel)

    def push(self, image: Image) -> Steps:
        """Announce the images; of each the existence test, JSON, layer, checksum; then the tag and the end."""
        listing = [{"id": layer.id} for layer in image.layers]
        listing[-1]["Tag"] = "latest"
        yield from self._ask_index(f"PUT {self._path}/", (200, 201), json.dumps(listing).encode())
        for layer in image.layers:
            yield from self._push_layer(layer)
        yield from self._ask(f"PUT {self._path}/tags/latest", json.dumps(image.id).encode(), (200, 201))
        yield from self._ask_index(f"PUT {self._path}/images", (204,), b"[]")

    def _pull_layer(self, layer: Layer, verify: bool) -> Steps:
        described = yield from self._ask(f"GET /v1/images/{layer.id}/json")
        if described.body != layer.json:
            raise Broken("GET json: not the bytes that were pushed")
        first = head(self._registry, f"GET /v1/images/{layer.id}/layer", self._habits, self._session)
        yield from fetch(self._registry, first, layer, self._habits, verify)

    def _push_layer(self, layer: Layer) -> Steps:
        path = f"/v1/images/{layer.id}"
        asked = yield self._request(f"GET {path}/json")
        if asked.status == 200:
            raise Broken("GET json: the registry has a new image already")
        yield from self._ask(f"PUT {path}/json", layer.json, fields=["Content-Type: application/json"])
        sent = self._request(f"PUT {path}/layer", fields=["Content-Type: application/octet-stream", CHUNKED])
        sent.upload = upload(layer)
        require((yield sent), (200,), "PUT layer")
        yield from self._ask(f"PUT {path}/checksum", b"", fields=[f"X-Docker-Checksum-Payload: {layer.payload}"])

    def _ask_index(self, line: str, wanted: tuple[int, ...], body: bytes | None = None) -> Steps:
        """The answer names the token and the registry to go on with."""
        first = head(self._index, line, self._habits, [*self._basic, "X-Docker-Token: true"], body)
        reply = require((yield Request(self._index, first, keep_alive=self._habits.keep_alive)), wanted, last(line))
        token = reply.header(b"x-docker-token").decode()
        if token:
            self._session = [f"Authorization: Token {token}"]
        endpoints = reply.header(b"x-docker-endpoints").decode()
        if endpoints:
            self._registry = address_of(endpoints.partition(",")[0])
        return reply

    def _ask(
        self, line: str, body: bytes | None = None, wanted: tuple[int, ...] = (200,), fields: list[str] | None = None
    ) -> Steps:
        """One question to the registry; a cookie it sets is sent from now on."""
        reply = require((yield self._request(line, body, fields)), wanted, last(line))
        cookie = reply.header(b"set-cookie").decode().partition(";")[0]
        if cookie and cookie not in self._cookies.values():
            self._cookies[cookie.partition("=")[0]] = cookie
            token = [field for field in self._session if not field.startswith("Cookie")]
            self._session = [*token, f"Cookie: {'; '.join(self._cookies.values())}"]
        return reply

    def _request(self, line: str, body: bytes | None = None, fields: list[str] | None = None) -> Request:
        first = head(self._registry, line, self._habits, [*self._session, *(fields or [])], body)
        return Request(self._registry, first, keep_alive=self._habits.keep_alive)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
