"""The cache of both services: bounded, with a time to live; the least recently used entries are evicted first.

What has expired is evicted as other entries come, whether anybody asks for it or not. Safe to share among threads and
greenlets. A hit takes 0.5 µs, beside 1.8 µs of a `cachetools.TTLCache` under the lock that it leaves to its callers:

    python -m timeit -s 'from common.cache import Cache; c = Cache(9, 60); c.put("a", 1)' 'c.get("a")'
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

_SWEPT_AT_ONCE = 2

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Caches values up to a total weight, entries unless the caller weighs them, and each for a number of seconds."""

    def __init__(
        self, capacity: int, seconds: float = math.inf, *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._timer = timer
        self._weight = 0
        self._entries: OrderedDict[K, tuple[V, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The cached value, which becomes the most recently used; None where there is none, or it has expired."""
        with self._lock:
            return self._get(key)

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Cache a value in place of the key's previous one. A value heavier than the capacity is not cached."""
        with self._lock:
            self._put(key, value, weight)

    def get_or_put(self, key: K, make: Callable[[], V]) -> V:
        """The cached value, or a new one; `make` runs under the lock and must neither block nor use the cache."""
        with self._lock:
            value = self._get(key)
            if value is None:
                value = make()
                self._put(key, value, 1)
            return value

    def compute(
        self, key: K, locks: Cache[K, Lock], make: Callable[[], V], weigh: Callable[[V], int] = lambda _: 1
    ) -> V:
        """The cached value, or one that the first caller makes while all others wait; `locks` are those of the keys."""
        value = self.get(key)
        if value is None:
            with locks.get_or_put(key, Lock):
                value = self.get(key)
                if value is None:
                    value = make()
                    self.put(key, value, weigh(value))
        return value

    def discard(self, key: K) -> None:
        """Evict one entry, if it is cached."""
        with self._lock:
            self._discard(key)

    def _get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, _, expires = entry
        if expires <= self._timer():
            self._discard(key)
            return None
        self._entries.move_to_end(key)
        return value

    def _put(self, key: K, value: V, weight: int) -> None:
        self._discard(key)
        if weight > self._capacity:
            return
        now = self._timer()
        self._entries[key] = (value, weight, now + self._seconds)
        self._weight += weight
        self._sweep(now)
        while self._weight > self._capacity:
            self._discard(next(iter(self._entries)))

    def _sweep(self, now: float) -> None:
        """Evict some that have expired, more than come: what nobody asks for any more would stay until all is full."""
        for _ in range(_SWEPT_AT_ONCE):
            oldest, (_, _, expires) = next(iter(self._entries.items()))
            if expires > now:
                return
            self._discard(oldest)
            if not self._entries:
                return

    def _discard(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry[1]


class Cached(Generic[V]):
    """One value, which the first caller after a number of seconds makes anew."""

    def __init__(self, make: Callable[[], V], seconds: float, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._cache: Cache[None, V] = Cache(1, seconds, timer=timer)

    def get(self) -> V:
        value = self._cache.get(None)
        if value is None:
            value = self._make()
            self._cache.put(None, value)
        return value
