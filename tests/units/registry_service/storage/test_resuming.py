"""Reads that break off, at a store in this process that hangs up when it is told to."""

from __future__ import annotations

import pytest

from registry_service.storage.driver import BLOCK, PathNotFound, StorageFailure
from registry_service.storage.resuming import Body, EmptyReader, ResumingReader
from registry_service.storage.retrying import Refused, RetryPolicy

CONTENT = bytes(range(256)) * (3 * BLOCK // 256) + b"end"
RETRY = RetryPolicy(3, backoff_seconds=0.001)


class Store:
    """One content with a version; each answer breaks off after so many bytes as `breaks` says, by raising or ending."""

    def __init__(self, content: bytes = CONTENT, breaks: tuple[int, ...] = (), raises: bool = False) -> None:
        self.content: bytes | None = content
        self.version = 1
        self.breaks = list(breaks)
        self.raises = raises
        self.asked: list[tuple[int, int | None]] = []
        self.is_open = 0

    def open(self, position: int, left: int | None, version: int | None) -> tuple[Answer, int]:
        self.asked.append((position, left))
        if self.content is None:
            raise PathNotFound("a")
        if version not in (None, self.version):
            raise Refused("a", 412)
        if position >= len(self.content) > 0:
            raise Refused("a", 416)
        part = self.content[position:] if left is None else self.content[position : position + left]
        self.is_open += 1
        return Answer(self, part, self.breaks.pop(0) if self.breaks else len(part)), len(part)


class Answer:
    def __init__(self, store: Store, part: bytes, comes: int) -> None:
        self.store = store
        self.rest = part[:comes]
        self.is_whole = len(part) <= comes
        self.is_closed = False

    def read(self, size: int) -> bytes:
        assert size <= BLOCK
        block, self.rest = self.rest[:size], self.rest[size:]
        if not block and not self.is_whole and self.store.raises:
            raise ConnectionResetError
        return block

    def close(self) -> None:
        if not self.is_closed:
            self.store.is_open -= 1
        self.is_closed = True


class StoreReader(ResumingReader):
    def __init__(self, store: Store, offset: int = 0, length: int | None = None) -> None:
        self.store = store
        self.version: int | None = None
        super().__init__("a", RETRY, offset, length)

    def _open(self, position: int, left: int | None) -> tuple[Body, int]:
        opened = self.store.open(position, left, self.version)
        self.version = self.store.version
        return opened


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize(("offset", "length"), [(0, None), (0, 5), (7, None), (BLOCK - 1, 2 * BLOCK), (5, 10**9)])
def test_a_break_is_not_noticed(raises: bool, offset: int, length: int | None) -> None:
    store = Store(breaks=(0, 3, BLOCK + 1, 0, 2), raises=raises)
    with StoreReader(store, offset, length) as reader:
        assert b"".join(reader) == CONTENT[offset:][:length]
    assert store.is_open == 0


def test_the_rest_is_asked_for_to_its_end() -> None:
    store = Store(breaks=(10,))
    assert b"".join(StoreReader(store, 5)) == CONTENT[5:]
    assert store.asked == [(5, None), (15, len(CONTENT) - 15)]


def test_breaks_that_bring_something_may_be_many() -> None:
    store = Store(breaks=(1,) * 50)
    assert b"".join(StoreReader(store)) == CONTENT


@pytest.mark.parametrize("raises", [False, True])
def test_breaks_that_bring_nothing_are_bounded(raises: bool) -> None:
    store = Store(breaks=(BLOCK, 0, 0, 0, 0), raises=raises)
    blocks = iter(StoreReader(store))
    assert next(blocks) == CONTENT[:BLOCK]
    with pytest.raises(StorageFailure, match="a: the store's answer broke off 3 times"):
        next(blocks)
    assert len(store.asked) == 3


def test_another_version_is_never_mixed_in() -> None:
    store = Store(breaks=(BLOCK,))
    blocks = iter(StoreReader(store))
    next(blocks)
    store.content, store.version = CONTENT[::-1], 2
    with pytest.raises(StorageFailure, match="it was replaced while it was read"):
        next(blocks)


def test_what_is_gone_by_then_is_a_failure_and_no_absence() -> None:
    store = Store(breaks=(BLOCK,))
    blocks = iter(StoreReader(store))
    next(blocks)
    store.content = None
    with pytest.raises(StorageFailure, match="it was replaced or deleted while it was read"):
        next(blocks)


def test_a_store_that_ignores_ranges_is_seen() -> None:
    class Ignoring(StoreReader):
        def _open(self, position: int, left: int | None) -> tuple[Body, int]:
            return super()._open(0, None)

    blocks = iter(Ignoring(Store(breaks=(BLOCK,))))
    next(blocks)
    with pytest.raises(StorageFailure, match="the store ignores ranges"):
        next(blocks)


def test_nothing_is_there() -> None:
    store = Store()
    store.content = None
    with pytest.raises(PathNotFound):
        StoreReader(store)


@pytest.mark.parametrize(("content", "offset"), [(b"", 0), (CONTENT, len(CONTENT)), (CONTENT, 10**9)])
def test_no_bytes(content: bytes, offset: int) -> None:
    with StoreReader(Store(content), offset) as reader:
        assert list(reader) == []


def test_a_refusal_of_another_kind_is_passed_on() -> None:
    class Forbidden(StoreReader):
        def _open(self, position: int, left: int | None) -> tuple[Body, int]:
            raise Refused("a", 403)

    with pytest.raises(Refused, match="403"):
        Forbidden(Store())


def test_closed_early_and_twice() -> None:
    store = Store()
    reader = StoreReader(store)
    next(iter(reader))
    reader.close()
    reader.close()
    assert store.is_open == 0
    with EmptyReader() as nothing:
        assert list(nothing) == []
