"""Single-flight reads (request coalescing): hundreds of daemons request the tags of one repository at the same moment.

One read of the store answers every caller that arrived before it began, and none that arrived later: each caller sees
what was written before its call, by any process (read-your-writes). No caller depends on another for long: where the
one that reads is cancelled, another reads in its place; where a read hangs, others start beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from typing import Generic, TypeVar

from common.errors import Unavailable

WAIT_SECONDS = 60.0
"""How long to wait for a read before another is started; callers that only wait fail after twice as long."""

K = TypeVar("K")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """One read at a time for each key. Callers share the value and must not change it."""

    def __init__(self, read: Callable[[K], V], *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._read = read
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._under_way: dict[K, Future[V]] = {}
        self._next: dict[K, Future[V]] = {}

    def __call__(self, key: K) -> V:
        """The value now. Raises what the read raises, and Unavailable on a timeout."""
        until = time.monotonic() + 2 * self._wait_seconds
        while True:
            with self._lock:
                answer, before = self._next.get(key), self._under_way.get(key)
                if answer is None:
                    mine = self._next[key] = Future()
            if answer is None:
                return self._lead(key, mine, before)
            try:
                return _wait_for(answer, until)
            except CancelledError:
                # The caller that was to read for us was cancelled.
                continue

    def _lead(self, key: K, answer: Future[V], before: Future[V] | None) -> V:
        """Read, once the read before has ended, for all callers that arrive until then."""
        try:
            if before is not None:
                wait((before,), self._wait_seconds)
            with self._lock:
                self._under_way[key] = self._next.pop(key)
            value = self._read(key)
        except Exception as error:
            self._forget(key, answer)
            answer.set_exception(error)
            raise
        except BaseException:
            # A greenlet was killed, or timed out; the callers that wait with it must not fail for it.
            self._forget(key, answer)
            answer.cancel()
            answer.set_running_or_notify_cancel()
            raise
        self._forget(key, answer)
        answer.set_result(value)
        return value

    def _forget(self, key: K, answer: Future[V]) -> None:
        with self._lock:
            for reads in (self._next, self._under_way):
                if reads.get(key) is answer:
                    del reads[key]


def _wait_for(answer: Future[V], until: float) -> V:
    """The value another caller reads. Raises what it met, CancelledError where it was cancelled, and Unavailable."""
    try:
        return answer.result(until - time.monotonic())
    except TimeoutError as error:
        raise Unavailable("The store takes too long, try again") from error
    except Exception as error:  # noqa: BLE001 - raised again
        # Many callers raise one exception: each would add its own traceback to those of all others.
        raise error.with_traceback(None)  # noqa: B904 - it is the same
