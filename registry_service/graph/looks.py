"""Looks at what may change, shared: hundreds of daemons ask for the tags of one repository in the same moment.

A look at the store answers everybody who asked before it began, and nobody who asked later: what was written before
somebody asks is always seen, by whatever process it was written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from common.errors import Unavailable

K = TypeVar("K")
V = TypeVar("V")


class Looks(Generic[K, V]):
    """One look at a time for each key. Nobody may change what he is given: others are given the same."""

    def __init__(self, look: Callable[[K], V]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._under_way: dict[K, Future[V]] = {}
        self._next: dict[K, Future[V]] = {}

    def __call__(self, key: K) -> V:
        """What there is now. Raises what the look raises."""
        with self._lock:
            answer = self._next.get(key)
            before = self._under_way.get(key)
            if answer is None:
                answer = self._next[key] = Future()
                leads = True
            else:
                leads = False
        if leads:
            self._lead(key, answer, before)
        return answer.result()

    def _lead(self, key: K, answer: Future[V], before: Future[V] | None) -> None:
        """Look, once the look before has ended, for all who will have come until then."""
        try:
            if before is not None:
                wait((before,))
            with self._lock:
                self._under_way[key] = self._next.pop(key)
            answer.set_result(self._look(key))
        except Exception as error:  # noqa: BLE001 - raised again for all who wait
            answer.set_exception(error)
        except BaseException:
            # This one is told to stop; the others only see that nobody looked.
            answer.set_exception(Unavailable("The store was not asked, try again"))
            raise
        finally:
            with self._lock:
                for looks in (self._next, self._under_way):
                    if looks.get(key) is answer:
                        del looks[key]
