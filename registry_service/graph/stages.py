"""Where a push waits until it is sealed: one stage for each image and uploader, hidden from everybody else."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from common.checksums import Checksum
from common.names import ImageId
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, Writer


@dataclass(frozen=True, slots=True)
class Claimed:
    """Checksums that the uploader claimed before the layer came."""

    payload: Checksum | None = None
    tarsum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A staged layer and its payload checksum."""

    payload: Checksum
    path: str


class Stage:
    """One uploader's push of one image. Every step is a single content put whole, so a crash leaves the step undone."""

    def __init__(self, driver: Driver, image: ImageId, uploader: str) -> None:
        self._driver = driver
        self._path = paths.upload(image, uploader)

    def describe(self, description: bytes, claimed: Claimed) -> None:
        """Begin, or begin again; layers received for another description are dropped."""
        if self.description() not in (None, description):
            self.drop()
        if claimed != self.claimed():
            self.claim(claimed)
        self._driver.put(paths.upload_json(self._path), description)

    def description(self) -> bytes | None:
        """The staged JSON; None where nothing was begun."""
        try:
            return self._driver.get(paths.upload_json(self._path))
        except PathNotFound:
            return None

    def claim(self, claimed: Claimed) -> None:
        self._driver.put(
            paths.upload_claims(self._path), json.dumps({"payload": claimed.payload, "tarsum": claimed.tarsum}).encode()
        )

    def claimed(self) -> Claimed:
        try:
            stored = json.loads(self._driver.get(paths.upload_claims(self._path)))
        except PathNotFound:
            return Claimed()
        return Claimed(*(Checksum(stored[key]) if stored[key] else None for key in ("payload", "tarsum")))

    def open_layer(self) -> tuple[str, Writer]:
        """A new layer's name, and its writer."""
        name = secrets.token_hex(8)
        return name, self._driver.open_writer(paths.upload_layer(self._path, name))

    def record(self, name: str, payload: Checksum, description: bytes) -> Received:
        """A layer has come whole. The description is put back if it expired during a long upload."""
        if self.description() is None:
            self._driver.put(paths.upload_json(self._path), description)
        self._driver.put(paths.upload_received(self._path, payload.partition(":")[2]), name.encode())
        return Received(payload, paths.upload_layer(self._path, name))

    def received(self) -> Iterator[Received]:
        """The layers that came whole; more than one if the uploader sent several."""
        for entry in self._entries():
            digits = paths.received_in(entry)
            if digits is not None:
                with suppress(PathNotFound):
                    name = self._driver.get(paths.upload_received(self._path, digits)).decode()
                    yield Received(Checksum(f"sha256:{digits}"), paths.upload_layer(self._path, name))

    def drop_layers(self) -> None:
        """Back to described: nothing received, nothing claimed."""
        for entry in self._entries():
            if paths.upload_json(self._path) != f"{self._path}/{entry}":
                with suppress(PathNotFound):
                    self._driver.delete(f"{self._path}/{entry}")

    def drop(self) -> None:
        with suppress(PathNotFound):
            self._driver.delete(self._path)

    def _entries(self) -> list[str]:
        try:
            return list(self._driver.list(self._path))
        except PathNotFound:
            return []


def expire(driver: Driver, seconds: float) -> int:
    """Drop stages nobody has added to for so many seconds; how many."""
    oldest = time.time() - seconds
    expired = [path for path in _stages(driver) if max(_changes(driver, path), default=oldest) < oldest]
    for path in expired:
        with suppress(PathNotFound):
            driver.delete(path)
    return len(expired)


def _stages(driver: Driver) -> Iterator[str]:
    for path in _below(driver, paths.UPLOADS):
        yield from _below(driver, path)


def _changes(driver: Driver, stage: str) -> Iterator[float]:
    """When each content of a stage came; nothing where one is only just being made, or dropped."""
    for path in _below(driver, stage):
        with suppress(PathNotFound):
            yield driver.stat(path).modified


def _below(driver: Driver, path: str) -> list[str]:
    try:
        return [f"{path}/{name}" for name in driver.list(path)]
    except PathNotFound:
        return []
