"""Turns at a few connections: so many at once, all others in the order in which they came (FIFO), each with a deadline.

A connection for each client that waits would be as many requests at once as there are clients: they share the peer's
time, and all are late together. Who cannot be served in time is told so at once, and when to come again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_SMOOTHING = 0.1
"""The weight of one turn in the average of how long they take."""


class TooLate(Exception):
    """A turn would not come, or has not come, in time; `seconds` until the queue is served."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Turns:
    """`at_once` turns at a time. Whose turn ends hands it to the first in the queue, so nobody overtakes."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._free = at_once
        self._queue: deque[threading.Event] = deque()
        self._average = 0.0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def held(self) -> int:
        return self._at_once - self._free

    @contextmanager
    def turn(self, patience: float) -> Iterator[None]:
        """Wait for a turn, at most `patience` seconds, and hold it for the block. Raises TooLate."""
        self._take(patience)
        began = time.monotonic()
        try:
            yield
        finally:
            taken = time.monotonic() - began
            with self._lock:
                self._average += _SMOOTHING * (taken - self._average)
                self._hand_on()

    def _take(self, patience: float) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if self._expected_wait() > patience:
                raise TooLate(self._expected_wait())
            mine = threading.Event()
            self._queue.append(mine)
        has_come = False
        try:
            has_come = mine.wait(patience)
        finally:
            if not has_come:
                self._leave(mine)
        if not has_come:
            raise TooLate(self._expected_wait())

    def _leave(self, mine: threading.Event) -> None:
        with self._lock:
            if mine.is_set():
                # It has come in the very moment of giving up.
                self._hand_on()
            else:
                self._queue.remove(mine)

    def _hand_on(self) -> None:
        if self._queue:
            self._queue.popleft().set()
        else:
            self._free += 1

    def _expected_wait(self) -> float:
        return len(self._queue) * self._average / self._at_once
