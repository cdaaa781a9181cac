"""The spool of a layer in transit: a temporary file that any number of readers share, in any process of this machine.

The file grows during the download. One byte more than the layer has is appended once length and checksum are verified;
without it the end of the file means that the download was aborted. Either way the file is unlinked at the end.
So a reader needs nothing but the file: its size says how far it may read, its link count whether to wait for more. The
last byte of each requested range is held back until the layer is verified: a body that looks complete is complete.
"""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from registry_service.storage.driver import BLOCK, Reader

_PREFIX = "wharfinger-mirror-"
_GOOD = b"+"

POLL_SECONDS = 0.02
"""Poll interval of a reader that has read all there is."""

LEFTOVER_SECONDS = 86400.0

_ALIVE_SECONDS = 1.0
"""How long a reader waits for bytes before it checks whether the writer is still running."""


class Broken(ConnectionResetError):
    """The download was aborted while it was read; the server closes the connection, so the client sees it was cut."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the layer stopped coming")


def new_name() -> str:
    return _PREFIX + secrets.token_hex(8)


def discard(name: str) -> None:
    """Remove the file of a writer that was killed."""
    _at(name).unlink(missing_ok=True)


def sweep() -> None:
    """Remove the files of killed processes, a day after their last write."""
    oldest = time.time() - LEFTOVER_SECONDS
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Another process may be sweeping too, and another user's are not ours to remove.
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _at(name: str) -> Path:
    """Validate a name, which may come out of the store, and make it a path."""
    if not name.startswith(_PREFIX) or "/" in name:
        raise FileNotFoundError(errno.ENOENT, "no spool's name", name)
    return Path(tempfile.gettempdir()) / name


class Spool:
    """The writing end; ends with `finish` or `give_up`."""

    def __init__(self, name: str) -> None:
        self._path = _at(name)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._open = True

    def write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def finish(self) -> None:
        """Mark the layer as complete and verified."""
        self.write(_GOOD)
        self.give_up()

    def give_up(self) -> None:
        """Abort; idempotent, and without effect after `finish`."""
        if self._open:
            self._open = False
            with suppress(FileNotFoundError):
                self._path.unlink()
            os.close(self._file)


class SpooledLayer:
    """The reading end: a layer of `size` bytes that another greenlet or process is writing."""

    def __init__(self, name: str, size: int, is_written: Callable[[], bool]) -> None:
        """`is_written` says whether the writer is still running. Raises FileNotFoundError where the layer has ended."""
        self.size = size
        self._is_written = is_written
        self._file = os.open(_at(name), os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with suppress(AttributeError):
            os.close(self._file)

    def has_begun(self) -> bool:
        """Wait for the first byte; False if the download ends without one."""
        try:
            self._wait(lambda written: written > 0)
        except Broken:
            return False
        return True

    def open(self, offset: int, length: int | None) -> Reader:
        stop = self.size if length is None else min(self.size, offset + length)
        return _SpoolReader(self, offset, stop)

    def read(self, start: int, stop: int) -> bytes:
        """Some bytes from `start` on, waited for if need be. Raises Broken."""
        written = self._wait(lambda written: self._readable(written, stop) > start)
        return os.pread(self._file, min(BLOCK, self._readable(written, stop) - start), start)

    def _readable(self, written: int, stop: int) -> int:
        is_good = written > self.size
        return stop if is_good else min(written, stop - 1)

    def _wait(self, is_enough: Callable[[int], bool]) -> int:
        """The number of bytes written, once `is_enough`."""
        asked, is_over = time.monotonic(), False
        while True:
            found = os.fstat(self._file)
            if is_enough(found.st_size):
                return found.st_size
            if is_over or found.st_nlink == 0:
                raise Broken
            if time.monotonic() - asked > _ALIVE_SECONDS:
                # Looked at once more before it counts: it may have ended well just now.
                asked, is_over = time.monotonic(), not self._is_written()
            time.sleep(POLL_SECONDS)


class _SpoolReader(Reader):
    def __init__(self, arriving: SpooledLayer, start: int, stop: int) -> None:
        self._arriving = arriving
        self._start = start
        self._stop = stop

    def __iter__(self) -> Iterator[bytes]:
        position = self._start
        while position < self._stop:
            block = self._arriving.read(position, self._stop)
            position += len(block)
            yield block

    def close(self) -> None:
        """The file is the layer's, and closed with it."""
