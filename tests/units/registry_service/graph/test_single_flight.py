"""Single-flight reads: each caller sees what was written before its call, and a crowd costs the store two reads."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from common.errors import Unavailable
from registry_service.graph.single_flight import SingleFlight
from tests.units.registry_service.graph import single_flight_gevent


class Shelf:
    """What is looked at; a look reads, and then lasts until the test lets it go."""

    def __init__(self) -> None:
        self.content = "first"
        self.looks = 0
        self.began = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.failure: BaseException | None = None

    def look(self, _key: str) -> str:
        self.looks += 1
        seen, failure = self.content, self.failure
        self.began.release()
        assert self.go_on.acquire(timeout=10)
        if failure is not None:
            raise failure
        return seen


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


class NotingLock:
    """A lock that says when a thread has released it: whoever asks has then been noted."""

    def __init__(self) -> None:
        self.noted: dict[int, threading.Event] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if noted := self.noted.pop(threading.get_ident(), None):
            noted.set()


class Noted(SingleFlight[str, str]):
    def __init__(self, look: Callable[[str], str], **settings: float) -> None:
        super().__init__(look, **settings)
        self.lock = NotingLock()
        self._lock = self.lock  # type: ignore[assignment]


@pytest.fixture
def looks(shelf: Shelf) -> Noted:
    return Noted(shelf.look)


def ask(pool: ThreadPoolExecutor, looks: Noted, key: str = "tags") -> Future[str]:
    """Returns when whoever asks has been noted."""
    noted = threading.Event()

    def run() -> str:
        looks.lock.noted[threading.get_ident()] = noted
        return looks(key)

    future = pool.submit(run)
    assert noted.wait(60)
    return future


def test_who_asks_during_a_look_does_not_get_what_it_saw(shelf: Shelf, looks: Noted) -> None:
    with ThreadPoolExecutor() as pool:
        early = ask(pool, looks)
        assert shelf.began.acquire(timeout=10)
        shelf.content = "second"
        late = ask(pool, looks)
        shelf.go_on.release(2)
        assert (early.result(10), late.result(10)) == ("first", "second")


def test_all_who_ask_during_a_look_share_the_next(shelf: Shelf, looks: Noted) -> None:
    with ThreadPoolExecutor(30) as pool:
        early = ask(pool, looks)
        assert shelf.began.acquire(timeout=10)
        shelf.content = "second"
        late = [ask(pool, looks) for _ in range(20)]
        shelf.go_on.release(2)
        assert early.result(10) == "first"
        assert {each.result(10) for each in late} == {"second"}
    assert shelf.looks == 2


def test_one_key_does_not_wait_for_another(shelf: Shelf, looks: Noted) -> None:
    with ThreadPoolExecutor() as pool:
        both = [ask(pool, looks, "one"), ask(pool, looks, "other")]
        assert shelf.began.acquire(timeout=10)
        assert shelf.began.acquire(timeout=10)
        shelf.go_on.release(2)
        assert [each.result(10) for each in both] == ["first", "first"]


def test_a_failure_is_shared_by_the_callers_of_one_read_alone(shelf: Shelf, looks: Noted) -> None:
    with ThreadPoolExecutor() as pool:
        early = ask(pool, looks)
        assert shelf.began.acquire(timeout=10)
        shelf.failure = Unavailable("storage: gone")
        late = [ask(pool, looks) for _ in range(3)]
        shelf.go_on.release()
        assert shelf.began.acquire(timeout=10)
        shelf.failure = None
        last = ask(pool, looks)
        shelf.go_on.release(2)
        wait([early, last, *late], 10)
        assert early.result() == last.result() == "first"
        assert [str(each.exception()) for each in late] == ["storage: gone"] * 3


def test_where_one_is_told_to_stop_while_looking_another_looks(shelf: Shelf, looks: Noted) -> None:
    with ThreadPoolExecutor() as pool:
        early = ask(pool, looks)
        assert shelf.began.acquire(timeout=10)
        shelf.failure = SystemExit()
        leader, follower = ask(pool, looks), ask(pool, looks)
        shelf.go_on.release()
        assert early.result(10) == "first"
        assert shelf.began.acquire(timeout=10)
        shelf.failure = None
        shelf.content = "second"
        shelf.go_on.release(2)
        assert isinstance(leader.exception(10), SystemExit)
        assert follower.result(10) == "second"


def test_a_look_that_never_ends_is_overtaken_and_waited_for_by_nobody(shelf: Shelf) -> None:
    # Within a second all three have been noted.
    looks = Noted(shelf.look, wait_seconds=1.0)
    with ThreadPoolExecutor() as pool:
        stuck = ask(pool, looks)
        assert shelf.began.acquire(timeout=10)
        overtaking, follower = ask(pool, looks), ask(pool, looks)
        assert shelf.began.acquire(timeout=10)
        with pytest.raises(Unavailable, match="The store takes too long"):
            follower.result(10)
        assert not stuck.done()
        assert not overtaking.done()
        shelf.go_on.release(2)
        assert stuck.result(10) == overtaking.result(10) == "first"
    assert not looks._under_way


def test_a_failure_that_many_share_does_not_grow_with_them(shelf: Shelf, looks: Noted) -> None:
    """Each of hundreds who raise the one exception would add to its traceback, and each would log all of it."""
    with ThreadPoolExecutor(60) as pool:
        early = ask(pool, looks)
        assert shelf.began.acquire(timeout=10)
        shelf.failure = Unavailable("storage: gone")
        late = [ask(pool, looks) for _ in range(50)]
        shelf.go_on.release(2)
        wait([early, *late], 10)
        assert len(traceback.extract_tb(shelf.failure.__traceback__)) < 50


def test_greenlets_that_are_killed_or_stuck_leave_nobody_waiting() -> None:
    command = [sys.executable, "-m", "gevent.monkey", "--module", single_flight_gevent.__name__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "nobody waits"


def test_nothing_is_kept(shelf: Shelf, looks: Noted) -> None:
    shelf.go_on.release(3)
    for key in ("one", "other", "third"):
        looks(key)
    assert not looks._under_way
    assert not looks._next


def test_everybody_sees_what_was_written_before_asking() -> None:
    """Writers count up, readers compare: no answer is older than its question."""
    written, failures = 0, []

    def look(_key: str) -> int:
        seen = written
        time.sleep(0.0005)
        return seen

    looks: SingleFlight[str, int] = SingleFlight(look)

    def write() -> None:
        nonlocal written
        for _ in range(1000):
            written += 1
            time.sleep(0.0001)

    def read() -> None:
        while written < 1000:
            before = written
            seen = looks("tags")
            if not before <= seen <= written:
                failures.append((before, seen))

    work: list[Callable[[], Any]] = [write, *[read] * 16]
    with ThreadPoolExecutor(len(work)) as pool:
        wait([pool.submit(each) for each in work])
    assert failures == []
