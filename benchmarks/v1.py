"""A daemon of 2015, Docker 1.7, with a v1 index and a v1 registry: that of the tests, on the loop of the benchmarks.

It asks what a daemon asks once it knows whom it speaks to: no pings and no sign-ups, only the push or the pull.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from benchmarks.client import Habits, Verify, encoded, fetch
from benchmarks.layers import Image, Layer
from benchmarks.wire import Address, Broken, Reply, Request
from tests.clients import steps
from tests.clients.docker_v1 import Daemon
from tests.clients.generations import V1_7, Generation
from tests.clients.steps import Steps, Together
from tests.clients.wire import Target

_TAG = "latest"


class V1:
    """One session with the index at `address`, which says what registry to go on with."""

    def __init__(self, address: Address, repository: str, habits: Habits, login: tuple[str, str] = ("", "")) -> None:
        self._index = Target("http", *address)
        self._repository = repository
        self._habits = habits
        self._login = login

    def pull(self, image: Image, verify: Verify) -> Steps[None]:
        daemon = self._daemon(image, verify)
        pulled = yield from _on_loop(daemon.pulling(self._repository, _TAG), self._habits)
        if [each.id for each in pulled] != image.ancestry:
            raise Broken("GET ancestry: not the image's")

    def push(self, image: Image) -> Steps[None]:
        """Raises Broken where the registry has one of the images already: a push of what is there measures nothing."""
        daemon = self._daemon(image, lambda: False)
        sent = yield from _on_loop(daemon.pushing(self._repository, image.layers, _TAG), self._habits)
        if len(sent) != len(image.layers):
            raise Broken("PUT json: the registry has a new image already")

    def _daemon(self, image: Image, verify: Verify) -> _Daemon:
        return _Daemon(self._index, self._login, self._habits, image, verify)


class _Daemon(Daemon):
    """Keeps no table of its steps, and looks at no more of a layer than the round asks for."""

    def __init__(self, index: Target, login: tuple[str, str], habits: Habits, image: Image, verify: Verify) -> None:
        super().__init__(_generation(habits.parallel), index, *login)
        self._habits = habits
        self._verify = verify
        self._expected: Mapping[str, Layer] = {layer.id: layer for layer in image.layers}

    def list_images(self, name: str) -> Steps[Reply]:
        listed = yield from super().list_images(name)
        if len(listed.json()) < len(self._expected):
            raise Broken("GET images: too few")
        return listed

    def get_json(self, endpoint: Target, image_id: str) -> Steps[tuple[bytes, int | None]]:
        described = yield from super().get_json(endpoint, image_id)
        if described[0] != self._expected[image_id].json:
            raise Broken("GET json: not the bytes that were pushed")
        return described

    def get_layer(self, endpoint: Target, image_id: str, size: int | None) -> Steps[bytes]:
        line = f"GET /v1/images/{image_id}/layer"
        first = encoded(line, self.head(endpoint, line, self.for_registry()), self._habits)
        layer = self._expected[image_id]
        yield from fetch((endpoint.host, endpoint.port), first, layer, self._habits, self._verify())
        return b""

    def check(self, name: str, holds: bool, expected: object, answer: Reply) -> None:
        if not holds:
            told = answer.body[:120].decode(errors="replace")
            raise Broken(f"{name}: status {answer.status}, not {expected} {told}".strip())

    def note(self, name: str, answer: Reply, expected: object, *, passed: bool) -> None:
        """Nobody reads it."""


@lru_cache
def _generation(layers_at_once: int) -> Generation:
    return replace(V1_7, checksum="payload", layers_at_once=layers_at_once)


def _on_loop(daemon: Steps, habits: Habits) -> Steps:
    """What a daemon of the tests yields, as the loop takes it."""
    got = None
    while True:
        try:
            step = daemon.send(got)
        except StopIteration as end:
            return end.value
        if isinstance(step, steps.Request):
            step = _request(step, habits)
        elif isinstance(step, Together):
            step = Together([_on_loop(each, habits) for each in step.steps], step.limit)
        got = yield step


def _request(asked: steps.Request, habits: Habits) -> Request:
    """What stands for the chunks of a layer here is an `Upload`."""
    first = encoded(asked.line, asked.headers, habits) + (asked.body or b"")
    address = asked.target.host, asked.target.port
    return Request(address, first, upload=asked.chunks, keep_alive=habits.keep_alive)
