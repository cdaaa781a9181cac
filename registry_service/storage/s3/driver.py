"""Keeps contents as objects of one S3 bucket, at AWS or whatever speaks as it does (docs/storage.md).

An object appears whole when its PUT or its multipart upload is completed, which is all that replacing atomically takes.
What such a store has not, and what stands for it here:

    create      a PUT on condition that nothing is there; `exclusive_create` at stores that ignore the condition
    move        a copy made by the store, part by part above what one request copies, then a delete
    reading on  what is being read may be replaced: a broken answer is resumed only if the object is still the same

Requests are retried (`requests`). An answer that was lost makes two of them ambiguous, the conditional PUT and the
completion of an upload: both leave an idempotency token in the object's metadata, by which a retry finds that its
predecessor did the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from itertools import chain
from pathlib import Path
from typing import Any

from common.settings import load
from registry_service.storage.driver import Driver, PathNotFound, Reader, Stat, StorageFailure, Writer
from registry_service.storage.exclusive_create import DriverCandidates, ExclusiveCreate
from registry_service.storage.resuming import EmptyReader, ResumingReader
from registry_service.storage.retrying import Refused, Retries
from registry_service.storage.s3.connections import Answer
from registry_service.storage.s3.requests import Bucket, Page, new_token
from registry_service.storage.s3.settings import S3Settings, named

PARTS = 10_000
"""A multipart upload has no more parts than these, anywhere."""

COPY_PART = 1024**3
"""Bytes that one request copies of an object too large for one."""


def from_environ(storage_path: str, environ: Mapping[str, str]) -> S3:
    """Raises SettingsError."""
    return S3(Bucket(load(S3Settings, "s3", environ), storage_path))


class S3(Driver):
    """Objects of one bucket."""

    name = "s3"
    is_blocking = False

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._settings = bucket.settings
        self._exclusive = ExclusiveCreate(DriverCandidates(self))
        self._deletes_many = True

    def sweep(self) -> None:
        self._bucket.sweep()

    def get(self, path: str) -> bytes:
        with self.open_reader(path) as reader:
            return b"".join(reader)

    def put(self, path: str, content: bytes) -> None:
        self._bucket.make(path, "put_object", Body=content)

    def create(self, path: str, content: bytes) -> bool:
        if not self._bucket.honours_conditions:
            return self._exclusive.create(path, content)
        token = new_token()
        conflicts = Retries(self._bucket.retry)
        while True:
            try:
                self._bucket.make(path, "put_object", Body=content, IfNoneMatch="*", Metadata=token)
            except Refused as refused:
                if refused.status == 412:
                    return refused.attempt > 1 and self._bucket.bears(path, token)
                # AWS: another one is being created right now.
                if refused.status != 409:
                    raise
                if not conflicts.wait():
                    raise StorageFailure(path, "others keep creating it") from refused
            else:
                return True

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        if length == 0:
            self._bucket.look(path)
            return EmptyReader()
        return _ObjectReader(self._bucket, path, offset, length)

    def open_writer(self, path: str) -> Writer:
        return _ObjectWriter(self._bucket, path)

    def stat(self, path: str) -> Stat:
        found = self._bucket.look(path)
        return Stat(_length(path, found), parsedate_to_datetime(found["Last-Modified"]).timestamp())

    def exists(self, path: str) -> bool:
        return self._is_object(path) or self._has_below(path)

    def list(self, path: str) -> Iterator[str]:
        return (name for name, _ in self.entries(path))

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        """An entity tag is the MD5 of what one request put, unless it was encrypted with a key of somebody's own."""
        entries = self._entries_below(path)
        first = next(entries, None)
        if first is None:
            raise PathNotFound(path)
        return chain((first,), entries)

    def delete(self, path: str) -> None:
        if self._is_object(path):
            self._bucket.ask(path, "delete_object")
            return
        found = False
        for page in self._pages(path):
            if page.objects:
                self._delete_keys(path, list(page.objects))
                found = True
        if not found:
            raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        found = self._bucket.look(source)
        if source == target:
            return
        try:
            self._copy(source, target, _length(source, found), found["ETag"])
        except Refused as refused:
            # Not every store copies every object, Ceph's no encrypted one.
            if refused.status not in (405, 501):
                raise
            self._carry(source, target)
        self._bucket.ask(source, "delete_object")

    def url_for(self, path: str) -> str | None:
        return self._bucket.signed_url(path)

    def local_path(self, path: str) -> Path | None:
        return None

    def _is_object(self, path: str) -> bool:
        try:
            self._bucket.look(path)
        except PathNotFound:
            return False
        return True

    def _pages(self, path: str, **limits: Any) -> Iterator[Page]:
        """Listings below a path, page by page."""
        page = self._bucket.page(path, "", **limits)
        yield page
        while page.goes_on_after:
            page = self._bucket.page(path, page.goes_on_after, **limits)
            yield page

    def _has_below(self, path: str) -> bool:
        """Whether there are objects below a path; that of the path with a slash, which consoles make, is none."""
        folder = f"{self._bucket.key(path)}/"
        return any(key != folder for page in self._pages(path, most=2) for key in page.objects)

    def _entries_below(self, path: str) -> Iterator[tuple[str, str | None]]:
        start = len(self._bucket.key(path)) + 1
        for page in self._pages(path, one_component=True):
            yield from ((prefix[start:-1], None) for prefix in page.prefixes if len(prefix) > start + 1)
            yield from ((key[start:], etag.strip('"')) for key, etag in page.objects.items() if len(key) > start)

    def _delete_keys(self, path: str, keys: Sequence[str]) -> None:
        if self._deletes_many:
            try:
                self._delete_batch(path, keys)
            except Refused as refused:
                if refused.status not in (400, 405, 501):
                    raise
                self._deletes_many = False
            else:
                return
        for key in keys:
            with suppress(PathNotFound):
                self._bucket.ask(path, "delete_object", Key=key)

    def _delete_batch(self, path: str, keys: Sequence[str]) -> None:
        batch = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        failed = self._bucket.ask_bucket(path, "delete_objects", Delete=batch).get("Errors")
        if failed:
            raise StorageFailure(path, f"the store left {len(failed)} undeleted: {failed[0].get('Code')}")

    def _copy(self, source: str, target: str, size: int, etag: str) -> None:
        if size <= self._settings.copy_bytes:
            key = self._bucket.key(target)
            self._bucket.make(source, "copy_object", Key=key, CopySource=self._origin(source))
            return
        token = new_token()
        upload = self._bucket.begin_upload(target, token)
        try:
            ranges = copy_ranges(size, min(COPY_PART, self._settings.copy_bytes))
            etags = [
                self._copy_part(source, target, etag, UploadId=upload, PartNumber=number, CopySourceRange=range_)
                for number, range_ in enumerate(ranges, 1)
            ]
            self._bucket.complete_upload(target, upload, etags, token)
        except BaseException:
            self._bucket.abort_upload(target, upload)
            raise

    def _copy_part(self, source: str, target: str, etag: str, **part: Any) -> str:
        wanted = {"CopySource": self._origin(source), "CopySourceIfMatch": etag, "Key": self._bucket.key(target)}
        copied = self._bucket.ask(source, "upload_part_copy", **wanted, **part)
        return str(copied["CopyPartResult"]["ETag"])

    def _origin(self, path: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": self._bucket.key(path)}

    def _carry(self, source: str, target: str) -> None:
        """Copy by reading and writing."""
        with self.open_reader(source) as reader, self.open_writer(target) as writer:
            for block in reader:
                writer.write(block)
            writer.commit()


class _ObjectReader(ResumingReader):
    """Pinned to one version of the object by its entity tag."""

    def __init__(self, bucket: Bucket, path: str, offset: int, length: int | None) -> None:
        self._bucket = bucket
        self._etag: str | None = None
        super().__init__(path, bucket.retry, offset, length)

    def _open(self, position: int, left: int | None) -> tuple[Answer, int]:
        asked = _range(position, left)
        if self._etag is not None:
            asked["If-Match"] = self._etag
        answer = self._bucket.fetch(self._path, **asked)
        if "Range" in asked and answer.status != 206:
            answer.close()
            raise StorageFailure(self._path, "the store ignores ranges")
        self._etag = answer.headers["ETag"]
        return answer, _length(self._path, answer.headers)


class _ObjectWriter(Writer):
    """One part in memory. What fits it is one PUT; more is a multipart upload, aborted unless committed."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        self._bucket = bucket
        self._path = path
        self._part = bytearray()
        self._token = new_token()
        self._upload: str | None = None
        self._etags: list[str] = []

    def write(self, block: bytes) -> None:
        size = self._bucket.settings.part_bytes
        rest = memoryview(block)
        while rest:
            if len(self._part) == size:
                self._send()
            room = size - len(self._part)
            self._part += rest[:room]
            rest = rest[room:]

    def commit(self) -> None:
        if self._upload is None:
            self._bucket.make(self._path, "put_object", Body=self._part)
        else:
            self._send()
            self._bucket.complete_upload(self._path, self._upload, self._etags, self._token)
            self._upload = None

    def cancel(self) -> None:
        self._part = bytearray()
        upload, self._upload = self._upload, None
        if upload is not None:
            self._bucket.abort_upload(self._path, upload)

    def _send(self) -> None:
        if len(self._etags) == PARTS:
            raise StorageFailure(self._path, f"longer than {PARTS} parts: raise {named('part_bytes')}")
        if self._upload is None:
            self._upload = self._bucket.begin_upload(self._path, self._token)
        part, self._part = self._part, bytearray()
        number = len(self._etags) + 1
        sent = self._bucket.ask(self._path, "upload_part", UploadId=self._upload, PartNumber=number, Body=part)
        self._etags.append(sent["ETag"])


def copy_ranges(size: int, part: int) -> Iterator[str]:
    """The ranges that make up `size` bytes, each of `part` but for the last, as upload_part_copy takes them."""
    for first in range(0, size, part):
        yield f"bytes={first}-{min(first + part, size) - 1}"


def _range(first: int, length: int | None) -> dict[str, str]:
    if not first and length is None:
        return {}
    return {"Range": f"bytes={first}-{'' if length is None else first + length - 1}"}


def _length(path: str, headers: HTTPMessage) -> int:
    try:
        return int(headers["Content-Length"])
    except (TypeError, ValueError) as error:
        raise StorageFailure(path, "the store does not say how long it is") from error
