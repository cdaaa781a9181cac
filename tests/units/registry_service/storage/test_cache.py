"""The memory in a real Redis: it saves reads, never lies, and is missed by nobody when it is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.settings import SettingsError
from registry_service.storage import cache, factory
from registry_service.storage.cache import MAX_BYTES, TIMEOUT_SECONDS, Cached, Memory
from registry_service.storage.driver import Driver, PathNotFound, StorageFailure
from registry_service.storage.memory import Memory as MemoryDriver
from tests.conformance.drivers_contract import DriverContract
from tests.servers.process import Process
from tests.servers.redis import start_redis

IMAGE = f"images/{'a' * 64}"
JSON = f"{IMAGE}/json"


class Counting(MemoryDriver):
    """Counts what is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def get(self, path: str) -> bytes:
        self.reads.append(path)
        return super().get(path)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int]]:
    process, port = start_redis(tmp_path_factory.mktemp("redis"))
    yield process, port
    process.stop()


@pytest.fixture
def url(redis: tuple[Process, int], request: pytest.FixtureRequest) -> str:
    return f"redis://127.0.0.1:{redis[1]}/0"


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """A name of its own for each test's store."""
    return request.node.nodeid


@pytest.fixture
def driver(url: str, store: str) -> Driver:
    return Cached(Counting(), Memory(url, store))


def reads(driver: Driver) -> int:
    assert isinstance(driver, Cached)
    assert isinstance(driver.driver, Counting)
    return len(driver.driver.reads)


@pytest.mark.parametrize("name", ["json", "ancestry", "_checksum"])
def test_what_never_changes_is_read_once_by_all(driver: Driver, url: str, store: str, name: str) -> None:
    driver.put(f"{IMAGE}/{name}", b"content")
    another = Cached(driver.driver, Memory(url, store))
    forget_markers(url, store)
    for _ in range(3):
        assert driver.get(f"{IMAGE}/{name}") == b"content"
        assert another.get(f"{IMAGE}/{name}") == b"content"
    assert reads(driver) == 1


def forget_markers(url: str, store: str) -> None:
    """As if the minute had passed for which a writer's marker stays."""
    memory = Memory(url, store)
    for key in memory._command("KEYS", f"wharfinger:{store.translate(GLOB)}:*"):
        if memory._command("GET", key) == b"":
            memory._command("DEL", key)


GLOB = str.maketrans({"[": r"\[", "]": r"\]", "*": r"\*", "?": r"\?"})


@pytest.mark.parametrize(
    "path",
    [
        "repositories/library/x/tag_latest",
        "repositories/a/b/_index_images",
        f"{IMAGE}/_inprogress",
        "_uploads/a/b/json",
    ],
)
def test_what_changes_is_never_remembered(driver: Driver, path: str) -> None:
    for content in (b"one", b"two"):
        driver.put(path, content)
        for _ in range(2):
            assert driver.get(path) == content
    assert reads(driver) == 4


def test_another_content_is_seen_at_once(driver: Driver) -> None:
    for content in (b"one", b"two", b"three"):
        driver.put(JSON, content)
        assert driver.get(JSON) == content
    driver.put("_uploads/x", b"four")
    driver.move("_uploads/x", JSON)
    assert driver.get(JSON) == b"four"


@pytest.mark.parametrize("deleted", [JSON, IMAGE])
def test_what_is_deleted_is_gone(driver: Driver, url: str, store: str, deleted: str) -> None:
    driver.put(JSON, b"one")
    forget_markers(url, store)
    assert driver.get(JSON) == b"one"
    driver.delete(deleted)
    with pytest.raises(PathNotFound):
        driver.get(JSON)
    assert driver.create(JSON, b"two")
    assert driver.get(JSON) == b"two"


class LosesAnswers(MemoryDriver):
    """Does as it is told, and fails."""

    def put(self, path: str, content: bytes) -> None:
        super().put(path, content)
        raise StorageFailure(path, "the answer was lost")

    def move(self, source: str, target: str) -> None:
        super().move(source, target)
        raise StorageFailure(source, "the answer was lost")


def test_a_write_that_failed_may_have_been_done_all_the_same(url: str, store: str) -> None:
    driver = Cached(LosesAnswers(), Memory(url, store))
    for path, content in ((JSON, b"one"), ("_uploads/x", b"three")):
        assert driver.create(path, content)
    forget_markers(url, store)
    assert driver.get(JSON) == b"one"
    with pytest.raises(StorageFailure):
        driver.put(JSON, b"two")
    assert driver.get(JSON) == b"two"
    forget_markers(url, store)
    assert driver.get(JSON) == b"two"
    with pytest.raises(StorageFailure):
        driver.move("_uploads/x", JSON)
    assert driver.get(JSON) == b"three"


def test_the_store_is_written_first_and_even_what_redis_knows_already(url: str, store: str) -> None:
    """Whoever is asked in the middle of a write by another finds in Redis what was there, not what will be."""
    seen: list[object] = []
    memory = Memory(url, store)

    class Watching(MemoryDriver):
        def put(self, path: str, content: bytes) -> None:
            seen.append((memory.recall(path), content))
            super().put(path, content)

    driver = Cached(Watching(), Memory(url, store))
    for content in (b"one", b"two", b"two"):
        driver.put(JSON, content)
        forget_markers(url, store)
        assert driver.get(JSON) == content
    assert seen == [(None, b"one"), (b"one", b"two"), (b"two", b"two")]


def test_a_reader_that_was_slower_than_a_writer_does_not_bring_the_old_back(
    driver: Driver, url: str, store: str
) -> None:
    driver.put(JSON, b"old")
    driver.put(JSON, b"new")
    Memory(url, store).learn(JSON, b"old")
    assert driver.get(JSON) == b"new"


def test_stores_that_share_a_redis_do_not_mix(driver: Driver, url: str) -> None:
    driver.put(JSON, b"here")
    Memory(url, "elsewhere").learn(JSON, b"there")
    assert driver.get(JSON) == b"here"


def test_large_contents_are_left_to_the_store(driver: Driver, url: str, store: str) -> None:
    driver.put(JSON, bytes(MAX_BYTES + 1))
    forget_markers(url, store)
    for _ in range(2):
        driver.get(JSON)
    assert reads(driver) == 2


def test_without_redis_everything_is_just_as_right(tmp_path: Path) -> None:
    process, port = start_redis(tmp_path)
    driver = Cached(Counting(), Memory(f"redis://127.0.0.1:{port}/0", "store"))
    driver.put(JSON, b"one")
    process.stop()
    assert driver.get(JSON) == b"one"
    driver.put(JSON, b"two")
    assert driver.get(JSON) == b"two"
    driver.delete(IMAGE)
    with pytest.raises(PathNotFound):
        driver.get(JSON)


def test_a_redis_that_says_nothing_is_hardly_waited_for(tmp_path: Path) -> None:
    process, port = start_redis(tmp_path)
    driver = Cached(Counting(), Memory(f"redis://127.0.0.1:{port}/0", "store"))
    driver.put(JSON, b"one")
    os.kill(process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(200):
            assert driver.get(JSON) == b"one"
            driver.put(JSON, b"one")
        # Waited for each time, it would be 400 of them.
        assert time.monotonic() - began < 100 * TIMEOUT_SECONDS
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.stop()


@pytest.fixture
def own_url(tmp_path: Path) -> Iterator[str]:
    """A Redis that nobody else minds being changed."""
    process, port = start_redis(tmp_path)
    yield f"redis://127.0.0.1:{port}/0"
    process.stop()


@contextmanager
def refusing_writes(url: str) -> Iterator[None]:
    """Redis knows all it knew, and takes nothing: it misses a replica."""
    operator = Memory(url, "operator")
    operator._command("CONFIG", "SET", "min-replicas-to-write", 1)
    yield
    operator._command("CONFIG", "SET", "min-replicas-to-write", 0)


def test_a_redis_that_comes_back_is_told_what_it_missed(own_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "REST_SECONDS", 0.1)
    driver = Cached(Counting(), Memory(own_url, "store"))
    driver.put(JSON, b"one")
    forget_markers(own_url, "store")
    assert driver.get(JSON) == b"one"
    with refusing_writes(own_url):
        driver.put(JSON, b"two")
        assert driver.get(JSON) == b"two"
    time.sleep(0.2)
    assert driver.get(JSON) == b"two"
    assert Cached(driver.driver, Memory(own_url, "store")).get(JSON) == b"two"


def test_a_redis_that_missed_too_much_is_not_asked_until_it_has_forgotten(
    own_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_OWED", 2)
    monkeypatch.setattr(cache, "REST_SECONDS", 0)
    memory, other = Memory(own_url, "store"), Memory(own_url, "store")
    names = [f"{IMAGE}/{name}" for name in ("json", "ancestry", "_checksum")]
    for path in names:
        other.learn(path, b"old")
    with refusing_writes(own_url):
        for path in names:
            memory.unlearn(path)
    assert other.recall(JSON) == b"old"
    assert memory.recall(JSON) is None


def test_the_factory_puts_it_before_any_driver(url: str, tmp_path: Path) -> None:
    driver = factory.create("filesystem", str(tmp_path), redis_url=url)
    driver.put(JSON, b"one")
    forget_markers(url, f"filesystem:{tmp_path}")
    assert driver.get(JSON) == b"one"
    (tmp_path / JSON).write_bytes(b"changed behind everybody's back")
    assert factory.create("filesystem", str(tmp_path), redis_url=url).get(JSON) == b"one"


def test_what_is_no_redis_url_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="redis_url"):
        factory.create("memory", "", redis_url="memcached://127.0.0.1")


class TestCached(DriverContract):
    """The whole contract, with the memory in between."""

    @pytest.fixture
    def driver(self, url: str, store: str) -> Driver:
        return factory.create("memory", store, redis_url=url)
