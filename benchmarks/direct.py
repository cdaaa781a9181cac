"""Clients with no registry at all: they have the address of every layer already, and read one after another."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from benchmarks.client import Habits, Verify, address_of, fetch, head, local_part
from benchmarks.layers import Image, Layer
from benchmarks.wire import Broken
from tests.clients.steps import Steps, Together


class Direct:
    """`urls` by id of the layer."""

    def __init__(self, urls: Mapping[str, str], habits: Habits) -> None:
        self._urls = urls
        self._habits = habits

    def pull(self, image: Image, verify: Verify) -> Steps:
        yield Together([self._pull_layer(layer, verify()) for layer in image.layers], self._habits.parallel)

    def push(self, image: Image) -> Steps:
        raise Broken("there is no registry")
        yield

    def _pull_layer(self, layer: Layer, verify: bool) -> Steps:
        url = self._urls[layer.id]
        address = address_of(urlsplit(url).netloc)
        yield from fetch(address, head(address, f"GET {local_part(url)}", self._habits), layer, self._habits, verify)
