"""Keeps contents in this process: for tests, and for trying a registry out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from registry_service.storage.driver import BLOCK, Driver, PathNotFound, Reader, Stat, Writer


def from_environ(_storage_path: str, _environ: Mapping[str, str]) -> Memory:
    return Memory()


class Memory(Driver):
    """A dictionary of contents behind one lock."""

    name = "memory"
    is_blocking = False

    def __init__(self) -> None:
        self._contents: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> bytes:
        return self._find(path)[0]

    def put(self, path: str, content: bytes) -> None:
        with self._lock:
            self._contents[path] = (bytes(content), time.time())

    def create(self, path: str, content: bytes) -> bool:
        entry = (bytes(content), time.time())
        with self._lock:
            return self._contents.setdefault(path, entry) is entry

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        content, _ = self._find(path)
        end = len(content) if length is None else min(len(content), offset + length)
        return _MemoryReader(content, offset, end)

    def open_writer(self, path: str) -> Writer:
        return _MemoryWriter(self, path)

    def stat(self, path: str) -> Stat:
        content, modified = self._find(path)
        return Stat(len(content), modified)

    def exists(self, path: str) -> bool:
        with self._lock:
            return bool(self._at_or_below(path))

    def list(self, path: str) -> Iterator[str]:
        prefix = path + "/"
        with self._lock:
            names = {key[len(prefix) :].partition("/")[0] for key in self._contents if key.startswith(prefix)}
        if not names:
            raise PathNotFound(path)
        return iter(names)

    def delete(self, path: str) -> None:
        with self._lock:
            doomed = self._at_or_below(path)
            for key in doomed:
                del self._contents[key]
        if not doomed:
            raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        with self._lock:
            if source not in self._contents:
                raise PathNotFound(source)
            self._contents[target] = self._contents.pop(source)

    def url_for(self, path: str) -> str | None:
        return None

    def local_path(self, path: str) -> Path | None:
        return None

    def _find(self, path: str) -> tuple[bytes, float]:
        with self._lock:
            if path not in self._contents:
                raise PathNotFound(path)
            return self._contents[path]

    def _at_or_below(self, path: str) -> tuple[str, ...]:
        return tuple(key for key in self._contents if key == path or key.startswith(path + "/"))


class _MemoryReader(Reader):
    def __init__(self, content: bytes, start: int, end: int) -> None:
        self._content = content
        self._start = start
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        for position in range(self._start, self._end, BLOCK):
            yield self._content[position : min(position + BLOCK, self._end)]

    def close(self) -> None:
        self._content = b""


class _MemoryWriter(Writer):
    def __init__(self, memory: Memory, path: str) -> None:
        self._memory = memory
        self._path = path
        self._written = bytearray()

    def write(self, block: bytes) -> None:
        self._written += block

    def commit(self) -> None:
        self._memory.put(self._path, bytes(self._written))

    def cancel(self) -> None:
        self._written.clear()
