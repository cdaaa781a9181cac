"""Keeps layers as images of OpenStack's image service, v2, and everything else in another driver (docs/storage.md).

An image has no path; ours have it as a property. They are found by it, and what lies below a folder by a tag.

    begun       an image with a tag that says so, and no path: nobody finds it
    committed   its data has come and was compared; one PATCH gives it the path and takes the tag
    moved       one PATCH gives it another path: no byte is copied, for what is staged lies in Glance too
    replaced    two images have the path for a moment; the one committed last counts, the others are deleted

An upload cannot be taken up again, nor can what was written be written twice: only `buffer_bytes` of it are kept. Up to
them a broken upload is repeated, past them it fails. Contents that are at a layer's path in the other driver, because
it was used alone before, are read there. Glance signs no URLs.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain
from pathlib import Path

from common.settings import load
from registry_service.storage import factory, paths
from registry_service.storage.driver import (
    Driver,
    Offload,
    PathNotFound,
    Reader,
    Stat,
    StorageFailure,
    StorageProblem,
    Writer,
)
from registry_service.storage.glance.images import Image, Images, Upload, UploadBroken, problem_of
from registry_service.storage.glance.settings import GlanceSettings
from registry_service.storage.guard import Guard
from registry_service.storage.resuming import EmptyReader, RawBody, ResumingReader
from registry_service.storage.retrying import TRANSIENT_STATUSES, NoAnswer

LEFTOVER_SECONDS = 48 * 3600.0
"""An image begun this long ago and not committed belongs to a process that was killed."""


def from_environ(storage_path: str, environ: Mapping[str, str]) -> Glance:
    """Raises SettingsError."""
    settings = load(GlanceSettings, "glance", environ)
    alternate = factory.create(settings.alternate, settings.alternate_path or storage_path, environ)
    return Glance(settings, storage_path, alternate)


class Glance(Driver):
    """Layers as images of one project, and another driver for the rest."""

    name = "glance"
    is_blocking = False

    def __init__(
        self,
        settings: GlanceSettings,
        storage_path: str,
        alternate: Driver,
        *,
        keeps: Callable[[str], bool] = paths.is_layer,
        lies_above: Callable[[str], bool] = paths.lies_above_layers,
        leftover_seconds: float = LEFTOVER_SECONDS,
    ) -> None:
        """Try Glance out and sweep it; `keeps` tells which paths are Glance's. Raises SettingsError."""
        self.settings = settings
        self._alternate = alternate
        self._keeps = keeps
        self._lies_above = lies_above
        self.images = Images(settings, "".join(f"{name}/" for name in storage_path.split("/") if name))
        self.images.try_out()
        self._leftover_seconds = leftover_seconds
        self.images.sweep(leftover_seconds)

    def sweep(self) -> None:
        self.images.sweep(self._leftover_seconds)
        self._alternate.sweep()

    def set_offload(self, offload: Offload) -> None:
        if isinstance(self._alternate, Guard):
            self._alternate = Guard(self._alternate.driver, offload)

    def get(self, path: str) -> bytes:
        if not self._keeps(path):
            return self._alternate.get(path)
        with self.open_reader(path) as reader:
            content = b"".join(reader)
            if isinstance(reader, _ImageReader):
                reader.compare(content)
        return content

    def put(self, path: str, content: bytes) -> None:
        if not self._keeps(path):
            self._alternate.put(path, content)
            return
        with self.open_writer(path) as writer:
            writer.write(content)
            writer.commit()

    def create(self, path: str, content: bytes) -> bool:
        """In the other driver, for Glance has nothing like it."""
        if self._keeps(path) and self.images.find(path) is not None:
            return False
        return self._alternate.create(path, content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        image = self.images.find(path) if self._keeps(path) else None
        if image is None:
            return self._alternate.open_reader(path, offset, length)
        while True:
            rest = max(0, image["size"] - offset)
            size = rest if length is None else min(rest, length)
            if not size:
                return EmptyReader()
            try:
                return _ImageReader(self.images, path, image, offset, size)
            except PathNotFound:
                image = self.images.successor(path, image)

    def open_writer(self, path: str) -> Writer:
        if not self._keeps(path):
            return self._alternate.open_writer(path)
        return _ImageWriter(self.images, self._alternate, path)

    def stat(self, path: str) -> Stat:
        image = self.images.find(path) if self._keeps(path) else None
        if image is None:
            return self._alternate.stat(path)
        return Stat(image["size"], datetime.fromisoformat(image["updated_at"]).timestamp())

    def exists(self, path: str) -> bool:
        if self._keeps(path) and self.images.find(path) is not None:
            return True
        return self._alternate.exists(path) or any(True for _ in self._below(path))

    def list(self, path: str) -> Iterator[str]:
        names = {name.partition("/")[0] for name in self._below(path)}
        others: Iterator[str] = iter(())
        try:
            others = self._alternate.list(path)
        except PathNotFound:
            if not names:
                raise
        return chain((name for name in others if name not in names), names)

    def delete(self, path: str) -> None:
        images = self.images.at(path) if self._keeps(path) else []
        if not images and self._lies_above(path):
            images = list(self.images.below(path))
        for image in images:
            self.images.delete(path, image["id"])
        try:
            self._alternate.delete(path)
        except PathNotFound:
            if not images:
                raise

    def move(self, source: str, target: str) -> None:
        image = self.images.find(source) if self._keeps(source) else None
        if image is None and not self._keeps(target):
            self._alternate.move(source, target)
        elif image is None or not self._keeps(target):
            self._carry(source, target)
        elif source != target:
            self.images.commit(target, image["id"], moved_from=source)
            self.images.drop_superseded(target, self._alternate)

    def url_for(self, path: str) -> str | None:
        return None if self._keeps(path) else self._alternate.url_for(path)

    def local_path(self, path: str) -> Path | None:
        return None if self._keeps(path) else self._alternate.local_path(path)

    def _below(self, path: str) -> Iterator[str]:
        """What is below a path in Glance, by the rest of its path."""
        if self._lies_above(path):
            for image in self.images.below(path):
                yield self.images.path_of(image)[len(path) + 1 :]

    def _carry(self, source: str, target: str) -> None:
        """From one of the two stores to the other."""
        with self.open_reader(source) as reader, self.open_writer(target) as writer:
            for block in reader:
                writer.write(block)
            writer.commit()
        self.delete(source)


class _ImageReader(ResumingReader):
    """Pinned to one image, whose data never change."""

    def __init__(self, images: Images, path: str, image: Image, offset: int, length: int) -> None:
        self._images = images
        self._image = image
        super().__init__(path, images.retry, offset, length)

    def compare(self, content: bytes) -> None:
        """Raises StorageFailure unless these are the image's data."""
        expected = self._image.get("checksum")
        if expected not in (None, hashlib.md5(content, usedforsecurity=False).hexdigest()):
            raise StorageFailure(self._path, "Glance's bytes are not those of their checksum")

    def _open(self, position: int, left: int | None) -> tuple[RawBody, int]:
        size = self._image["size"] - position if left is None else left
        whole = position == 0 and size == self._image["size"]
        return RawBody(self._images.download(self._path, self._image["id"], position, size, whole)), size


class _ImageWriter(Writer):
    """What fits the buffer is uploaded when it is committed; more while it is written."""

    def __init__(self, images: Images, alternate: Driver, path: str) -> None:
        self._images = images
        self._alternate = alternate
        self._path = path
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0
        # Mapped memory, which goes back when it is let go.
        self._buffer = memoryview(mmap.mmap(-1, images.settings.buffer_bytes))
        self._image = ""
        self._upload: Upload | None = None

    def write(self, block: bytes) -> None:
        self._md5.update(block)
        data = memoryview(block)
        if self._upload is None and self._size + len(data) <= len(self._buffer):
            self._buffer[self._size : self._size + len(data)] = data
        else:
            with self._once():
                self._stream(data)
        self._size += len(data)

    def commit(self) -> None:
        if self._upload is None:
            self._send_buffer()
        else:
            with self._once():
                self._end(self._upload)
        self._images.commit(self._path, self._image)
        self._image = ""
        self._images.drop_superseded(self._path, self._alternate)

    def cancel(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.close()
        image, self._image = self._image, ""
        if image:
            # What Glance will not do now, a later start does.
            with suppress(StorageProblem):
                self._images.delete(self._path, image)

    def _begin(self) -> Upload:
        self._image = self._images.begin(self._path)
        self._upload = self._images.upload(self._path, self._image)
        self._upload.send(self._buffer[: self._size])
        return self._upload

    def _stream(self, data: memoryview) -> None:
        """Send past the buffer, beginning with what is in it."""
        (self._upload or self._begin()).send(data)

    def _send_buffer(self) -> None:
        """Upload what is in the buffer, each attempt to a new image."""

        def attempt(number: int) -> None:
            try:
                self._end(self._begin())
            except UploadBroken as error:
                self.cancel()
                raise NoAnswer(self._path, f"{error} at attempt {number}") from error

        self._images.retry.call(attempt, lambda error: isinstance(error.__cause__, UploadBroken))

    def _end(self, upload: Upload) -> None:
        """Have the data taken, and see that they were. Raises UploadBroken where another attempt may help."""
        try:
            status = upload.finish()
        except UploadBroken:
            # The answer may be all that was lost.
            if not self._is_whole():
                raise
            return
        if status in TRANSIENT_STATUSES:
            raise UploadBroken(f"Glance answers {status}")
        if not 200 <= status < 300:
            raise problem_of(self._path, status, 1)
        if not self._is_whole():
            raise UploadBroken("Glance has other bytes than were sent")

    def _is_whole(self) -> bool:
        return self._images.is_whole(self._path, self._image, self._size, self._md5.hexdigest())

    @contextmanager
    def _once(self) -> Iterator[None]:
        """What breaks in here cannot be done again."""
        try:
            yield
        except UploadBroken as error:
            raise StorageFailure(self._path, f"{error}, past what can be repeated") from error
