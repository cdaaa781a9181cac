"""Keeps contents as objects of one bucket of Google Cloud Storage, by its JSON API.

The vendor's library brings credentials, signatures, and the judgement of what is worth trying again. Requests are
sent from here, for what its files do not do: its reader asks anew for every chunk, so that a content replaced
meanwhile breaks it; its writer gives up when the store kept only part of a chunk, and cancels at the wrong URL.

Exclusive is exclusive here: `create` asks for generation 0. Deleting names the generation it has seen, so that a
delete tried again never takes what somebody else has put there since.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import google_crc32c
import requests
from google.api_core import exceptions as answers
from google.auth.exceptions import GoogleAuthError

from common.settings import SettingsError, load
from registry_service.storage.driver import Driver, PathNotFound, Reader, Stat, StorageFailure, Writer
from registry_service.storage.gcs.api import Api, failures_named, in_base64, reason_of
from registry_service.storage.gcs.settings import GcsSettings
from registry_service.storage.gcs.upload import Pending, Upload
from registry_service.storage.resuming import EmptyReader, RawBody, ResumingReader
from registry_service.storage.retrying import BROKEN, Refused

CHUNK = 8 * 1024**2
"""Bytes of a stream sent at a time, and kept in memory until the store has them; a multiple of 256 KiB."""

_DELETERS = 8

_LONGEST_ROOT = 120
"""Names have at most 1,024 bytes, paths at most 900."""


def from_environ(storage_path: str, environ: Mapping[str, str]) -> Gcs:
    """The bucket named in the settings, tried out. Raises SettingsError."""
    return Gcs(load(GcsSettings, "gcs", environ), storage_path)


class Gcs(Driver):
    """Objects named `root/path`."""

    name = "gcs"
    is_blocking = False

    def __init__(self, settings: GcsSettings, root: str) -> None:
        """Ask for one name, which everything else needs too. Raises SettingsError saying what to mend."""
        self._root = root.strip("/")
        if len(self._root.encode()) > _LONGEST_ROOT:
            raise SettingsError(f"storage path {self._root!r} is longer than {_LONGEST_ROOT} bytes")
        self._api = Api(settings)
        _try_out(self._api, settings)

    def get(self, path: str) -> bytes:
        with self.open_reader(path) as reader:
            return b"".join(reader)

    def put(self, path: str, content: bytes) -> None:
        with failures_named(path):
            self._api.insert(self._at(path), content)

    def create(self, path: str, content: bytes) -> bool:
        with failures_named(path):
            return self._api.create(self._at(path), content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        if length == 0:
            self.stat(path)
            return EmptyReader()
        return _GcsReader(self._api, path, self._at(path), offset, length)

    def open_writer(self, path: str) -> Writer:
        return _GcsWriter(self._api, path, self._at(path))

    def stat(self, path: str) -> Stat:
        with failures_named(path):
            found = self._api.describe(self._at(path), "size,updated")
        return Stat(int(found["size"]), datetime.fromisoformat(found["updated"]).timestamp())

    def exists(self, path: str) -> bool:
        with failures_named(path):
            try:
                self._api.describe(self._at(path), "name")
            except answers.NotFound:
                return any("items" in page for page in self._pages(path, {"maxResults": "1"}))
        return True

    def list(self, path: str) -> Iterator[str]:
        return (name for name, _ in self.entries(path))

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        entries = self._entries(path)
        first = next(entries, None)
        if first is None:
            raise PathNotFound(path)
        return itertools.chain([first], entries)

    def delete(self, path: str) -> None:
        with failures_named(path):
            try:
                found = self._api.describe(self._at(path), "name,generation")
            except answers.NotFound:
                found = None
            if found is not None:
                self._api.delete(found)
            elif not self._delete_below(path):
                raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        """Copied inside the store, in as many requests as it wants for a large content, then deleted."""
        with failures_named(source):
            found = self._api.describe(self._at(source), "name,generation")
            self._api.rewrite(found, self._at(target))
            self._api.delete(found)

    def url_for(self, path: str) -> str | None:
        with failures_named(path):
            return self._api.sign(self._at(path))

    def local_path(self, path: str) -> Path | None:
        return None

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if self._root else path

    def _below(self, path: str) -> str:
        return self._at(path) + "/"

    def _entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        prefix = self._below(path)
        for page in self._pages(path, {"delimiter": "/", "fields": "items(name,md5Hash),prefixes,nextPageToken"}):
            found = [(item["name"], _hex(item.get("md5Hash"))) for item in page.get("items", ())]
            found += [(folder, None) for folder in page.get("prefixes", ())]
            for full, digest in found:
                # Consoles mark a folder by an object whose name is the prefix itself.
                if name := full.removeprefix(prefix).rstrip("/"):
                    yield name, digest

    def _delete_below(self, path: str) -> bool:
        """Whether there was anything."""
        deleted = False
        with ThreadPoolExecutor(_DELETERS, "gcs-delete") as pool:
            for page in self._pages(path, {"fields": "items(name,generation),nextPageToken"}):
                for _ in pool.map(self._api.delete, page.get("items", ())):
                    deleted = True
        return deleted

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Pages of what is below a path."""
        query = {**query, "prefix": self._below(path)}
        while True:
            with failures_named(path):
                page = self._api.page(query)
            yield page
            if "nextPageToken" not in page:
                return
            query["pageToken"] = page["nextPageToken"]


class _GcsReader(ResumingReader):
    """Pinned to one generation of the object."""

    def __init__(self, api: Api, path: str, name: str, offset: int, length: int | None) -> None:
        self._api = api
        self._name = name
        self._generation: str | None = None
        self._is_pinned = False
        super().__init__(path, api.retry, offset, length)

    def _open(self, position: int, left: int | None) -> tuple[RawBody, int]:
        if self._is_pinned and self._generation is None:
            raise StorageFailure(self._path, "the store hung up, and does not say which generation it was reading")
        with failures_named(self._path):
            try:
                response = self._api.media(self._name, position, left, self._generation)
            except answers.RequestRangeNotSatisfiable as error:
                raise Refused(self._path, 416) from error
        self._generation, self._is_pinned = response.headers.get("X-Goog-Generation"), True
        return RawBody(response), _length(response)


class _GcsWriter(Writer):
    """Up to a chunk goes in one request; more through a resumable session, a chunk at a time."""

    def __init__(self, api: Api, path: str, name: str) -> None:
        self._api = api
        self._path = path
        self._name = name
        self._pending = Pending()
        self._checksum = google_crc32c.Checksum()
        self._upload: Upload | None = None

    def write(self, block: bytes) -> None:
        self._checksum.update(block)
        self._pending.add(block)
        # The last chunk must not be empty, so a full one waits for a byte after it.
        while len(self._pending) > CHUNK:
            with failures_named(self._path):
                if self._upload is None:
                    self._upload = Upload(self._api, self._api.start_upload(self._name))
                self._upload.send(self._pending.cut(CHUNK))

    def commit(self) -> None:
        with failures_named(self._path):
            if self._upload is None:
                self._api.insert(self._name, b"".join(self._pending))
            else:
                self._upload.send(self._pending, in_base64(self._checksum.digest()))
                self._upload = None

    def cancel(self) -> None:
        upload, self._upload = self._upload, None
        self._pending = Pending()
        if upload is not None:
            upload.cancel()


def _try_out(api: Api, settings: GcsSettings) -> None:
    """The cheapest request that fails when bucket, credentials or endpoint are wrong. Raises SettingsError."""
    bucket = settings.bucket
    try:
        api.page({"maxResults": "1", "fields": "items(name)"})
    except answers.NotFound:
        raise SettingsError(f"gcs bucket {bucket} does not exist: create it, or mend WHARFINGER_GCS_BUCKET") from None
    except (answers.Unauthorized, answers.Forbidden, GoogleAuthError) as error:
        raise SettingsError(
            f"gcs bucket {bucket} cannot be listed ({reason_of(error)}): mend WHARFINGER_GCS_CREDENTIALS, "
            "or give the account the role Storage Object User on the bucket"
        ) from None
    except (answers.GoogleAPIError, *BROKEN) as error:
        raise SettingsError(
            f"gcs at {api.endpoint} does not answer as it should ({reason_of(error)}): mend WHARFINGER_GCS_ENDPOINT, "
            "or the way there"
        ) from None


def _hex(digest: str | None) -> str | None:
    """A digest as the API shows it, in base64; objects made of several have none."""
    return base64.b64decode(digest).hex() if digest else None


def _length(response: requests.Response) -> int:
    headers = response.headers
    return int(headers.get("Content-Length") or headers["X-Goog-Stored-Content-Length"])
