"""What the guard makes of a driver's troubles; the rest of it is in the conformance suite."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest

from common.errors import OutOfSpace, Unavailable
from registry_service.storage.driver import PathNotFound, Reader, StorageFailure, StorageFull, Writer
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory


class Failing(Memory):
    """Keeps nothing and says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def put(self, path: str, content: bytes) -> None:
        raise self.error

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        return FailingReader(self.error)

    def open_writer(self, path: str) -> Writer:
        return FailingWriter(self.error)


class FailingReader(Reader):
    def __init__(self, error: OSError) -> None:
        self.error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b"good so far"
        raise self.error

    def close(self) -> None:
        pass


class FailingWriter(Writer):
    def __init__(self, error: OSError) -> None:
        self.error = error

    def write(self, block: bytes) -> None:
        raise self.error

    def commit(self) -> None:
        raise self.error

    def cancel(self) -> None:
        pass


@pytest.mark.parametrize(
    ("number", "kind", "parent"),
    [
        (errno.ENOSPC, StorageFull, OutOfSpace),
        (errno.EDQUOT, StorageFull, OutOfSpace),
        (errno.EIO, StorageFailure, Unavailable),
        (errno.EROFS, StorageFailure, Unavailable),
        (errno.ESTALE, StorageFailure, Unavailable),
    ],
)
def test_errors_name_driver_and_path_but_not_the_machine(number: int, kind: type, parent: type) -> None:
    guard = Guard(Failing(OSError(number, os.strerror(number), "/srv/secret/place")))
    writer = guard.open_writer("a/b")
    reader = iter(guard.open_reader("a/b"))
    assert next(reader) == b"good so far"
    for act in (lambda: guard.put("a/b", b""), lambda: writer.write(b"1"), writer.commit, lambda: next(reader)):
        with pytest.raises(kind) as caught:
            act()
        assert isinstance(caught.value, parent)
        assert caught.value.message.startswith("memory: ")
        assert caught.value.message.endswith(f": a/b: {os.strerror(number)}")
        assert "secret" not in str(caught.value)


def test_move_names_the_path_that_is_missing() -> None:
    with pytest.raises(PathNotFound) as caught:
        Guard(Memory()).move("from", "to")
    assert caught.value.message == "memory: nothing is stored at: from"


def test_unreachable_names_are_not_listed() -> None:
    memory = Memory()
    memory.put("a/good", b"")
    memory.put("a/not good", b"")
    assert list(Guard(memory).list("a")) == ["good"]


def test_writes_of_a_blocking_driver_are_offloaded() -> None:
    class Blocking(Memory):
        is_blocking = True

    done = []

    def offload(function: Any, *arguments: Any) -> Any:
        done.append(function.__name__)
        return function(*arguments)

    guard = Guard(Blocking(), offload)
    guard.put("a", b"1")
    guard.create("b", b"1")
    with guard.open_writer("c") as writer:
        writer.write(b"1")
        writer.commit()
    guard.move("c", "d")
    guard.delete("d")
    assert done == ["put", "create", "commit", "move", "delete"]
    done.clear()
    Guard(Memory(), offload).put("a", b"1")
    assert done == []
