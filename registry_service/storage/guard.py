"""Guard: the decorator around every driver. It validates paths, names driver and path in every failure, translates
OSErrors into the contract's failures, and runs a blocking driver's writes in an executor."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import request_record
from registry_service.metrics import STORAGE_FAILURES, STORAGE_SECONDS
from registry_service.storage.driver import (
    BadPath,
    Driver,
    Offload,
    Reader,
    Stat,
    StorageFailure,
    StorageFull,
    StorageProblem,
    Writer,
    directly,
    is_path,
)

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Guard(Driver):
    """A driver that may be handed any path and raises nothing but what the contract lists."""

    def __init__(self, driver: Driver, offload: Offload = directly) -> None:
        self.driver = driver
        self.name = driver.name
        self.is_blocking = driver.is_blocking
        self._offload = offload if driver.is_blocking else directly
        driver.set_offload(offload)

    def sweep(self) -> None:
        self._offload(self.driver.sweep)

    def get(self, path: str) -> bytes:
        with self.failures_named(path, "get"):
            return self.driver.get(path)

    def put(self, path: str, content: bytes) -> None:
        with self.failures_named(path, "put"):
            self._offload(self.driver.put, path, content)

    def create(self, path: str, content: bytes) -> bool:
        with self.failures_named(path, "create"):
            created: bool = self._offload(self.driver.create, path, content)
        return created

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        with self.failures_named(path, "open_reader"):
            return _GuardedReader(self, path, self.driver.open_reader(path, offset, length))

    def open_writer(self, path: str) -> Writer:
        with self.failures_named(path, "open_writer"):
            return _GuardedWriter(self, path, self.driver.open_writer(path))

    def stat(self, path: str) -> Stat:
        with self.failures_named(path, "stat"):
            return self.driver.stat(path)

    def exists(self, path: str) -> bool:
        with self.failures_named(path, "exists"):
            return self.driver.exists(path)

    def list(self, path: str) -> Iterator[str]:
        return (name for name, _ in self.entries(path))

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        with self.failures_named(path):
            return self._reachable(path, self.driver.entries(path))

    def delete(self, path: str) -> None:
        with self.failures_named(path, "delete"):
            self._offload(self.driver.delete, path)

    def move(self, source: str, target: str) -> None:
        self._require_path(source)
        with self.failures_named(target, "move"):
            self._offload(self.driver.move, source, target)

    def url_for(self, path: str) -> str | None:
        with self.failures_named(path, "url_for"):
            return self.driver.url_for(path)

    def local_path(self, path: str) -> Path | None:
        with self.failures_named(path):
            return self.driver.local_path(path)

    def _reachable(self, path: str, entries: Iterator[tuple[str, str | None]]) -> Iterator[tuple[str, str | None]]:
        """Without what is named against the grammar: somebody else put it there, and it cannot be opened."""
        with self.failures_named(path, "list"):
            yield from (entry for entry in entries if is_path(entry[0]))

    def commit(self, path: str, writer: Writer) -> None:
        """End somebody's writing at `path`, off the hub if need be, with failures named."""
        with self.failures_named(path, "commit"):
            self._offload(writer.commit)

    @contextmanager
    def failures_named(self, path: str, operation: str = "") -> Iterator[None]:
        """Whatever fails inside fails in the contract's words, with the driver and this path in it. A named operation
        is measured."""
        self._require_path(path)
        began = time.perf_counter()
        try:
            yield
        except StorageProblem as problem:
            self._count_failure(problem, operation)
            raise self._signed(problem) from problem.__cause__
        except OSError as error:
            kind = StorageFull if error.errno in _FULL else StorageFailure
            # strerror alone: the exception's own text holds the machine's paths.
            failure = kind(path, error.strerror or type(error).__name__)
            self._count_failure(failure, operation)
            raise self._signed(failure) from error
        finally:
            if operation:
                seconds = time.perf_counter() - began
                STORAGE_SECONDS.observe(seconds, self.name, operation)
                if not self.is_blocking:
                    request_record.add_wait("store", seconds)

    def _require_path(self, path: str) -> None:
        if not is_path(path):
            raise self._signed(BadPath(path[:64]))

    def _count_failure(self, problem: StorageProblem, operation: str) -> None:
        if isinstance(problem, StorageFailure | StorageFull):
            STORAGE_FAILURES.add(self.name, operation or "transfer")

    def _signed(self, problem: StorageProblem) -> StorageProblem:
        problem.driver = self.driver.name
        return problem


class _GuardedReader(Reader):
    def __init__(self, guard: Guard, path: str, reader: Reader) -> None:
        self._guard = guard
        self._path = path
        self._reader = reader

    def __iter__(self) -> Iterator[bytes]:
        with self._guard.failures_named(self._path):
            yield from self._reader

    def close(self) -> None:
        self._reader.close()


class _GuardedWriter(Writer):
    def __init__(self, guard: Guard, path: str, writer: Writer) -> None:
        self._guard = guard
        self._path = path
        self._writer = writer

    def write(self, block: bytes) -> None:
        # Not off the hub: who writes a layer hashes it too, and takes both there at once.
        with self._guard.failures_named(self._path):
            self._writer.write(block)

    def commit(self) -> None:
        self._guard.commit(self._path, self._writer)

    def cancel(self) -> None:
        self._writer.cancel()
