"""Keeps contents as objects of one Swift container (docs/storage.md).

A content up to `segment_bytes` is one object. A larger one is a static large object: segments in a container beside,
below a name of their own, the *upload*, and a manifest at the path, which makes them appear at once. Moving such a
content writes its manifest anew and leaves the segments where they are (`segments`).

Three floors: `objects` asks for objects, `segments` knows what they are parts of, and here is the driver.

Swift promises little. It looks at `If-None-Match: *` before a PUT and not when it is done, so that of eight at once
five may pass. Whoever creates therefore stands as a candidate first (`exclusive_create`); one who is silent for
PATIENCE_SECONDS counts as dead. While a cluster is ailing its listings may lag behind; then `create` may admit two, and
`list` and `delete` miss what was just written. What is got and looked at is asked of all replicas (X-Newest).
"""

from __future__ import annotations

import hashlib
import mmap
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from swiftclient import client

from common.settings import SettingsError, load
from registry_service.storage.driver import Driver, PathNotFound, Reader, Stat, StorageFailure, StorageProblem, Writer
from registry_service.storage.exclusive_create import CandidateStore, ExclusiveCreate
from registry_service.storage.resuming import Body, EmptyReader, ResumingReader
from registry_service.storage.retrying import Refused
from registry_service.storage.swift.account import SwiftSettings, named
from registry_service.storage.swift.objects import NEWEST, UPLOAD, Entry, Objects, changed
from registry_service.storage.swift.segments import READERS_SECONDS, Segments
from registry_service.storage.swift.temporary_urls import signer

LEFTOVER_SECONDS = 48 * 3600.0
"""A record this old belongs to a process that was killed."""

PATIENCE_SECONDS = 10.0
"""Age at which a candidate for a creation counts as dead."""


def from_environ(storage_path: str, environ: Mapping[str, str]) -> Swift:
    """Raises SettingsError."""
    return Swift(load(SwiftSettings, "swift", environ), storage_path)


class Swift(Driver):
    """Objects of one container, whose names begin with `storage_path`."""

    name = "swift"
    is_blocking = False

    def __init__(
        self,
        settings: SwiftSettings,
        storage_path: str,
        *,
        leftover_seconds: float = LEFTOVER_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Try the containers out and sweep. Raises SettingsError saying what to mend."""
        self._settings = settings
        self._objects = Objects(settings, storage_path)
        self._segments = Segments(self._objects)
        self._exclusive = ExclusiveCreate(
            _Candidates(self._objects, self._segments),
            lifetime_seconds=patience_seconds,
            patience_seconds=2 * patience_seconds,
        )
        self._signer = self._try_out()
        self._leftover_seconds = leftover_seconds
        self.sweep()

    def sweep(self) -> None:
        self._segments.sweep(self._leftover_seconds)

    def get(self, path: str) -> bytes:
        with _ObjectReader(self._objects, path, 0, None, NEWEST) as reader:
            content = b"".join(reader)
        if reader.md5 not in (None, hashlib.md5(content, usedforsecurity=False).hexdigest()):
            raise StorageFailure(path, "the store's bytes are not those of their checksum")
        return content

    def put(self, path: str, content: bytes) -> None:
        self._segments.put_small(path, content)

    def create(self, path: str, content: bytes) -> bool:
        return self._exclusive.create(path, content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        if length == 0:
            self._objects.head(path)
            return EmptyReader()
        return _ObjectReader(self._objects, path, offset, length, {})

    def open_writer(self, path: str) -> Writer:
        return _ObjectWriter(self._objects, self._segments, path)

    def stat(self, path: str) -> Stat:
        found = self._objects.head(path)
        return Stat(int(found["content-length"]), float(found["x-timestamp"]))

    def exists(self, path: str) -> bool:
        return self._objects.is_object(path) or any(True for _ in self._entries(path, limit=2))

    def list(self, path: str) -> Iterator[str]:
        names = self._names_below(path)
        first = next(names, None)
        if first is None:
            raise PathNotFound(path)
        return chain((first,), names)

    def delete(self, path: str) -> None:
        if self._objects.is_object(path):
            self._delete_one(path)
            return
        found = False
        for page in _batches(self._entries(path)):
            found = True
            large = [entry["name"] for entry in page if "slo_etag" in entry]
            self._objects.delete_names(path, self._settings.container, [e["name"] for e in page if "slo_etag" not in e])
            for name in large:
                with suppress(PathNotFound):
                    self._delete_one(name.removeprefix(self._objects.root))
        if not found:
            raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        upload = self._objects.head(source).get(UPLOAD)
        if source == target:
            return
        with self._segments.replacing(target, upload):
            if upload is not None:
                self._segments.record(source, upload, {source, target})
            self._objects.copy(source, target)
            self._objects.delete(source)
            if upload is not None:
                self._segments.settled(source, upload)

    def url_for(self, path: str) -> str | None:
        return self._signer and self._signer(self._objects.key(path))

    def local_path(self, path: str) -> Path | None:
        return None

    def _entries(self, path: str, **named_ones: Any) -> Iterator[Entry]:
        """What is below a path, but not a marker of the path with a slash, which some clients make for a folder."""
        folder = f"{self._objects.key(path)}/"
        for entry in self._objects.listed(path, self._settings.container, folder, **named_ones):
            if entry.get("name") != folder:
                yield entry

    def _names_below(self, path: str) -> Iterator[str]:
        start = len(self._objects.key(path)) + 1
        last = None
        for entry in self._entries(path, delimiter="/"):
            name = entry.get("name", entry.get("subdir"))[start:].rstrip("/")
            # A page may begin with the folder that the one before ended with.
            if name and name != last:
                yield name
            last = name

    def _delete_one(self, path: str) -> None:
        """Delete an object; of a manifest of ours the segments too, unless it is elsewhere as well."""
        upload = self._objects.upload_at(path)
        if upload is not None:
            self._segments.record(path, upload, {path})
        self._objects.delete(path)
        if upload is not None:
            self._segments.settle(path, upload)

    def _try_out(self) -> Callable[[str], str] | None:
        """Look at both containers, and learn how to sign. Raises SettingsError."""
        container = self._settings.container
        try:
            headers = self._objects.ask(container, client.head_container, container)
            self._segments.require_container()
            return signer(self._objects.account, self._settings, self._objects.cluster, headers)
        except PathNotFound as error:
            raise SettingsError(
                f"{named('container')}: there is no container {container!r}: create it (swift post {container}), "
                "or mend the name"
            ) from error
        except Refused as error:
            if error.status not in (401, 403):
                raise SettingsError(f"swift: {self._objects.account.url} cannot be used: {error.reason}") from error
            raise SettingsError(
                f"{named('user')} may not use the container {container!r} and its segments' "
                f"(the store answers {error.status}): give it the right to read and write there"
            ) from error
        except StorageProblem as error:
            raise SettingsError(f"swift: {self._objects.account.url} cannot be used: {error.reason}") from error


class _Candidates(CandidateStore):
    """Candidates for creations, beside the segments; what is created is written on condition as well."""

    def __init__(self, objects: Objects, segments: Segments) -> None:
        self._objects = objects
        self._segments = segments

    def exists(self, path: str) -> bool:
        return self._objects.is_object(path)

    def write(self, path: str, content: bytes) -> bool:
        return self._objects.put_new(path, content)

    def enter(self, path: str) -> str:
        candidate = secrets.token_hex(16)
        container, folder = self._segments.candidates(path)
        self._objects.put_object(path, container, folder + candidate, b"")
        return candidate

    def standing(self, path: str) -> Mapping[str, float | None]:
        container, folder = self._segments.candidates(path)
        listed = self._objects.listed(path, container, folder)
        return {entry["name"].removeprefix(folder): changed(entry) for entry in listed}

    def entered_at(self, path: str, candidate: str) -> float:
        container, folder = self._segments.candidates(path)
        found = self._objects.ask(path, client.head_object, container, folder + candidate, headers=NEWEST)
        return float(found["x-timestamp"])

    def withdraw(self, path: str, candidate: str) -> None:
        container, folder = self._segments.candidates(path)
        self._objects.delete_names(path, container, [folder + candidate])


class _ObjectReader(ResumingReader):
    """Pinned to one version of the object by its entity tag."""

    def __init__(
        self, objects: Objects, path: str, offset: int, length: int | None, headers: Mapping[str, str]
    ) -> None:
        self._objects = objects
        self._headers = headers
        self._etag: str | None = None
        self.md5: str | None = None
        super().__init__(path, objects.retry, offset, length)

    def _open(self, position: int, left: int | None) -> tuple[Body, int]:
        asked = {**self._headers, **_range(position, left)}
        if self._etag is not None:
            asked = {"If-Match": f'"{self._etag}"', **_range(position, left)}
        answer, body = self._objects.get(self._path, asked)
        self._etag = answer["etag"].strip('"')
        if "x-static-large-object" not in answer and "x-object-manifest" not in answer:
            self.md5 = self._etag
        return body, int(answer["content-length"])


class _Segment:
    """What is written until there is enough of it to send.

    Mapped memory, which goes back when it is let go: of megabytes that grow in the heap, the heap keeps a multiple.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._memory = memoryview(mmap.mmap(-1, room))
        self._size = 0

    def is_full(self) -> bool:
        return self._size == self._room

    def take(self, block: memoryview) -> memoryview:
        """Keep what there is room for; returns the rest."""
        taken = block[: self._room - self._size]
        self._memory[self._size : self._size + len(taken)] = taken
        self._size += len(taken)
        return block[len(taken) :]

    def content(self) -> memoryview:
        return self._memory[: self._size]

    def clear(self) -> None:
        self._size = 0


class _ObjectWriter(Writer):
    """One segment in memory. What fits it is one PUT; more becomes an upload, dropped unless committed."""

    def __init__(self, objects: Objects, segments: Segments, path: str) -> None:
        self._objects = objects
        self._segments = segments
        self._path = path
        self._segment = _Segment(objects.cluster.segment)
        self._upload: str | None = None
        self._parts: list[Entry] = []

    def write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            if self._segment.is_full():
                self._send()
            rest = self._segment.take(rest)

    def commit(self) -> None:
        if self._upload is None:
            self._segments.put_small(self._path, self._segment.content())
            return
        self._send()
        self._publish(self._upload)
        self._upload = None

    def cancel(self) -> None:
        self._segment.clear()
        upload, self._upload = self._upload, None
        if upload is not None:
            # What the store will not do now, a later start does.
            with suppress(StorageProblem):
                self._segments.settle(self._path, upload)

    def _send(self) -> None:
        if self._upload is None:
            self._upload = self._segments.new_upload()
            self._segments.record(self._path, self._upload, {self._path})
        content = self._segment.content()
        self._parts.append(self._segments.put(self._path, self._upload, len(self._parts), content))
        self._segment.clear()

    def _publish(self, upload: str) -> None:
        objects, path = self._objects, self._path
        parts = self._segments.gather(path, upload, self._parts)
        with self._segments.replacing(path):
            objects.put_manifest(path, objects.settings.container, objects.key(path), parts, upload)
            self._see(upload)

    def _see(self, upload: str) -> None:
        """Look at what was written until it is there: a cluster may take a moment. Another's by then is as good."""
        try:
            there = self._objects.retry.call(lambda _: self._objects.head(self._path).get(UPLOAD), _is_absence)
        except PathNotFound as absence:
            raise StorageFailure(self._path, "written, and not there to read") from absence
        if there == upload:
            self._segments.settled(self._path, upload)
        else:
            self._segments.settle(self._path, upload, READERS_SECONDS)


def _is_absence(error: Exception) -> bool:
    return isinstance(error, PathNotFound)


def _range(first: int, length: int | None) -> dict[str, str]:
    if not first and length is None:
        return {}
    return {"Range": f"bytes={first}-{'' if length is None else first + length - 1}"}


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == 1000:
            yield batch
            batch = []
    if batch:
        yield batch
