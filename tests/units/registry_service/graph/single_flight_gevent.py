"""Greenlets that share looks and are killed, run out of time or get stuck, in a process patched as the worker's is."""

from __future__ import annotations

import random
from collections.abc import Callable

import gevent
import gevent.lock
import gevent.pool
import pytest

from common.errors import Unavailable
from registry_service.graph.single_flight import SingleFlight


class Shelf:
    """What is looked at. A look reads, and then waits until it may go on."""

    def __init__(self) -> None:
        self.content = 1
        self.looks = 0
        self.began = gevent.lock.Semaphore(0)
        self.go_on = gevent.lock.Semaphore(0)

    def look(self, _key: str) -> int:
        self.looks += 1
        seen = self.content
        self.began.release()
        self.go_on.acquire()
        return seen


def ask(looks: SingleFlight[str, int], count: int = 1) -> list[gevent.Greenlet]:
    """Returns when all who ask have been noted."""
    asked = [gevent.spawn(looks, "tags") for _ in range(count)]
    gevent.idle()
    return asked


def answers(asked: list[gevent.Greenlet]) -> list[int]:
    return [greenlet.get(timeout=10) for greenlet in asked]


def let_look(shelf: Shelf, count: int) -> None:
    """So many looks begin one after the other, and end when everybody who wants to share the next has said so."""
    for _ in range(count):
        assert shelf.began.acquire(timeout=10)
        gevent.idle()
        shelf.go_on.release()


def killed_while_looking(stop: Callable[[gevent.Greenlet], None]) -> None:
    shelf = Shelf()
    looks = SingleFlight(shelf.look)
    early = ask(looks)
    shelf.began.acquire()
    leader, *followers = ask(looks, 20)
    shelf.go_on.release()
    assert answers(early) == [1]
    shelf.began.acquire()
    shelf.content = 2
    stop(leader)
    # One looks at once, and the others together after him.
    let_look(shelf, 2)
    assert answers(followers) == [2] * 19
    assert shelf.looks == 4
    check_empty(looks)


def killed_while_waiting_its_turn(stop: Callable[[gevent.Greenlet], None]) -> None:
    shelf = Shelf()
    looks = SingleFlight(shelf.look)
    early = ask(looks)
    shelf.began.acquire()
    leader, *followers = ask(looks, 20)
    stop(leader)
    shelf.content = 2
    shelf.go_on.release()
    assert answers(early) == [1]
    let_look(shelf, 1)
    assert answers(followers) == [2] * 19
    assert shelf.looks == 2
    check_empty(looks)


def a_follower_that_is_killed_takes_nobody_along(stop: Callable[[gevent.Greenlet], None]) -> None:
    shelf = Shelf()
    looks = SingleFlight(shelf.look)
    early = ask(looks)
    shelf.began.acquire()
    crowd = ask(looks, 20)
    stop(crowd.pop(7))
    shelf.go_on.release()
    let_look(shelf, 1)
    assert answers([*early, *crowd]) == [1] * 20
    check_empty(looks)


def kill(greenlet: gevent.Greenlet) -> None:
    greenlet.kill(timeout=10)
    assert greenlet.dead


def time_out(greenlet: gevent.Greenlet) -> None:
    greenlet.kill(gevent.Timeout(0), timeout=10)
    assert isinstance(greenlet.exception, gevent.Timeout)


def a_look_that_never_ends_is_overtaken() -> None:
    shelf = Shelf()
    looks = SingleFlight(shelf.look, wait_seconds=0.2)
    stuck = ask(looks)
    shelf.began.acquire()
    followers = ask(looks, 5)
    shelf.content = 2
    gevent.sleep(0.3)
    # The second began without the first's end, and does not end either.
    shelf.began.acquire()
    with pytest.raises(Unavailable, match="takes too long"):
        followers[1].get(timeout=10)
    late = ask(looks, 5)
    shelf.content = 3
    for _ in range(3):
        shelf.go_on.release()
    assert answers([*stuck, followers[0], *late]) == [1, 2, *[3] * 5]
    check_empty(looks)


def nobody_is_told_what_was_true_before_he_asked() -> None:
    """Writers count up, readers compare, and one in three is killed or runs out of time at any moment."""
    chance = random.Random(1)
    written, answered, stale = 0, 0, []

    def look(_key: str) -> int:
        seen = written
        gevent.sleep(chance.choice((0, 0.0001, 0.001)))
        if chance.random() < 0.1:
            raise LookupError
        return seen

    looks = SingleFlight(look)

    def write() -> None:
        nonlocal written
        while True:
            written += 1
            gevent.sleep(0.0002)

    def read() -> None:
        nonlocal answered
        before = written
        try:
            with gevent.Timeout(chance.choice((0.0005, 5, 5)), False):
                seen = looks("tags")
                answered += 1
                if not before <= seen <= written:
                    stale.append((before, seen))
        except LookupError:
            pass

    writer = gevent.spawn(write)
    pool = gevent.pool.Pool(32)
    with gevent.Timeout(60):
        for number in range(3000):
            reader = pool.spawn(read)
            if number % 3 == 0:
                gevent.spawn_later(chance.random() / 500, reader.kill)
        pool.join()
    writer.kill()
    assert answered > 500
    assert stale == []
    check_empty(looks)


def check_empty(looks: SingleFlight[str, int]) -> None:
    assert not looks._under_way
    assert not looks._next


def main() -> None:
    for stop in (kill, time_out):
        killed_while_looking(stop)
        killed_while_waiting_its_turn(stop)
        a_follower_that_is_killed_takes_nobody_along(stop)
    a_look_that_never_ends_is_overtaken()
    nobody_is_told_what_was_true_before_he_asked()
    print("nobody waits")


if __name__ == "__main__":
    main()
