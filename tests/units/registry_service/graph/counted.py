"""A storage driver that counts the operations that change something, and does something else before one of them."""

from __future__ import annotations

from registry_service.storage.driver import Driver, Writer


class Counted(Driver):
    """Mixed in before a driver; `strike` comes before the operation numbered `strike_at`."""

    strike_at = 0
    done = 0

    def strike(self) -> None:
        raise NotImplementedError

    def put(self, path: str, content: bytes) -> None:
        self.count()
        super().put(path, content)

    def create(self, path: str, content: bytes) -> bool:
        self.count()
        return super().create(path, content)

    def open_writer(self, path: str) -> Writer:
        self.count()
        return super().open_writer(path)

    def move(self, source: str, target: str) -> None:
        self.count()
        super().move(source, target)

    def delete(self, path: str) -> None:
        self.count()
        super().delete(path)

    def count(self) -> None:
        self.done += 1
        if self.done == self.strike_at:
            self.strike()
