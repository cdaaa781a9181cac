"""A daemon of 2022, Docker 20.10, with a v2 registry: image manifests of schema 2."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.client import CHUNKED, Habits, Verify, fetch, follow, head, last, local_part, require
from benchmarks.layers import MANIFEST, Image, Layer, digest, frame
from benchmarks.wire import Address, Broken, Request, Upload
from tests.clients.steps import Steps, Together

_AGENT = "docker/20.10.24 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0-13-amd64 os/linux arch/amd64"


class V2:
    """One session with the registry at `address`.

    `translated`: manifest and configuration that it made of an image itself, which was pushed by v1.
    """

    def __init__(
        self, address: Address, repository: str, habits: Habits, translated: tuple[bytes, bytes] | None = None
    ) -> None:
        self._address = address
        self._path = f"/v2/{repository}"
        self._habits = replace(habits, agent=_AGENT)
        self._translated = translated

    def pull(self, image: Image, verify: Verify) -> Steps:
        """Manifest, configuration, layers."""
        wanted, wanted_config = self._translated or (image.manifest, image.config)
        manifest = yield from self._ask(f"GET {self._path}/manifests/latest", (200,), [f"Accept: {MANIFEST}"])
        if manifest.body != wanted:
            raise Broken("GET manifest: not the bytes that are expected")
        first = head(self._address, f"GET {self._path}/blobs/{digest(wanted_config)}", self._habits)
        config = require((yield from follow(self._address, first, self._habits)), (200,), "GET config")
        if config.body != wanted_config:
            raise Broken("GET config: not the bytes that are expected")
        if self._habits.parallel == 1:
            for layer in image.layers:
                yield from self._pull_layer(layer, verify())
        else:
            yield Together([self._pull_layer(layer, verify()) for layer in image.layers], self._habits.parallel)

    def push(self, image: Image) -> Steps:
        """Of each layer, and of the configuration, the existence test, POST, PATCH, PUT; then the manifest."""
        for layer in image.layers:
            yield from self._push_blob("sha256:" + layer.sha256, layer.chunks)
        yield from self._push_blob(digest(image.config), Upload(-1, 0, frame(image.config) + frame(b"")))
        fields = [f"Content-Type: {MANIFEST}"]
        yield from self._ask(f"PUT {self._path}/manifests/latest", (201,), fields, image.manifest)

    def _pull_layer(self, layer: Layer, verify: bool) -> Steps:
        first = head(self._address, f"GET {self._path}/blobs/sha256:{layer.sha256}", self._habits)
        yield from fetch(self._address, first, layer, self._habits, verify)

    def _push_blob(self, blob: str, content: Upload) -> Steps:
        test = self._request(f"HEAD {self._path}/blobs/{blob}")
        test.bodiless = True
        require((yield test), (404,), "HEAD blob")
        begun = yield from self._ask(f"POST {self._path}/blobs/uploads/", (202,), body=b"")
        sent = self._request(f"PATCH {local_part(begun.header('Location') or '')}", [CHUNKED])
        sent.upload = content
        patched = require((yield sent), (202,), "PATCH upload")
        location = local_part(patched.header("Location") or "")
        closing = f"{location}{'&' if '?' in location else '?'}digest={blob.replace(':', '%3A')}"
        yield from self._ask(f"PUT {closing}", (201,), body=b"")

    def _ask(
        self, line: str, wanted: tuple[int, ...], fields: list[str] | None = None, body: bytes | None = None
    ) -> Steps:
        return require((yield self._request(line, fields, body)), wanted, last(line))

    def _request(self, line: str, fields: list[str] | None = None, body: bytes | None = None) -> Request:
        first = head(self._address, line, self._habits, fields or (), body)
        return Request(self._address, first, keep_alive=self._habits.keep_alive)
