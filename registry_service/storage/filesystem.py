"""Keeps contents as files below one directory, the way docker-registry's file driver laid them out.

Whatever is on its way lies in `_staging/` below the same root, so that it can be renamed into place; it is
fsynced before, and the directory after. Stagings of writers that were killed are swept when the driver starts.

A store that cannot be written to, as after a disk error, is served for reading.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from common.settings import SettingsError
from registry_service.storage.driver import BLOCK, BadPath, Driver, PathNotFound, Reader, Stat, Writer

STAGING = "_staging"

LEFTOVER_SECONDS = 24 * 3600.0
"""A staging nobody has written to for this long belongs to a writer that was killed."""

_ATTEMPTS = 64
"""How often a directory may be removed by others, as they empty it, between our making and our using it."""

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT)
"""What writes fail with where reads may go on; without hard links, for one, no push would ever work."""

logger = logging.getLogger(__name__)


def from_environ(storage_path: str, _environ: Mapping[str, str]) -> Filesystem:
    """Raises SettingsError."""
    return Filesystem(Path(storage_path))


class Filesystem(Driver):
    """Files below `root`, which must be there and one file system; and writable, unless it has contents to serve."""

    name = "filesystem"
    is_blocking = True

    def __init__(self, root: Path, leftover_seconds: float = LEFTOVER_SECONDS) -> None:
        """Try the root out and sweep it. Raises SettingsError saying what to mend."""
        self._root = root.absolute()
        self._staging = self._root / STAGING
        self._leftover_seconds = leftover_seconds
        self._try_out()
        self.sweep()

    def sweep(self) -> None:
        """Stagings of killed writers, and the directories they made for files that never came."""
        oldest = time.time() - self._leftover_seconds
        # Another process may be sweeping too, or nobody be able to.
        with suppress(OSError):
            for entry in self._staging.iterdir():
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < oldest:
                        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            self._prune(oldest)

    def get(self, path: str) -> bytes:
        try:
            return self._at(path).read_bytes()
        except _ABSENT as error:
            raise PathNotFound(path) from error

    def put(self, path: str, content: bytes) -> None:
        with self.open_writer(path) as writer:
            writer.write(content)
            writer.commit()

    def create(self, path: str, content: bytes) -> bool:
        target = self._at(path)
        with _FileWriter(self._new_staging(), target, self) as writer:
            writer.write(content)
            return writer.commit_exclusively()

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        try:
            file = os.open(self._at(path), os.O_RDONLY | os.O_CLOEXEC)
        except _ABSENT as error:
            raise PathNotFound(path) from error
        if stat.S_ISDIR(os.fstat(file).st_mode):
            os.close(file)
            raise PathNotFound(path)
        return _FileReader(file, offset, length)

    def open_writer(self, path: str) -> Writer:
        return _FileWriter(self._new_staging(), self._at(path), self)

    def stat(self, path: str) -> Stat:
        try:
            found = self._at(path).stat()
        except _ABSENT as error:
            raise PathNotFound(path) from error
        if stat.S_ISDIR(found.st_mode):
            raise PathNotFound(path)
        return Stat(found.st_size, found.st_mtime)

    def exists(self, path: str) -> bool:
        place = self._at(path)
        return place.is_file() or (place.is_dir() and any(place.iterdir()))

    def list(self, path: str) -> Iterator[str]:
        names = self._names(path)
        first = next(names, None)
        if first is None:
            raise PathNotFound(path)
        return chain((first,), names)

    def _names(self, path: str) -> Iterator[str]:
        """Read as they are taken: a store may have a million images."""
        try:
            with os.scandir(self._at(path)) as entries:
                for entry in entries:
                    yield entry.name
        except _ABSENT as error:
            raise PathNotFound(path) from error

    def delete(self, path: str) -> None:
        place = self._at(path)
        try:
            self._remove(place)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise PathNotFound(path) from error
        self._settle(place.parent)

    def move(self, source: str, target: str) -> None:
        start, end = self._at(source), self._at(target)
        if not start.is_file():
            raise PathNotFound(source)
        try:
            self.place(start, end)
        except FileNotFoundError as error:
            raise PathNotFound(source) from error
        self._settle(start.parent)

    def url_for(self, path: str) -> str | None:
        return None

    def local_path(self, path: str) -> Path | None:
        return self._at(path)

    def place(self, start: Path, end: Path) -> None:
        """Rename a file into its place for good."""
        self.in_directory(end.parent, lambda: start.rename(end))

    def in_directory(self, directory: Path, act: Callable[[], object]) -> None:
        """Do something in a directory made for it, again if somebody emptied and removed it in between."""
        for attempt in range(_ATTEMPTS):
            try:
                make_directory(directory)
                act()
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        # Gone again means deleted since: nothing is left to make last.
        with suppress(FileNotFoundError):
            sync_directory(directory)

    def _at(self, path: str) -> Path:
        if path.partition("/")[0] == STAGING:
            raise BadPath(path)
        return self._root / path

    def _new_staging(self) -> Path:
        # A store that could only be read at the start may have none yet.
        self._staging.mkdir(exist_ok=True)
        return self._staging / uuid.uuid4().hex

    def _remove(self, place: Path) -> None:
        try:
            place.unlink()
        except IsADirectoryError:
            if not any(place.iterdir()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
            # Renamed away first: it disappears at once, and nobody adds to it while it is being emptied.
            doomed = self._new_staging()
            place.rename(doomed)
            shutil.rmtree(doomed)

    def _settle(self, directory: Path) -> None:
        """Make a removal last, and remove directories it left empty."""
        with suppress(OSError):
            sync_directory(directory)
            while directory != self._root:
                directory.rmdir()
                directory = directory.parent

    def _try_out(self) -> None:
        """Do once what every write will do, where failing stops the start and not a push."""
        if not self._root.is_dir():
            raise SettingsError(f"storage path {self._root} is not a directory: create it, or mend the setting")
        try:
            self._try_to_write()
        except OSError as error:
            if error.errno not in _UNWRITABLE or not self._has_contents():
                raise SettingsError(
                    f"storage path {self._root} cannot be written to ({error.strerror}): "
                    "give this user the right to write there, on a file system with hard links"
                ) from error
            logger.warning("storage path %s is served for reading only: %s", self._root, error.strerror)
        self._demand_one_file_system()

    def _try_to_write(self) -> None:
        probe = self._new_staging()
        probe.write_bytes(b"")
        os.link(probe, probe.with_suffix(".link"))
        probe.unlink()
        probe.with_suffix(".link").unlink()

    def _has_contents(self) -> bool:
        with suppress(OSError):
            return any(entry.name != STAGING for entry in self._root.iterdir())
        return False

    def _demand_one_file_system(self) -> None:
        device = self._root.stat().st_dev
        for entry in self._root.iterdir():
            if entry.is_dir() and entry.stat().st_dev != device:
                raise SettingsError(
                    f"storage path {self._root} is not one file system: {entry.name} is mounted or linked from "
                    "another; mount the whole of it from there"
                )

    def _prune(self, oldest: float) -> None:
        """Remove empty directories where writers work, and none among images, of which there may be millions."""
        for top in self._root.glob("_*"):
            if top != self._staging:
                for directory in (Path(found) for found, _, _ in os.walk(top, topdown=False)):
                    with suppress(OSError):
                        if directory.stat().st_mtime < oldest:
                            directory.rmdir()


class _FileReader(Reader):
    def __init__(self, file: int, offset: int, length: int | None) -> None:
        self._file = file
        self._offset = offset
        self._length = length
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        position, left = self._offset, self._length
        while left is None or left > 0:
            block = os.pread(self._file, BLOCK if left is None else min(BLOCK, left), position)
            if not block:
                return
            position += len(block)
            if left is not None:
                left -= len(block)
            yield block

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._file)

    def __del__(self) -> None:
        self.close()


class _FileWriter(Writer):
    def __init__(self, staging: Path, target: Path, keeper: Filesystem) -> None:
        self._staging = staging
        self._target = target
        self._keeper = keeper
        self._file = staging.open("xb", buffering=0)

    def write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]

    def commit(self) -> None:
        self._sync()
        self._keeper.place(self._staging, self._target)

    def commit_exclusively(self) -> bool:
        """Publish unless something is there; a hard link, unlike a rename, does not replace."""
        self._sync()
        try:
            self._keeper.in_directory(self._target.parent, lambda: os.link(self._staging, self._target))
        except FileExistsError:
            return False
        return True

    def cancel(self) -> None:
        self._file.close()
        self._staging.unlink(missing_ok=True)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


def make_directory(directory: Path) -> None:
    """Make a directory and those above it, for good."""
    if not directory.is_dir():
        make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Make what was renamed, linked or removed in a directory last."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
