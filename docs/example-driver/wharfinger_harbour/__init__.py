"""Keeps contents in Harbour, a company's own object store, which is spoken to in plain HTTP.

PUT /KEY                 stores the body once it has ended, atomically; with `If-None-Match: *` only where nothing is
GET, HEAD /KEY           with ETag, Last-Modified, Range and If-Match
MOVE /KEY                to the key in `Destination`, atomically, replacing what is there
DELETE /KEY
GET /?below=KEY/         JSON array of up to 1,000 names one component below, in order, those after `after=NAME`;
                         with `deep=1` of whole keys
"""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from common.settings import SettingsError, load, seconds, setting, url, whole_number
from registry_service.storage.driver import (
    Driver,
    PathNotFound,
    Reader,
    Stat,
    StorageFailure,
    StorageFull,
    StorageProblem,
    Writer,
)
from registry_service.storage.resuming import Body, EmptyReader, ResumingReader
from registry_service.storage.retrying import NoAnswer, Refused, RetryPolicy

ONLY_IF_NEW = {"If-None-Match": "*"}

IDEMPOTENT = ("GET", "HEAD")
"""What is retried: not MOVE, whose source is gone the second time, nor PUT, for `create` is one."""


@dataclass(frozen=True, slots=True)
class HarbourSettings:
    """WHARFINGER_HARBOUR_*, or the table [harbour] of the file that WHARFINGER_CONFIG names."""

    url: str = setting(url, "URL of Harbour, http(s)://host:port.")
    token: str = setting(str, "Bearer token with write access.", secret=True)
    timeout: float = setting(seconds, "Timeout, in seconds.", 30.0)
    attempts: int = setting(whole_number(1), "Maximum attempts of a request.", 4)


def from_environ(storage_path: str, environ: Mapping[str, str]) -> Harbour:
    """What the entry point names. Raises SettingsError, which stops the start with that one line."""
    return Harbour(load(HarbourSettings, "harbour", environ), storage_path)


class Harbour(Driver):
    """Keys that begin with `storage_path`."""

    name = "harbour"
    # Sockets wait cooperatively under gevent; a driver that waits for a disk says True and is called on a thread.
    is_blocking = False

    def __init__(self, settings: HarbourSettings, storage_path: str) -> None:
        """Raises SettingsError where the store cannot be used: better now than at the first push."""
        self._settings = settings
        self._root = storage_path.strip("/")
        self._headers = {"Authorization": f"Bearer {settings.token}"}
        self.retry = RetryPolicy(settings.attempts)
        self._http = urllib3.PoolManager(maxsize=64, headers=self._headers, timeout=settings.timeout, retries=False)
        try:
            self._page("", "")
        except StorageProblem as problem:
            said = f"answered {problem.status}" if isinstance(problem, Refused) else problem.reason
            raise SettingsError(
                f"Harbour at {settings.url} cannot be used ({said}): "
                "mend WHARFINGER_HARBOUR_URL or WHARFINGER_HARBOUR_TOKEN"
            ) from problem

    def get(self, path: str) -> bytes:
        with self.open_reader(path) as reader:
            return b"".join(reader)

    def put(self, path: str, content: bytes) -> None:
        self._ask(path, "PUT", self._at(path), (201,), body=content)

    def create(self, path: str, content: bytes) -> bool:
        headers = {**self._headers, **ONLY_IF_NEW}
        return self._ask(path, "PUT", self._at(path), (201, 412), body=content, headers=headers).status == 201

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        rest = max(0, self.stat(path).size - offset)
        size = rest if length is None else min(rest, length)
        return _HarbourReader(self, path, offset, size) if size else EmptyReader()

    def open_writer(self, path: str) -> Writer:
        return _HarbourWriter(path, self._at(path), self._settings, self._headers)

    def stat(self, path: str) -> Stat:
        headers = self._ask(path, "HEAD", self._at(path)).headers
        return Stat(int(headers["Content-Length"]), parsedate_to_datetime(headers["Last-Modified"]).timestamp())

    def exists(self, path: str) -> bool:
        with suppress(PathNotFound):
            return bool(self.stat(path))
        return bool(self._page(path, self._key(path) + "/"))

    def list(self, path: str) -> Iterator[str]:
        names = self._names(path)
        first = next(names, None)
        if first is None:
            raise PathNotFound(path)
        return itertools.chain([first], names)

    def delete(self, path: str) -> None:
        found = False
        for key in [self._key(path), *self._names(path, deep="1")]:
            with suppress(PathNotFound):
                self._ask(path, "DELETE", "/" + quote(key), (204,))
                found = True
        if not found:
            raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        headers = {**self._headers, "Destination": self._at(target)}
        self._ask(source, "MOVE", self._at(source), (204,), headers=headers)

    def url_for(self, path: str) -> str | None:
        """None: Harbour signs no URLs, so the registry sends layers itself, or nginx keeps them."""
        return None

    def local_path(self, path: str) -> Path | None:
        return None

    def part(self, path: str, start: int, size: int, etag: str | None) -> urllib3.BaseHTTPResponse:
        """The open answer with `size` bytes from `start` on of the content with that ETag, or of any."""
        headers = {
            **self._headers,
            "Range": f"bytes={start}-{start + size - 1}",
            **({"If-Match": etag} if etag else {}),
        }
        return self._ask(path, "GET", self._at(path), (206,), headers=headers, preload_content=False)

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}" if self._root else path

    def _at(self, path: str) -> str:
        return "/" + quote(self._key(path))

    def _names(self, path: str, **fields: str) -> Iterator[str]:
        after = ""
        while names := self._page(path, self._key(path) + "/", after=after, **fields):
            yield from names
            after = names[-1]

    def _page(self, path: str, below: str, **fields: str) -> Sequence[str]:
        answer = self._ask(path, "GET", "/", fields={"below": below, **fields})
        names: Sequence[str] = json.loads(answer.data)
        return names

    def _ask(
        self, path: str, method: str, target: str, expected: tuple[int, ...] = (200,), **request: Any
    ) -> urllib3.BaseHTTPResponse:
        """One request, retried where that may help; failures in the contract's words, without anything secret."""

        def attempt(number: int) -> urllib3.BaseHTTPResponse:
            try:
                answer = self._http.request(method, self._settings.url + target, **request)
            except urllib3.exceptions.HTTPError as error:
                raise NoAnswer(path, f"no answer ({type(error).__name__})") from None
            _demand(path, answer.status, expected, number)
            return answer

        return self.retry.call(attempt) if method in IDEMPOTENT else attempt(1)


class _HarbourReader(ResumingReader):
    """Opened at once, and pinned to what was there by its ETag: replacing the content does not change what is read."""

    def __init__(self, harbour: Harbour, path: str, offset: int, length: int) -> None:
        self._harbour = harbour
        self._etag: str | None = None
        super().__init__(path, harbour.retry, offset, length)

    def _open(self, position: int, left: int | None) -> tuple[Body, int]:
        answer = self._harbour.part(self._path, position, left or 0, self._etag)
        self._etag = answer.headers["ETag"]
        return answer, int(answer.headers["Content-Length"])


class _HarbourWriter(Writer):
    """One chunked PUT. What does not end is not stored, so cancelling is hanging up."""

    def __init__(self, path: str, target: str, settings: HarbourSettings, headers: Mapping[str, str]) -> None:
        self._path = path
        parts = urlsplit(settings.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=settings.timeout)
        try:
            self._connection.putrequest("PUT", target)
            for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
                self._connection.putheader(name, value)
            self._connection.endheaders()
        except OSError as error:
            raise StorageFailure(path, f"cannot be reached ({type(error).__name__})") from None

    def write(self, block: bytes) -> None:
        # An empty chunk would be the end.
        if block:
            self._send(b"%x\r\n" % len(block), block, b"\r\n")

    def commit(self) -> None:
        self._send(b"0\r\n\r\n")
        try:
            status = self._connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise StorageFailure(self._path, f"no answer ({type(error).__name__})") from None
        finally:
            self._connection.close()
        _demand(self._path, status, (201,))

    def cancel(self) -> None:
        self._connection.close()

    def _send(self, *pieces: bytes) -> None:
        try:
            for piece in pieces:
                self._connection.send(piece)
        except OSError as error:
            raise StorageFailure(self._path, f"hung up ({type(error).__name__})") from None


def _demand(path: str, status: int, expected: tuple[int, ...], attempt: int = 1) -> None:
    if status == 404:
        raise PathNotFound(path)
    if status == 507:
        raise StorageFull(path)
    if status not in expected:
        raise Refused(path, status, attempt=attempt)
