"""Staging areas of uploads: one for each image and uploader, invisible to all others until the push is sealed."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from common.checksums import Checksum
from common.errors import NotFound
from common.names import ImageId
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, Writer, names_below


@dataclass(frozen=True, slots=True)
class DeclaredChecksums:
    """Checksums that the uploader declared before it sent the layer."""

    payload: Checksum | None = None
    tarsum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A staged layer and its payload checksum."""

    payload: Checksum
    path: str


class Stage:
    """One uploader's push of one image. Every step is a single atomic write, so a crash leaves the step undone."""

    def __init__(self, driver: Driver, image: ImageId, uploader: str) -> None:
        self._driver = driver
        self._path = paths.upload(image, uploader)

    def describe(self, description: bytes, declared: DeclaredChecksums) -> None:
        """Begin, or restart; layers received for another description are dropped."""
        if self.description() not in (None, description):
            self.drop()
        if declared != self.declared():
            self.declare(declared)
        self._driver.put(paths.upload_json(self._path), description)

    def description(self) -> bytes | None:
        """The staged JSON; None before `describe`."""
        try:
            return self._driver.get(paths.upload_json(self._path))
        except PathNotFound:
            return None

    def declare(self, declared: DeclaredChecksums) -> None:
        self._driver.put(
            paths.upload_claims(self._path),
            json.dumps({"payload": declared.payload, "tarsum": declared.tarsum}).encode(),
        )

    def declared(self) -> DeclaredChecksums:
        try:
            stored = json.loads(self._driver.get(paths.upload_claims(self._path)))
        except PathNotFound:
            return DeclaredChecksums()
        return DeclaredChecksums(*(Checksum(stored[key]) if stored[key] else None for key in ("payload", "tarsum")))

    def open_layer(self) -> tuple[str, Writer]:
        """A new layer's name, and its writer."""
        name = secrets.token_hex(8)
        return name, self._driver.open_writer(self.path_of(name))

    def record(self, name: str, payload: Checksum, description: bytes) -> Received:
        """Record a complete layer. The description is written again if it expired during a long upload."""
        if self.description() is None:
            self._driver.put(paths.upload_json(self._path), description)
        self._driver.put(paths.upload_received(self._path, payload.partition(":")[2]), name.encode())
        return Received(payload, self.path_of(name))

    def path_of(self, name: str) -> str:
        """Where the layer of this name is."""
        return paths.upload_layer(self._path, name)

    def received(self) -> Iterator[Received]:
        """The complete layers; more than one if the uploader sent several."""
        for entry in list(names_below(self._driver, self._path)):
            digits = paths.received_in(entry)
            if digits is not None:
                with suppress(PathNotFound):
                    name = self._driver.get(paths.upload_received(self._path, digits)).decode()
                    yield Received(Checksum(f"sha256:{digits}"), self.path_of(name))

    def recent(self, most: int) -> list[Received]:
        """So many of the complete layers at most: the last ones."""
        received = list(self.received())
        return sorted(received, key=self._changed, reverse=True)[:most] if len(received) > most else received

    def drop_layers(self) -> None:
        """Back to described: nothing received, nothing declared."""
        for entry in list(names_below(self._driver, self._path)):
            if paths.upload_json(self._path) != f"{self._path}/{entry}":
                with suppress(PathNotFound):
                    self._driver.delete(f"{self._path}/{entry}")

    def drop(self) -> None:
        with suppress(PathNotFound):
            self._driver.delete(self._path)

    def _changed(self, layer: Received) -> float:
        try:
            return self._driver.stat(layer.path).modified
        except PathNotFound:
            return 0.0


def expire(driver: Driver, seconds: float) -> list[ImageId]:
    """Drop stages that have not grown for so many seconds; returns the image of each."""
    oldest = time.time() - seconds
    expired = [(image, path) for image, path in _stages(driver) if max(_changes(driver, path), default=oldest) < oldest]
    for _, path in expired:
        with suppress(PathNotFound):
            driver.delete(path)
    return [image for image, _ in expired]


def _stages(driver: Driver) -> Iterator[tuple[ImageId, str]]:
    for path in _below(driver, paths.UPLOADS):
        with suppress(NotFound):
            image = ImageId(path.rpartition("/")[2])
            yield from ((image, stage) for stage in _below(driver, path))


def _changes(driver: Driver, stage: str) -> Iterator[float]:
    """The timestamp of each content of a stage; none where the stage is being created or dropped."""
    for path in _below(driver, stage):
        with suppress(PathNotFound):
            yield driver.stat(path).modified


def _below(driver: Driver, path: str) -> list[str]:
    return [f"{path}/{name}" for name in names_below(driver, path)]
