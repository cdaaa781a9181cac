"""Blocking work on the hub's thread pool, and readers that stay with the hub while their blocks are used there."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import gevent
import pytest
from gevent.event import Event

from registry_service.offload import AHEAD, MAX_RELAYS, offload
from registry_service.storage.driver import Reader, StorageFailure


class Slow(Reader):
    """Gives so many blocks, and lets others run before each; then ends, or fails."""

    def __init__(self, count: int, failure: Exception | None = None) -> None:
        self.threads: set[int] = set()
        self.given = 0
        self._count = count
        self._failure = failure

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._count):
            self.threads.add(threading.get_ident())
            gevent.sleep(0.001)
            self.given += 1
            yield b"x"
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        pass


class Silent(Reader):
    """Gives nothing until it is told to go on."""

    def __init__(self, go_on: Event) -> None:
        self._go_on = go_on

    def __iter__(self) -> Iterator[bytes]:
        self._go_on.wait()
        yield b"x"

    def close(self) -> None:
        pass


def count(blocks: Iterable[bytes]) -> tuple[int, int]:
    return len(list(blocks)), threading.get_ident()


def test_work_is_done_on_another_thread_and_its_failures_come_back() -> None:
    assert offload(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        offload(lambda: 1 / 0)


def test_a_reader_is_read_where_it_was_opened() -> None:
    reader = Slow(50)
    counted, thread = offload(count, reader)
    assert (counted, reader.threads) == (50, {threading.get_ident()})
    assert thread != threading.get_ident()
    assert offload(count, Slow(0))[0] == 0


def test_others_run_while_a_reader_waits() -> None:
    go_on = Event()
    work = gevent.spawn(offload, count, Silent(go_on))
    assert not work.ready()
    gevent.spawn_later(0.02, go_on.set)
    assert work.get(timeout=10)[0] == 1


def test_what_reading_raises_ends_the_work() -> None:
    with pytest.raises(StorageFailure, match="broke off"):
        offload(count, Slow(3, StorageFailure("layer", "it broke off")))


def test_work_that_ends_early_ends_the_reading() -> None:
    reader = Slow(1000)
    assert offload(lambda blocks: next(iter(blocks)), reader) == b"x"
    assert reader.given <= AHEAD + 2

    def fail(blocks: Iterable[bytes]) -> None:
        next(iter(blocks))
        raise ValueError

    reader = Slow(1000)
    with pytest.raises(ValueError):  # noqa: PT011 - raised two lines above
        offload(fail, reader)
    assert reader.given <= AHEAD + 2


def test_reading_runs_no_further_ahead_than_a_few_blocks() -> None:
    reader, taken = Slow(100), threading.Event()

    def wait(blocks: Iterable[bytes]) -> int:
        taken.wait(30)
        return len(list(blocks))

    work = gevent.spawn(offload, wait, reader)
    gevent.sleep(0.3)
    assert reader.given <= AHEAD + 1
    taken.set()
    assert work.get(timeout=10) == 100


def test_work_that_nobody_waits_for_leaves_its_thread() -> None:
    ended: list[BaseException] = []
    begun = threading.Event()

    def work(blocks: Iterable[bytes]) -> None:
        begun.set()
        try:
            list(blocks)
        except Exception as error:
            ended.append(error)
            raise

    go_on = Event()
    asked = gevent.spawn(offload, work, Silent(go_on))
    with gevent.Timeout(60):
        while not begun.is_set():
            gevent.sleep(0.01)
        asked.kill()
        while not ended:
            gevent.sleep(0.01)


def test_slow_readers_leave_threads_to_others() -> None:
    go_on = Event()
    waiting = [gevent.spawn(offload, count, Silent(go_on)) for _ in range(5 * MAX_RELAYS)]
    gevent.sleep(0.05)
    assert gevent.spawn(offload, len, b"four").get(timeout=10) == 4
    go_on.set()
    gevent.joinall(waiting, timeout=10)
    assert [each.get()[0] for each in waiting] == [1] * len(waiting)
