"""The threads of a worker: few, and more while some of these wait for something slow.

All threads of a process share one Python. Sixteen that work at once take a fifth longer for each page than two, and
none is ready before the others; two keep it busy, while one of them waits for the database. But a thread that
waits for a registry, or for a client that sends its request bit by bit, must not keep the others' work waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias

FEW = 2
SLOW_SECONDS = 0.3
"""Who has been at one thing for so long is waiting for something, and another takes the place."""

Job: TypeAlias = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Crew:
    """Does what it is given in that order, with never more than `most` threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._is_over = False
        self._begun: dict[int, float] = {}

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """What comes of the work, and what it raises, comes by the future."""
        answer: Future[Any] = Future()
        self._jobs.put((answer, work, arguments))
        self.reinforce()
        return answer

    def reinforce(self) -> None:
        """Begin threads where some are needed; to be called now and then, for nobody else notices who is slow."""
        with self._lock:
            while self._threads < self._wanted() and not self._is_over:
                self._threads += 1
                threading.Thread(target=self._work, name="crew").start()

    def shutdown(self, *, wait: bool) -> None:
        """Threads end with what they are at. Nobody waits for that but the process at its end, whatever `wait` says."""
        del wait
        with self._lock:
            self._is_over = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _wanted(self) -> int:
        slow_since = time.monotonic() - SLOW_SECONDS
        return min(self._most, FEW + sum(begun < slow_since for begun in self._begun.values()))

    def _work(self) -> None:
        own = threading.get_ident()
        while (job := self._jobs.get()) is not None:
            with self._lock:
                self._begun[own] = time.monotonic()
            _do(*job)
            with self._lock:
                del self._begun[own]
                if self._threads > self._wanted():
                    self._threads -= 1
                    return


def _do(answer: Future[Any], work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        result = work(*arguments)
    except BaseException as error:  # noqa: BLE001 - for whoever looks at the future
        answer.set_exception(error)
    else:
        answer.set_result(result)
