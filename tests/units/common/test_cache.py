from __future__ import annotations

import threading
import time

import pytest

from common.cache import Cache, Cached


class Timer:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_full_cache_evicts_the_least_recently_used() -> None:
    cache: Cache[str, int] = Cache(capacity=100, seconds=60)
    for number, key in enumerate("abcd"):
        cache.put(key, number, 30)
        assert cache.get("a") == 0
    assert [cache.get(key) for key in "abcd"] == [0, None, 2, 3]
    cache.put("c", 7, 40)
    cache.put("e", 4, 30)
    assert [cache.get(key) for key in "abcde"] == [None, None, 7, 3, 4]
    cache.put("huge", 1, 101)
    assert cache.get("huge") is None
    assert cache.get("e") == 4
    cache.discard("e")
    cache.discard("e")
    assert cache.get("e") is None


def test_entries_that_nobody_weighs_are_counted() -> None:
    cache: Cache[int, int] = Cache(3)
    for number in range(5):
        cache.put(number, number)
    assert [cache.get(number) for number in range(5)] == [None, None, 2, 3, 4]


def test_an_entry_expires() -> None:
    timer = Timer()
    cache: Cache[str, int] = Cache(100, 60, timer=timer)
    cache.put("a", 1)
    timer.now += 59.9
    assert cache.get("a") == 1
    timer.now += 0.2
    assert cache.get("a") is None


def test_what_has_expired_leaves_as_others_come() -> None:
    """Though nobody asks for it again: tokens are asked about for a minute, and there are ever new ones."""
    timer = Timer()
    cache: Cache[int, int] = Cache(100_000, 60, timer=timer)
    for number in range(10_000):
        timer.now += 1
        cache.put(number, number)
    assert len(cache._entries) <= 61
    assert cache.get(9_999) == 9_999
    assert cache._weight == len(cache._entries)


def test_an_entry_put_again_lives_anew() -> None:
    timer = Timer()
    cache: Cache[str, int] = Cache(100, 60, timer=timer)
    cache.put("a", 1)
    timer.now += 59
    cache.put("a", 2)
    timer.now += 59
    assert cache.get("a") == 2


def test_nothing_is_cached_for_zero_seconds() -> None:
    cache: Cache[str, int] = Cache(100, 0)
    cache.put("a", 1)
    assert cache.get("a") is None


def test_without_seconds_nothing_expires() -> None:
    timer = Timer()
    cache: Cache[str, int] = Cache(100, timer=timer)
    cache.put("a", 1)
    timer.now += 1e9
    assert cache.get("a") == 1


def test_threads_that_ask_for_one_key_get_one_value() -> None:
    cache: Cache[str, object] = Cache(100)
    found: list[object] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.extend(cache.get_or_put("a", object) for _ in range(200))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1600
    assert set(map(id, found)) == {id(cache.get("a"))}


def test_threads_that_ask_for_one_key_compute_it_once() -> None:
    cache: Cache[str, object] = Cache(10)
    locks: Cache[str, threading.Lock] = Cache(10)
    start, made, found = threading.Barrier(8), [], []

    def make() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    def ask() -> None:
        start.wait()
        found.append(cache.compute("a", locks, make, lambda _: 9))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == made * 8
    cache.put("b", 0, 2)
    assert cache.get("a") is None


def test_what_cannot_be_computed_is_tried_by_the_next() -> None:
    cache: Cache[str, int] = Cache(10)
    locks: Cache[str, threading.Lock] = Cache(10)
    with pytest.raises(ZeroDivisionError):
        cache.compute("a", locks, lambda: 1 // 0)
    assert cache.compute("a", locks, lambda: 1) == 1


def test_threads_leave_the_weight_right() -> None:
    """After a crowd of writers the cache holds as much as it may, no less."""
    cache: Cache[int, int] = Cache(10)

    def write(seed: int) -> None:
        for number in range(2000):
            cache.put((seed * number) % 40, number, 2)
            cache.discard((seed + number) % 40)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in (1, 3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(5):
        cache.put(number, number, 2)
    assert [cache.get(number) for number in range(5)] == list(range(5))
    assert [cache.get(number) for number in range(5, 40)] == [None] * 35


def test_one_value_is_made_anew_once_it_is_old() -> None:
    timer, made = Timer(), iter(range(9))
    cached = Cached(lambda: next(made), 60, timer=timer)
    assert [cached.get(), cached.get()] == [0, 0]
    timer.now += 59.9
    assert cached.get() == 0
    timer.now += 0.2
    assert [cached.get(), cached.get()] == [1, 1]
