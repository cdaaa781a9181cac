"""Looks at what may change, shared: hundreds of daemons ask for the tags of one repository in the same moment.

A look at the store answers everybody who asked before it began, and nobody who asked later: what was written before
somebody asks is always seen, by whatever process it was written. Nobody depends on another for long: where the one who
looks is told to stop, somebody else looks; where a look does not end, others are begun beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from typing import Generic, TypeVar

from common.errors import Unavailable

PATIENCE_SECONDS = 60.0
"""How long a look is waited for before another is begun; who only waits is told after twice as long."""

K = TypeVar("K")
V = TypeVar("V")


class Looks(Generic[K, V]):
    """One look at a time for each key. Nobody may change what he is given: others are given the same."""

    def __init__(self, look: Callable[[K], V], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._look = look
        self._patience = patience_seconds
        self._lock = threading.Lock()
        self._under_way: dict[K, Future[V]] = {}
        self._next: dict[K, Future[V]] = {}

    def __call__(self, key: K) -> V:
        """What there is now. Raises what the look raises, and Unavailable where it does not end."""
        until = time.monotonic() + 2 * self._patience
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
                # Who was to look for us was told to stop.
                continue

    def _lead(self, key: K, answer: Future[V], before: Future[V] | None) -> V:
        """Look, once the look before has ended, for all who will have come until then."""
        try:
            if before is not None:
                wait((before,), self._patience)
            with self._lock:
                self._under_way[key] = self._next.pop(key)
            seen = self._look(key)
        except Exception as error:
            self._forget(key, answer)
            answer.set_exception(error)
            raise
        except BaseException:
            # A greenlet was killed, or its time is over; those who wait with it are not to blame.
            self._forget(key, answer)
            answer.cancel()
            answer.set_running_or_notify_cancel()
            raise
        self._forget(key, answer)
        answer.set_result(seen)
        return seen

    def _forget(self, key: K, answer: Future[V]) -> None:
        with self._lock:
            for looks in (self._next, self._under_way):
                if looks.get(key) is answer:
                    del looks[key]


def _wait_for(answer: Future[V], until: float) -> V:
    """What somebody else sees. Raises what he met, CancelledError where he was told to stop, and Unavailable."""
    try:
        return answer.result(until - time.monotonic())
    except TimeoutError as error:
        raise Unavailable("The store takes too long, try again") from error
    except Exception as error:  # noqa: BLE001 - raised again
        # Many raise the one exception: each would add its own traceback to those of all others.
        raise error.with_traceback(None)  # noqa: B904 - it is the same
