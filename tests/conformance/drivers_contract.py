"""What every storage driver promises, as tests: a class to inherit from, with a `driver` fixture to give."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from common.errors import Invalid, NotFound
from registry_service.storage.driver import BLOCK, BadPath, Driver, PathNotFound, Reader

BAD_PATHS = [
    "", "/", ".", "..", "/a", "a/", "a//b", "./a", "a/.", "a/..", "../a", "a/../b", "a/./b", "a b", "a\0b", "a\nb",
    "a\n", "a\\b", "é", "a/\x7f", "x" * 256, "/".join(["y" * 100] * 10), "a?b", "a:b",
]  # fmt: skip

GOOD_PATHS = ["a", ".a", "a.", "...", "a..b", "_a", "-", "a+b", "a%252Fb", "a~b", "x" * 255, "/".join(["y" * 99] * 9)]


def generated(blocks: int, seed: str = "") -> Iterator[bytes]:
    """Bytes that nobody has to keep in order to know them again; each block is told from all others."""
    for number in range(blocks):
        yield hashlib.sha256(f"{seed}{number}".encode()).digest() * (BLOCK // 32)


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Let so many threads do something at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def read(reader: Reader) -> bytes:
    with reader:
        return b"".join(reader)


class DriverContract:
    """Inherit, and give a fixture `driver`: an empty store behind its guard."""

    names_each = 300
    """Names that each of eight make in one folder; all together more than a page of the store holds."""

    turns = 50
    """How often each of six writes, moves and deletes beside the others."""

    @pytest.mark.parametrize("content", [b"", b"x", b"\0\xff" * 5000, b"z" * (BLOCK + 1)])
    def test_content_comes_back(self, driver: Driver, content: bytes) -> None:
        driver.put("images/a/json", content)
        assert driver.get("images/a/json") == content
        assert driver.stat("images/a/json").size == len(content)
        assert driver.exists("images/a/json")
        assert read(driver.open_reader("images/a/json")) == content

    def test_content_is_replaced_whole(self, driver: Driver) -> None:
        driver.put("a/b", b"a longer first content")
        driver.put("a/b", b"short")
        assert driver.get("a/b") == b"short"
        assert list(driver.list("a")) == ["b"]

    def test_absence(self, driver: Driver) -> None:
        driver.put("there/b", b"1")
        for path in ("a", "a/b", "there/c", "there", "there/b/c"):
            for ask in (driver.get, driver.stat, driver.open_reader):
                with pytest.raises(PathNotFound, match=path):
                    ask(path)
        for path in ("a", "there/c", "there/b/c"):
            assert not driver.exists(path)
            with pytest.raises(PathNotFound):
                driver.delete(path)
        for path in ("a", "there/c", "there/b"):
            with pytest.raises(PathNotFound):
                driver.list(path)
        with pytest.raises(NotFound):
            driver.move("a", "b")
        assert not driver.exists("b")

    def test_what_is_below_makes_a_path_exist(self, driver: Driver) -> None:
        driver.put("a/b/c", b"")
        assert driver.exists("a")
        assert driver.exists("a/b")
        assert not driver.exists("a/bc")
        assert not driver.exists("a/b/c/d")

    @pytest.mark.parametrize("path", BAD_PATHS)
    def test_bad_paths(self, driver: Driver, path: str) -> None:
        for ask in (
            driver.get, driver.stat, driver.exists, driver.list, driver.delete, driver.open_reader, driver.open_writer,
            driver.url_for, driver.local_path,
            lambda path: driver.put(path, b""), lambda path: driver.create(path, b""),
            lambda path: driver.move(path, "good"), lambda path: driver.move("good", path),
        ):  # fmt: skip
            with pytest.raises(BadPath) as caught:
                ask(path)
            assert isinstance(caught.value, Invalid)

    @pytest.mark.parametrize("path", GOOD_PATHS)
    def test_good_paths(self, driver: Driver, path: str) -> None:
        driver.put(path, b"1")
        assert driver.get(path) == b"1"
        driver.delete(path)
        assert not driver.exists(path)

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, None, slice(None)),
            (1, None, slice(1, None)),
            (0, 1, slice(0, 1)),
            (BLOCK - 1, 2, slice(BLOCK - 1, BLOCK + 1)),
            (BLOCK, BLOCK, slice(BLOCK, 2 * BLOCK)),
            (5, 0, slice(0, 0)),
            (3 * BLOCK - 1, None, slice(3 * BLOCK - 1, None)),
            (3 * BLOCK - 1, 10, slice(3 * BLOCK - 1, None)),
            (3 * BLOCK, None, slice(0, 0)),
            (3 * BLOCK + 7, 5, slice(0, 0)),
        ],
    )
    def test_ranges_stop_exactly(self, driver: Driver, offset: int, length: int | None, expected: slice) -> None:
        content = b"".join(generated(3))
        driver.put("a", content)
        blocks = list(driver.open_reader("a", offset, length))
        assert b"".join(blocks) == content[expected]
        assert all(0 < len(block) <= BLOCK for block in blocks)

    def test_stream_is_invisible_until_committed(self, driver: Driver) -> None:
        with driver.open_writer("a/layer") as writer:
            for block in generated(5):
                writer.write(block)
                assert not driver.exists("a/layer")
                assert not driver.exists("a")
            writer.commit()
            assert driver.stat("a/layer").size == 5 * BLOCK
        assert read(driver.open_reader("a/layer")) == b"".join(generated(5))
        assert list(driver.list("a")) == ["layer"]

    def test_stream_of_nothing(self, driver: Driver) -> None:
        with driver.open_writer("a") as writer:
            writer.commit()
        assert driver.stat("a").size == 0
        assert list(driver.open_reader("a")) == []

    def test_stream_of_crumbs(self, driver: Driver) -> None:
        with driver.open_writer("a") as writer:
            for number in range(300):
                writer.write(bytes([number % 256]))
            writer.commit()
        assert driver.get("a") == bytes(number % 256 for number in range(300))

    def test_cancelled_stream_leaves_the_old(self, driver: Driver) -> None:
        driver.put("a/b", b"old")
        writer = driver.open_writer("a/b")
        writer.write(b"new")
        writer.cancel()
        writer.cancel()
        assert driver.get("a/b") == b"old"

    def test_raise_cancels_a_stream(self, driver: Driver) -> None:
        def cut_short() -> Iterator[bytes]:
            yield b"new"
            raise ConnectionError

        def pour() -> None:
            with driver.open_writer("a/b") as writer:
                for block in cut_short():
                    writer.write(block)

        with pytest.raises(ConnectionError):
            pour()
        assert not driver.exists("a")

    def test_cancel_after_commit_changes_nothing(self, driver: Driver) -> None:
        writer = driver.open_writer("a")
        writer.write(b"1")
        writer.commit()
        writer.cancel()
        assert driver.get("a") == b"1"

    def test_reader_keeps_what_it_opened(self, driver: Driver) -> None:
        driver.put("a", b"".join(generated(4, "old")))
        reader = driver.open_reader("a")
        blocks = iter(reader)
        first = next(blocks)
        driver.put("a", b"".join(generated(4, "new")))
        assert first + b"".join(blocks) == b"".join(generated(4, "old"))
        reader.close()
        reader.close()

    def test_modified_moves_on(self, driver: Driver) -> None:
        driver.put("a", b"1")
        before = driver.stat("a").modified
        driver.put("a", b"2")
        assert 0 < before <= driver.stat("a").modified

    def test_create_is_exclusive(self, driver: Driver) -> None:
        assert driver.create("a/b", b"first") is True
        assert driver.create("a/b", b"second") is False
        assert driver.get("a/b") == b"first"
        driver.delete("a/b")
        assert driver.create("a/b", b"third") is True
        assert list(driver.list("a")) == ["b"]

    def test_one_of_sixteen_creates(self, driver: Driver) -> None:
        for round_ in range(10):
            path = f"claims/{round_}"
            created = together(16, lambda number, path=path: driver.create(path, str(number).encode()))
            assert created.count(True) == 1
            assert driver.get(path) == str(created.index(True)).encode()

    def test_thousands_of_names(self, driver: Driver) -> None:
        together(8, lambda number: [driver.put(f"images/{number}.{each}", b"") for each in range(self.names_each)])
        driver.put("images2/a", b"")
        listed = list(driver.list("images"))
        assert len(listed) == 8 * self.names_each
        assert set(listed) == {f"{number}.{each}" for number in range(8) for each in range(self.names_each)}

    def test_list_names_children_once(self, driver: Driver) -> None:
        for path in ("a/b/1", "a/b/2", "a/c", "a/d/e/f", "ab/c"):
            driver.put(path, b"")
        assert sorted(driver.list("a")) == ["b", "c", "d"]
        assert sorted(driver.list("a/b")) == ["1", "2"]

    def test_entries_are_what_is_listed_and_never_the_digest_of_another_content(self, driver: Driver) -> None:
        for content in (b"1", b"2", b"1"):
            for path in ("a/b", "a/c/d"):
                driver.put(path, content)
            entries = dict(driver.entries("a"))
            assert sorted(entries) == ["b", "c"]
            assert entries["b"] in (None, hashlib.md5(content, usedforsecurity=False).hexdigest())
            assert entries["c"] is None
        with pytest.raises(PathNotFound):
            list(driver.entries("b"))

    def test_delete_one(self, driver: Driver) -> None:
        driver.put("a/b", b"1")
        driver.put("a/bc", b"2")
        driver.delete("a/b")
        assert not driver.exists("a/b")
        assert list(driver.list("a")) == ["bc"]

    def test_delete_takes_everything_below(self, driver: Driver) -> None:
        for path in ("a/b/c", "a/b/d/e", "a/b/d/f", "a/bc", "b/b"):
            driver.put(path, b"1")
        driver.delete("a/b")
        assert list(driver.list("a")) == ["bc"]
        assert driver.exists("b/b")
        driver.delete("a")
        assert not driver.exists("a")

    def test_emptied_path_exists_no_more(self, driver: Driver) -> None:
        driver.put("a/b/c/d", b"1")
        driver.delete("a/b/c/d")
        for path in ("a/b/c", "a/b", "a"):
            assert not driver.exists(path)
            with pytest.raises(PathNotFound):
                driver.list(path)

    def test_move(self, driver: Driver) -> None:
        driver.put("a/b", b"1")
        driver.move("a/b", "c/d/e")
        assert driver.get("c/d/e") == b"1"
        assert not driver.exists("a")

    def test_move_replaces(self, driver: Driver) -> None:
        driver.put("a", b"new")
        driver.put("b", b"old")
        driver.move("a", "b")
        assert driver.get("b") == b"new"
        with pytest.raises(PathNotFound):
            driver.get("a")

    def test_move_of_nothing_names_the_source(self, driver: Driver) -> None:
        driver.put("b", b"old")
        with pytest.raises(PathNotFound, match="nowhere"):
            driver.move("nowhere/a", "b")
        assert driver.get("b") == b"old"

    def test_writers_of_one_path_do_not_mix(self, driver: Driver) -> None:
        def write(number: int) -> None:
            with driver.open_writer("layer") as writer:
                for block in generated(6, str(number)):
                    writer.write(block)
                writer.commit()

        together(8, write)
        content = read(driver.open_reader("layer"))
        assert content in [b"".join(generated(6, str(number))) for number in range(8)]

    def test_readers_see_old_or_new(self, driver: Driver) -> None:
        contents = [b"".join(generated(3, str(number))) for number in range(4)]
        driver.put("a", contents[0])

        def act(number: int) -> list[bytes]:
            if number < 2:
                for turn in range(20):
                    driver.put("a", contents[(turn + number) % 4])
                return []
            return [read(driver.open_reader("a")) for _ in range(20)]

        for seen in together(6, act):
            assert all(content in contents for content in seen)

    def test_writing_beside_deleting(self, driver: Driver) -> None:
        """Names come and go in one directory; nobody who writes a name of his own is disturbed."""

        def act(number: int) -> None:
            for turn in range(self.turns):
                driver.put(f"shared/deep/{number}", str(turn).encode())
                assert driver.get(f"shared/deep/{number}") == str(turn).encode()
                assert driver.create(f"shared/deep/{number}.x", b"") is True
                driver.move(f"shared/deep/{number}.x", f"shared/other/{number}")
                driver.delete(f"shared/deep/{number}")
                driver.delete(f"shared/other/{number}")

        together(6, act)
        assert not driver.exists("shared")

    def test_local_path_holds_the_content(self, driver: Driver) -> None:
        driver.put("a/b", b"1")
        file = driver.local_path("a/b")
        assert file is None or file.read_bytes() == b"1"

    def test_url_is_one(self, driver: Driver) -> None:
        driver.put("a/b", b"1")
        url = driver.url_for("a/b")
        assert url is None or url.startswith(("http://", "https://"))

    def test_failure_names_driver_and_path(self, driver: Driver) -> None:
        with pytest.raises(PathNotFound) as caught:
            driver.get("images/a/json")
        assert caught.value.message == f"{driver.name}: nothing is stored at: images/a/json"
