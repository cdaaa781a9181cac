"""Keeps contents as objects of one Swift container (docs/storage.md).

A content up to `segment_bytes` is one object. A larger one is a static large object: segments in a container beside,
below a name of their own, the *upload*, and a manifest at the path, which makes them appear at once. Moving such a
content writes its manifest anew and leaves the segments where they are. So that they are never lost and never left:

    a manifest names its upload in its metadata
    whoever begins, moves, replaces or deletes an upload first writes down at which paths its manifest may be;
        the record goes when all is done
    segments are deleted only when the upload's manifest is at none of the paths written down
    records that stay, of processes that were killed, are settled the same way when a driver starts

Segments of a content that was replaced stay for an hour more: somebody may be reading it.

Swift promises little. It looks at `If-None-Match: *` before a PUT and not when it is done, so that of eight at once
five may pass. Whoever creates therefore stands as a candidate first (`exclusive_create`); one who is silent for
PATIENCE_SECONDS counts as dead. While a cluster is ailing its listings may lag behind; then `create` may admit two, and
`list` and `delete` miss what was just written. What is got and looked at is asked of all replicas (X-Newest).
"""

from __future__ import annotations

import hashlib
import json
import mmap
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from swiftclient import client
from swiftclient.utils import generate_temp_url

from common.settings import SettingsError, load
from registry_service.storage.driver import (
    BLOCK,
    BadPath,
    Driver,
    PathNotFound,
    Reader,
    Stat,
    StorageFailure,
    StorageProblem,
    Writer,
)
from registry_service.storage.exclusive_create import CandidateStore, ExclusiveCreate
from registry_service.storage.resuming import EmptyReader, ResumingReader
from registry_service.storage.retrying import Refused
from registry_service.storage.swift_account import MIB, Account, SwiftSettings, named

LEFTOVER_SECONDS = 48 * 3600.0
"""A record this old belongs to a process that was killed."""

OWN = "_swift"
"""Where the driver keeps what is not for others: segments, records, candidates for creation."""

PATIENCE_SECONDS = 10.0
"""Age at which a candidate for a creation counts as dead."""

READERS_SECONDS = 3600
"""How long segments of a replaced content stay for whoever is reading it."""

SHARED_SECONDS = 300.0
"""For how long at most the same signed URL is given again."""

_NEWEST = {"X-Newest": "true"}
_UPLOAD = "x-object-meta-wharfinger-upload"
_TOKEN = "x-object-meta-wharfinger-mark"
"""Idempotency token: whose request made an object that is found there when the request is retried."""

_PLAIN = "application/octet-stream"

_DIGESTS = ("sha256", "sha512", "sha1")
"""For temporary URLs, the best first; clusters that do not say which they know, know the last."""

Entry = Mapping[str, Any]
Buffer = bytes | memoryview


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
        self.settings = settings
        self.root = "".join(f"{name}/" for name in storage_path.split("/") if name)
        self._account = Account(settings)
        self.retry = self._account.retry
        self.known = _Known(self._account.capabilities(), settings)
        self.segments = Segments(self, settings.segments_container or f"{settings.container}_segments")
        self._exclusive = ExclusiveCreate(
            _Candidates(self, self.segments), lifetime_seconds=patience_seconds, patience_seconds=2 * patience_seconds
        )
        self._signer = self._try_out()
        self.segments.sweep(leftover_seconds)

    def get(self, path: str) -> bytes:
        with _ObjectReader(self, path, 0, None, _NEWEST) as reader:
            content = b"".join(reader)
        if reader.md5 not in (None, hashlib.md5(content, usedforsecurity=False).hexdigest()):
            raise StorageFailure(path, "the store's bytes are not those of their checksum")
        return content

    def put(self, path: str, content: bytes) -> None:
        self.put_small(path, content)

    def create(self, path: str, content: bytes) -> bool:
        return self._exclusive.create(path, content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        if length == 0:
            self.head(path)
            return EmptyReader()
        return _ObjectReader(self, path, offset, length, {})

    def open_writer(self, path: str) -> Writer:
        return _ObjectWriter(self, path)

    def stat(self, path: str) -> Stat:
        found = self.head(path)
        return Stat(int(found["content-length"]), float(found["x-timestamp"]))

    def exists(self, path: str) -> bool:
        return self.is_object(path) or any(True for _ in self._entries(path, limit=2))

    def list(self, path: str) -> Iterator[str]:
        names = self._names_below(path)
        first = next(names, None)
        if first is None:
            raise PathNotFound(path)
        return chain((first,), names)

    def delete(self, path: str) -> None:
        if self.is_object(path):
            self._delete_one(path)
            return
        found = False
        for page in _batches(self._entries(path)):
            found = True
            large = [entry["name"] for entry in page if "slo_etag" in entry]
            self.delete_names(path, self.settings.container, [e["name"] for e in page if "slo_etag" not in e])
            for name in large:
                with suppress(PathNotFound):
                    self._delete_one(name.removeprefix(self.root))
        if not found:
            raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        upload = self.head(source).get(_UPLOAD)
        if source == target:
            return
        with self.segments.replacing(target, upload):
            if upload is not None:
                self.segments.record(source, upload, {source, target})
            self._copy(source, target)
            with suppress(PathNotFound):
                self.ask(source, client.delete_object, self.settings.container, self.key(source))
            if upload is not None:
                self.segments.settled(source, upload)

    def url_for(self, path: str) -> str | None:
        return self._signer and self._signer(self.key(path))

    def local_path(self, path: str) -> Path | None:
        return None

    def key(self, path: str) -> str:
        """The name of the object at a path. Raises BadPath for what is the driver's own."""
        if path.partition("/")[0] == OWN:
            raise BadPath(path)
        return self.root + path

    def ask(self, path: str, function: Callable[..., Any], *arguments: Any, **named_ones: Any) -> Any:
        """See `Account.ask`."""
        return self._account.ask(path, function, *arguments, **named_ones)

    def head(self, path: str) -> Mapping[str, str]:
        """Headers of the object, of the newest of its replicas. Raises PathNotFound."""
        found: Mapping[str, str] = self.ask(
            path, client.head_object, self.settings.container, self.key(path), headers=_NEWEST
        )
        return found

    def upload_at(self, path: str) -> str | None:
        """Which upload's manifest is there."""
        try:
            return self.head(path).get(_UPLOAD)
        except PathNotFound:
            return None

    def put_small(self, path: str, content: Buffer) -> None:
        """PUT a content of one object. Where nothing is there, which is the rule, nothing needs to be looked at."""
        # A refusal may come, and the connection go, while a long body is being sent.
        if len(content) > MIB or not self._put_unless_there(path, content, {}):
            with self.segments.replacing(path):
                self.put_object(path, self.settings.container, self.key(path), content)

    def put_object(self, path: str, container: str, name: str, content: Buffer, **named_ones: Any) -> str:
        """PUT one object, on behalf of `path`, and have the store compare checksums. Returns its MD5."""
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()

        def put(url: str, token: str, http_conn: Any) -> Any:
            body = _Body(content) if content else b""
            return client.put_object(
                url, token, container, name, body, len(content), md5, content_type=_PLAIN,
                http_conn=http_conn, **named_ones,
            )  # fmt: skip

        try:
            self.ask(path, put)
        except PathNotFound as error:
            raise StorageFailure(path, f"the container {container} is gone") from error
        return md5

    def put_manifest(self, path: str, container: str, name: str, parts: Sequence[Entry], upload: str) -> str:
        """Make one object of many; the store looks at each first. Returns its checksum, quoted."""
        answer: dict[str, Any] = {}
        self.ask(
            path, client.put_object, container, name, json.dumps(parts), content_type=_PLAIN,
            query_string="multipart-manifest=put", headers={_UPLOAD: upload}, response_dict=answer,
        )  # fmt: skip
        return str(answer["headers"].get("etag", "")).strip('"')

    def delete_names(self, path: str, container: str, names: Sequence[str]) -> None:
        """Delete objects, many at once where the cluster can; those that are not there are no matter."""
        if not names:
            return
        if self.known.deletes < 2:
            for name in names:
                with suppress(PathNotFound):
                    self.ask(path, client.delete_object, container, name)
            return
        for start in range(0, len(names), self.known.deletes):
            lines = [f"{quote(container)}/{quote(name)}" for name in names[start : start + self.known.deletes]]
            self._delete_many(path, "\n".join(lines).encode())

    def listed(self, path: str, container: str, prefix: str, **named_ones: Any) -> Iterator[Entry]:
        """Entries of a container by their prefix, page by page: Swift shows no more at once than it likes."""
        marker = ""
        while True:
            _, page = self.ask(
                path, client.get_container, container, prefix=prefix, marker=marker, headers=_NEWEST, **named_ones
            )
            yield from page
            if len(page) < self.known.page:
                return
            following = page[-1].get("name", page[-1].get("subdir"))
            if following <= marker:
                raise StorageFailure(path, "the store's listing does not go on")
            marker = following

    def _entries(self, path: str, **named_ones: Any) -> Iterator[Entry]:
        """What is below a path, but not a marker of the path with a slash, which some clients make for a folder."""
        folder = f"{self.key(path)}/"
        for entry in self.listed(path, self.settings.container, folder, **named_ones):
            if entry.get("name") != folder:
                yield entry

    def _names_below(self, path: str) -> Iterator[str]:
        start = len(self.key(path)) + 1
        last = None
        for entry in self._entries(path, delimiter="/"):
            name = entry.get("name", entry.get("subdir"))[start:].rstrip("/")
            # A page may begin with the folder that the one before ended with.
            if name and name != last:
                yield name
            last = name

    def _put_unless_there(self, path: str, content: Buffer, metadata: Mapping[str, str]) -> bool:
        headers = {"If-None-Match": "*", **metadata}
        try:
            self.put_object(path, self.settings.container, self.key(path), content, headers=headers)
        except Refused as refused:
            if refused.status != 412:
                raise
            return False
        return True

    def put_new(self, path: str, content: bytes) -> bool:
        """PUT a content of one object unless one is there: of several at once more than one may be told that it did."""
        token = secrets.token_hex(16)
        if self._put_unless_there(path, content, {_TOKEN: token}):
            return True
        # Refused and ours: an earlier attempt's answer was lost.
        try:
            return self.head(path).get(_TOKEN) == token
        except PathNotFound:
            return False

    def is_object(self, path: str) -> bool:
        try:
            self.head(path)
        except PathNotFound:
            return False
        return True

    def _delete_one(self, path: str) -> None:
        """Delete an object; of a manifest of ours the segments too, unless it is elsewhere as well."""
        upload = self.upload_at(path)
        if upload is not None:
            self.segments.record(path, upload, {path})
        with suppress(PathNotFound):
            self.ask(path, client.delete_object, self.settings.container, self.key(path))
        if upload is not None:
            self.segments.settle(path, upload)

    def _delete_many(self, path: str, lines: bytes) -> None:
        headers = {"Content-Type": "text/plain", "Accept": "application/json"}
        _, body = self.ask(path, client.post_account, headers, query_string="bulk-delete", data=lines)
        said = json.loads(body)
        if said["Errors"] or not said["Response Status"].startswith(("200", "404")):
            raise StorageFailure(path, f"the store left {len(said['Errors'])} undeleted: {said['Response Status']}")

    def _copy(self, source: str, target: str) -> None:
        """Have the store copy an object; of a large one the manifest, which it checks anew."""
        origin = f"/{quote(self.settings.container)}/{quote(self.key(source))}"
        self.ask(
            source, client.put_object, self.settings.container, self.key(target), b"",
            query_string="multipart-manifest=get", headers={"X-Copy-From": origin},
        )  # fmt: skip

    def _try_out(self) -> Callable[[str], str] | None:
        """Look at both containers, and learn how to sign. Raises SettingsError."""
        container = self.settings.container
        try:
            headers = self.ask(container, client.head_container, container)
            self.segments.require_container()
            return _signer(self._account, self.settings, self.known, headers)
        except PathNotFound as error:
            raise SettingsError(
                f"{named('container')}: there is no container {container!r}: create it (swift post {container}), "
                "or mend the name"
            ) from error
        except Refused as error:
            if error.status not in (401, 403):
                raise SettingsError(f"swift: {self._account.url} cannot be used: {error.reason}") from error
            raise SettingsError(
                f"{named('user')} may not use the container {container!r} and its segments' "
                f"(the store answers {error.status}): give it the right to read and write there"
            ) from error
        except StorageProblem as error:
            raise SettingsError(f"swift: {self._account.url} cannot be used: {error.reason}") from error


class _Known:
    """What a cluster can, as it says itself; of one that does not, the least is believed."""

    def __init__(self, said: Mapping[str, Any], settings: SwiftSettings) -> None:
        swift, bulk = said.get("swift", {}), said.get("bulk_delete", {})
        self.page = int(swift.get("container_listing_limit", 1))
        self.deletes = min(1000, int(bulk.get("max_deletes_per_request", 1)))
        self.segment = min(settings.segment_bytes, int(swift.get("max_file_size", settings.segment_bytes)))
        self.parts = int(said.get("slo", {}).get("max_manifest_segments", 1000))
        self.signs = "tempurl" in said or not said
        allowed = said.get("tempurl", {}).get("allowed_digests", ())
        self.digest = next((one for one in _DIGESTS if one in allowed), _DIGESTS[-1])


class Segments:
    """The uploads of one store, in a container of their own: segments, and records of what is not settled yet."""

    def __init__(self, store: Swift, container: str) -> None:
        self._store = store
        self._container = container
        self._own = f"{store.root}{OWN}/"

    def require_container(self) -> None:
        """Make the container if it is not there."""
        try:
            self._store.ask(self._container, client.head_container, self._container)
        except PathNotFound:
            self._store.ask(self._container, client.put_container, self._container)

    def new_upload(self) -> str:
        """A name for segments that belong together: their container, and what nobody else has."""
        return f"{self._container}/{secrets.token_hex(16)}"

    def put(self, path: str, upload: str, number: int, content: Buffer) -> Entry:
        """Store one segment; returns its entry in a manifest."""
        container, folder = self._folder(upload)
        name = f"{folder}{number:08d}"
        md5 = self._store.put_object(path, container, name, content)
        return {"path": f"/{container}/{name}", "etag": md5, "size_bytes": len(content)}

    def gather(self, path: str, upload: str, parts: Sequence[Entry], most: int) -> Sequence[Entry]:
        """The same bytes in `most` parts at most: a manifest's parts may be manifests."""
        level = 0
        while len(parts) > most:
            level += 1
            groups = [parts[start : start + most] for start in range(0, len(parts), most)]
            parts = [self._group(path, upload, f"group{level}.{n:08d}", group) for n, group in enumerate(groups)]
        return parts

    def record(self, path: str, upload: str, paths: Iterable[str]) -> None:
        """Write down where the upload's manifest may be from now on, besides where it was written down before."""
        container, folder = self._records(upload)
        for noted in paths:
            self._store.put_object(path, container, folder + noted, b"")

    def settled(self, path: str, upload: str) -> None:
        """Nothing is left to do: forget what was written down."""
        container, folder = self._records(upload)
        self._store.delete_names(path, container, [folder + noted for noted in self._noted(path, upload)])

    def settle(self, path: str, upload: str, keep_seconds: int = 0) -> None:
        """Delete the segments, now or later, unless the manifest is at one of the paths written down.

        Where nothing is written down any more, somebody else has settled it.
        """
        noted = self._noted(path, upload)
        if noted and not any(self._store.upload_at(one) == upload for one in noted):
            container, folder = self._folder(upload)
            names = [entry["name"] for entry in self._store.listed(path, container, folder)]
            if keep_seconds:
                for name in names:
                    self._expire(path, container, name, keep_seconds)
            else:
                self._store.delete_names(path, container, names)
        self.settled(path, upload)

    def replacing(self, path: str, upload: str | None = None) -> _Replacing:
        """Around a write at a path: what it replaces goes when the last reader may be done. Not `upload` itself."""
        return _Replacing(self._store, path, upload)

    def sweep(self, leftover_seconds: float) -> None:
        """Settle what killed processes left. The store's trouble is not the start's, which has seen that it works."""
        oldest = time.time() - leftover_seconds
        with suppress(StorageProblem):
            folder = f"{self._own}unsettled/"
            records = list(self._store.listed("", self._container, folder))
            names = {entry["name"].removeprefix(folder) for entry in records if _changed(entry) < oldest}
            for upload in {name.partition("/")[0] for name in names}:
                self.settle("", f"{self._container}/{upload}")

    def candidates(self, path: str) -> tuple[str, str]:
        """Where candidates for the creation of a path stand: container and prefix."""
        return self._container, f"{self._own}creating/{hashlib.sha256(path.encode()).hexdigest()}/"

    def _folder(self, upload: str) -> tuple[str, str]:
        """Where an upload's segments are: container and prefix."""
        container, _, name = upload.partition("/")
        return container, f"{self._own}segments/{name}/"

    def _records(self, upload: str) -> tuple[str, str]:
        """Where it is written down what is to be settled of an upload: container and prefix."""
        container, _, name = upload.partition("/")
        return container, f"{self._own}unsettled/{name}/"

    def _noted(self, path: str, upload: str) -> list[str]:
        container, folder = self._records(upload)
        return [entry["name"].removeprefix(folder) for entry in self._store.listed(path, container, folder)]

    def _group(self, path: str, upload: str, name: str, parts: Sequence[Entry]) -> Entry:
        container, folder = self._folder(upload)
        etag = self._store.put_manifest(path, container, folder + name, parts, upload)
        size = sum(part["size_bytes"] for part in parts)
        return {"path": f"/{container}/{folder}{name}", "etag": etag, "size_bytes": size}

    def _expire(self, path: str, container: str, name: str, keep_seconds: int) -> None:
        with suppress(PathNotFound):
            headers = {"X-Delete-After": str(keep_seconds)}
            self._store.ask(path, client.post_object, container, name, headers)


class _Candidates(CandidateStore):
    """Candidates for creations, beside the segments; what is created is written on condition as well."""

    def __init__(self, store: Swift, segments: Segments) -> None:
        self._store = store
        self._segments = segments

    def exists(self, path: str) -> bool:
        return self._store.is_object(path)

    def write(self, path: str, content: bytes) -> bool:
        return self._store.put_new(path, content)

    def enter(self, path: str) -> str:
        candidate = secrets.token_hex(16)
        container, folder = self._segments.candidates(path)
        self._store.put_object(path, container, folder + candidate, b"")
        return candidate

    def standing(self, path: str) -> Mapping[str, float | None]:
        container, folder = self._segments.candidates(path)
        listed = self._store.listed(path, container, folder)
        return {entry["name"].removeprefix(folder): _changed(entry) for entry in listed}

    def entered_at(self, path: str, candidate: str) -> float:
        container, folder = self._segments.candidates(path)
        found = self._store.ask(path, client.head_object, container, folder + candidate, headers=_NEWEST)
        return float(found["x-timestamp"])

    def withdraw(self, path: str, candidate: str) -> None:
        container, folder = self._segments.candidates(path)
        self._store.delete_names(path, container, [folder + candidate])


class _Replacing:
    """Sees to the upload that a write is about to replace."""

    def __init__(self, store: Swift, path: str, upload: str | None) -> None:
        self._store = store
        self._path = path
        self._upload = upload

    def __enter__(self) -> None:
        old = self._store.upload_at(self._path)
        self._old = None if old == self._upload else old
        if self._old is not None:
            self._store.segments.record(self._path, self._old, {self._path})

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a failure nobody knows whether it was replaced; the record stays for a later start.
        if self._old is not None and kind is None:
            self._store.segments.settle(self._path, self._old, READERS_SECONDS)


class _ObjectReader(ResumingReader):
    """Pinned to one version of the object by its entity tag."""

    def __init__(self, store: Swift, path: str, offset: int, length: int | None, headers: Mapping[str, str]) -> None:
        self._store = store
        self._headers = headers
        self._etag: str | None = None
        self.md5: str | None = None
        super().__init__(path, store.retry, offset, length)

    def _open(self, position: int, left: int | None) -> tuple[Any, int]:
        asked = {**self._headers, **_range(position, left)}
        if self._etag is not None:
            asked = {"If-Match": f'"{self._etag}"', **_range(position, left)}
        answer, body = self._store.ask(
            self._path, client.get_object, self._store.settings.container, self._store.key(self._path),
            headers=asked, resp_chunk_size=BLOCK,
        )  # fmt: skip
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


class _Body:
    """A buffer as swiftclient reads it, in pieces larger than it asks for."""

    def __init__(self, content: Buffer) -> None:
        self._rest = memoryview(content)

    def read(self, _size: int = -1) -> memoryview:
        piece, self._rest = self._rest[:BLOCK], self._rest[BLOCK:]
        return piece


class _ObjectWriter(Writer):
    """One segment in memory. What fits it is one PUT; more becomes an upload, dropped unless committed."""

    def __init__(self, store: Swift, path: str) -> None:
        self._store = store
        self._path = path
        self._segment = _Segment(store.known.segment)
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
            self._store.put_small(self._path, self._segment.content())
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
                self._store.segments.settle(self._path, upload)

    def _send(self) -> None:
        if self._upload is None:
            self._upload = self._store.segments.new_upload()
            self._store.segments.record(self._path, self._upload, {self._path})
        content = self._segment.content()
        self._parts.append(self._store.segments.put(self._path, self._upload, len(self._parts), content))
        self._segment.clear()

    def _publish(self, upload: str) -> None:
        store, path = self._store, self._path
        parts = store.segments.gather(path, upload, self._parts, store.known.parts)
        with store.segments.replacing(path):
            store.put_manifest(path, store.settings.container, store.key(path), parts, upload)
            self._see(upload)

    def _see(self, upload: str) -> None:
        """Look at what was written until it is there: a cluster may take a moment. Another's by then is as good."""
        try:
            there = self._store.retry.call(lambda _: self._store.head(self._path).get(_UPLOAD), _is_absence)
        except PathNotFound as absence:
            raise StorageFailure(self._path, "written, and not there to read") from absence
        if there == upload:
            self._store.segments.settled(self._path, upload)
        else:
            self._store.segments.settle(self._path, upload, READERS_SECONDS)


def _is_absence(error: Exception) -> bool:
    return isinstance(error, PathNotFound)


def _range(first: int, length: int | None) -> dict[str, str]:
    if not first and length is None:
        return {}
    return {"Range": f"bytes={first}-{'' if length is None else first + length - 1}"}


def _changed(entry: Entry) -> float:
    return datetime.fromisoformat(entry["last_modified"]).replace(tzinfo=UTC).timestamp()


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == 1000:
            yield batch
            batch = []
    if batch:
        yield batch


def _signer(
    account: Account, settings: SwiftSettings, known: _Known, headers: Mapping[str, str]
) -> Callable[[str], str] | None:
    """What signs a name, with the key of the account or container; None where nothing is to be signed.

    Raises SettingsError.
    """
    whose = settings.temporary_urls
    if whose == "off":
        return None
    if not known.signs:
        raise SettingsError(f"{named('temporary_urls')}: the cluster has no temporary URLs: say off")
    if whose == "account":
        headers = account.ask("", client.head_account)
    key = _key(account, settings, whose, headers)
    parts = urlsplit(settings.url_endpoint or account.url)
    folder = f"{parts.path}/{settings.container}/"
    shared = max(1.0, min(settings.url_seconds / 4, SHARED_SECONDS))

    def sign(name: str) -> str:
        # One address for a while, so that caches know it again.
        end = int(time.time() // shared * shared + settings.url_seconds)
        # Signed is the path as it is, sent the path as it is quoted.
        signed = generate_temp_url(folder + name, end, key, "GET", absolute=True, digest=known.digest)
        return f"{parts.scheme}://{parts.netloc}{quote(folder + name)}?{signed.partition('?')[2]}"

    return sign


def _key(account: Account, settings: SwiftSettings, whose: str, headers: Mapping[str, str]) -> str:
    """The key to sign with: the one given, set where it is not yet, or the one that is there."""
    header = f"x-{whose}-meta-temp-url-key"
    there = [headers[name] for name in (header, f"{header}-2") if headers.get(name)]
    given = settings.temporary_url_key
    if not given and not there:
        raise SettingsError(f"{named('temporary_url_key')} is not set, and the {whose} has none: give one")
    if not given or given in there:
        return given or there[0]
    if len(there) == 2:
        raise SettingsError(
            f"{named('temporary_url_key')} is neither of the {whose}'s two keys: use one of them, or remove one"
        )
    free = header if not headers.get(header) else f"{header}-2"
    if whose == "container":
        account.ask("", client.post_container, settings.container, {free: given})
    else:
        account.ask("", client.post_account, {free: given})
    return given
