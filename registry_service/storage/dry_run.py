"""A driver that reads a store and writes nothing, for a look at what a command would do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from registry_service.storage.driver import Driver, Reader, Stat, Writer


class DryRun(Driver):
    """Another driver's contents; whatever is written succeeds, and is not there."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.name = driver.name
        self.is_blocking = driver.is_blocking

    def get(self, path: str) -> bytes:
        return self._driver.get(path)

    def put(self, path: str, content: bytes) -> None:
        pass

    def create(self, path: str, content: bytes) -> bool:
        return not self._driver.exists(path)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        return self._driver.open_reader(path, offset, length)

    def open_writer(self, path: str) -> Writer:
        return _Nowhere()

    def stat(self, path: str) -> Stat:
        return self._driver.stat(path)

    def exists(self, path: str) -> bool:
        return self._driver.exists(path)

    def list(self, path: str) -> Iterator[str]:
        return self._driver.list(path)

    def delete(self, path: str) -> None:
        pass

    def move(self, source: str, target: str) -> None:
        pass

    def url_for(self, path: str) -> str | None:
        return self._driver.url_for(path)

    def local_path(self, path: str) -> Path | None:
        return self._driver.local_path(path)


class _Nowhere(Writer):
    def write(self, block: bytes) -> None:
        pass

    def commit(self) -> None:
        pass

    def cancel(self) -> None:
        pass
