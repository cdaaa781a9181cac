"""Resumable uploads to Google Cloud Storage: one session, and the bytes that it has yet to be sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

import requests
from google.api_core import exceptions as answers
from google.auth.exceptions import GoogleAuthError

from registry_service.storage.driver import BLOCK
from registry_service.storage.gcs.api import Api
from registry_service.storage.retrying import BROKEN

_INCOMPLETE = 308


class Upload:
    """One resumable session. What the store says it has kept decides what is sent next."""

    def __init__(self, api: Api, url: str) -> None:
        self._api = api
        self._url = url
        self._kept = 0
        self._is_sure = True

    def send(self, chunk: Pending, checksum: str | None = None) -> None:
        """Send the next bytes, which is the end where there is a checksum (CRC32C of all, in base64)."""
        end = self._kept + len(chunk)
        total = "*" if checksum is None else str(end)
        headers = {} if checksum is None else {"X-Goog-Hash": f"crc32c={checksum}"}
        while self._kept < end:
            self._api.retried(lambda: self._advance(chunk, end, total, headers))

    def cancel(self) -> None:
        """Let the store drop what it has; where that fails, it does so by itself after a week."""
        with suppress(GoogleAuthError, answers.GoogleAPICallError, *BROKEN):
            self._api.once("DELETE", self._url, (204, 499), data=b"")

    def _advance(self, chunk: Pending, end: int, total: str, headers: Mapping[str, str]) -> None:
        """Send what is left of a chunk; after a failure ask first how much of it has arrived."""
        if not self._is_sure:
            self._put(chunk, end, f"*/{total}", headers, b"")
        if self._kept < end:
            before, self._is_sure = self._kept, False
            self._put(chunk, end, f"{before}-{end - 1}/{total}", headers, chunk)
            if self._kept == before:
                raise answers.ServiceUnavailable("The store kept nothing of a chunk")

    def _put(self, chunk: Pending, end: int, what: str, headers: Mapping[str, str], data: bytes | Pending) -> None:
        """Drop what the store then has from the chunk."""
        headers = {**headers, "Content-Range": f"bytes {what}"}
        response = self._api.once("PUT", self._url, (200, 201, _INCOMPLETE), headers=headers, data=data)
        kept = _kept(response) if response.status_code == _INCOMPLETE else end
        if not self._kept <= kept <= end:
            raise answers.DataLoss("The store has lost part of an upload")
        if kept == end and response.status_code == _INCOMPLETE and not what.endswith("*"):
            raise answers.ServiceUnavailable("The store has everything and does not finish")
        chunk.drop(kept - self._kept)
        self._kept, self._is_sure = kept, True


class Pending:
    """Bytes yet to be sent, in pieces as they came; a body that can be sent again from any byte on."""

    def __init__(self, pieces: list[memoryview] | None = None) -> None:
        self._pieces = pieces or []
        self._size = sum(map(len, self._pieces))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self._pieces)

    def add(self, block: bytes) -> None:
        view = memoryview(block)
        # A piece is sent at once, within the time-out.
        self._pieces += [view[at : at + BLOCK] for at in range(0, len(view), BLOCK)]
        self._size += len(view)

    def cut(self, size: int) -> Pending:
        """Take so many bytes off the front."""
        taken = []
        for piece in self:
            if size == 0:
                break
            taken.append(piece[:size])
            size -= len(taken[-1])
        front = Pending(taken)
        self.drop(len(front))
        return front

    def drop(self, size: int) -> None:
        """Forget so many bytes of the front."""
        self._size -= size
        while size:
            piece = self._pieces.pop(0)
            if len(piece) > size:
                self._pieces.insert(0, piece[size:])
            size -= min(size, len(piece))


def _kept(response: requests.Response) -> int:
    """How many bytes a session has; no Range means none."""
    match = re.fullmatch(r"bytes=0-(\d+)", response.headers.get("Range", ""))
    return int(match[1]) + 1 if match else 0
