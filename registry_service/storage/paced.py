"""A driver that takes its time: so many operations a second of another, for work that is to disturb nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from registry_service.storage.driver import Driver, Reader, Stat, Writer


class Paced(Driver):
    """Another driver's contents; each operation waits for its turn, and a listing counts as one."""

    def __init__(self, driver: Driver, per_second: float) -> None:
        self._driver = driver
        self._seconds = 1 / per_second
        self._lock = threading.Lock()
        self._next = time.monotonic()
        self.name = driver.name
        self.is_blocking = driver.is_blocking

    def sweep(self) -> None:
        self._paced().sweep()

    def get(self, path: str) -> bytes:
        return self._paced().get(path)

    def put(self, path: str, content: bytes) -> None:
        self._paced().put(path, content)

    def create(self, path: str, content: bytes) -> bool:
        return self._paced().create(path, content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        return self._paced().open_reader(path, offset, length)

    def open_writer(self, path: str) -> Writer:
        return self._paced().open_writer(path)

    def stat(self, path: str) -> Stat:
        return self._paced().stat(path)

    def exists(self, path: str) -> bool:
        return self._paced().exists(path)

    def list(self, path: str) -> Iterator[str]:
        return self._paced().list(path)

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        return self._paced().entries(path)

    def delete(self, path: str) -> None:
        self._paced().delete(path)

    def move(self, source: str, target: str) -> None:
        self._paced().move(source, target)

    def url_for(self, path: str) -> str | None:
        return self._driver.url_for(path)

    def local_path(self, path: str) -> Path | None:
        return self._driver.local_path(path)

    def _paced(self) -> Driver:
        """The driver, once it is time."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now) + self._seconds
            pause = self._next - self._seconds - now
        if pause > 0:
            time.sleep(pause)
        return self._driver
