"""The elastic thread pool of a worker: two threads, and more while some of them are blocked.

All threads of a process share one interpreter. Sixteen that run at once take a fifth longer for each page than two, and
none finishes before the others; two keep the interpreter busy while one of them waits for the database. But a thread
blocked on a registry, or on a client that sends its request byte by byte, must not delay the requests of others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias

MIN_THREADS = 2
SLOW_SECONDS = 0.3
"""A thread that has run one job for longer counts as blocked, and another is started in its place."""

Job: TypeAlias = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class ElasticThreadPool:
    """Runs jobs in the order they were submitted, on `MIN_THREADS` to `max_threads` threads."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._is_shut_down = False
        self._begun: dict[int, float] = {}

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Returns a future of the result, or of the exception that the work raises."""
        answer: Future[Any] = Future()
        self._jobs.put((answer, work, arguments))
        self.grow()
        return answer

    def grow(self) -> None:
        """Start threads in place of blocked ones. Call it about once a second: no event tells when a thread blocks."""
        with self._lock:
            while self._threads < self._wanted() and not self._is_shut_down:
                self._threads += 1
                threading.Thread(target=self._work, name="pool").start()

    def shutdown(self, *, wait: bool) -> None:
        """Threads end once the queue is empty. Only the end of the process waits for them, whatever `wait` says."""
        del wait
        with self._lock:
            self._is_shut_down = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _wanted(self) -> int:
        slow_since = time.monotonic() - SLOW_SECONDS
        return min(self._max_threads, MIN_THREADS + sum(begun < slow_since for begun in self._begun.values()))

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
    except BaseException as error:  # noqa: BLE001 - the caller of the future gets it
        answer.set_exception(error)
    else:
        answer.set_result(result)
