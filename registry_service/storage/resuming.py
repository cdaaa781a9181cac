"""Resuming reads: a content that is read over as many answers as it takes, or not at all.

A store hangs up in the middle of a layer sooner or later. The rest is then asked for from where it stopped, after a
backoff (`retrying`), and only of the same version of the content: what was replaced or deleted meanwhile fails.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from registry_service.storage.driver import BLOCK, PathNotFound, Reader, StorageFailure
from registry_service.storage.retrying import BROKEN, Refused, Retries, RetryPolicy

_RANGE_NOT_SATISFIABLE = 416
_ANOTHER_VERSION = (412, _RANGE_NOT_SATISFIABLE)


class Body(Protocol):
    """An open answer's bytes: `read` gives at most so many, nothing at the end and where the store hung up."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class RawBody:
    """The body of an answer of `requests`, as it comes over the wire."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def read(self, size: int) -> bytes:
        block: bytes = self._response.raw.read(size, decode_content=False)
        return block

    def close(self) -> None:
        self._response.close()


class EmptyReader(Reader):
    """No bytes of a content that is there."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        pass


class ResumingReader(Reader):
    """Inherit, and say how to open: the constructor opens, and whatever `_open` needs has to be set before."""

    def __init__(self, path: str, retry: RetryPolicy, offset: int, length: int | None) -> None:
        """`length` is not 0. Raises PathNotFound."""
        self._path = path
        self._retry = retry
        self._position = offset
        self._left = 0
        self._body: Body | None = None
        try:
            self._body, self._left = self._open(offset, length)
        except Refused as refused:
            # An offset past the end.
            if refused.status != _RANGE_NOT_SATISFIABLE:
                raise
            return
        if not self._left:
            # Read to its end, an empty answer gives its connection back.
            self._body.read(1)

    @abstractmethod
    def _open(self, position: int, left: int | None) -> tuple[Body, int]:
        """Ask for `left` bytes from `position` on, all if None: the answer's body, and how many bytes it will have.

        The first call settles which version of the content is read; the later ones ask for that version. Raises
        PathNotFound where it is gone, Refused with 412 where there is another, with 416 where it ends before.
        """

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            block = self._read() or self._resume()
            self._position += len(block)
            self._left -= len(block)
            yield block

    def close(self) -> None:
        if self._body is not None:
            self._body.close()

    def _read(self) -> bytes:
        """The next block; empty where the connection broke."""
        if self._body is not None:
            with suppress(*BROKEN):
                return self._body.read(min(BLOCK, self._left))
        return b""

    def _resume(self) -> bytes:
        """The next block, of another answer; each break that brings nothing counts as a failure of the one before."""
        retries = Retries(self._retry)
        while retries.wait():
            self._open_rest()
            if block := self._read():
                return block
        raise StorageFailure(self._path, f"the store's answer broke off {retries.failures} times")

    def _open_rest(self) -> None:
        self.close()
        try:
            self._body, size = self._open(self._position, self._left)
        except PathNotFound as gone:
            raise StorageFailure(self._path, "it was replaced or deleted while it was read") from gone
        except Refused as refused:
            if refused.status not in _ANOTHER_VERSION:
                raise
            raise StorageFailure(self._path, "it was replaced while it was read") from refused
        if size != self._left:
            raise StorageFailure(self._path, "the store ignores ranges")
