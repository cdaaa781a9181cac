"""The elastic thread pool of a worker: two threads, more while some of them are blocked, and one for what is urgent.

All threads of a process share one interpreter. Sixteen that run at once take a fifth longer for each page than two, and
none finishes before the others; two keep the interpreter busy while one of them waits for the database. But a thread
blocked on a registry must not delay the requests of others.

Urgent jobs go on with something that has begun, and are run before those that begin: thousands that log in at once do
not keep those from going on that have. One thread is theirs alone, because a login takes as long as a hundred of them.
The others get a part of the time all the same, so that neither kind shuts the other out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

MIN_THREADS = 2
SLOW_SECONDS = 0.3
"""A thread that has run one job for longer counts as blocked, and another is started in its place."""

URGENT_SHARE = 4
"""Urgent jobs get this many times as much time as the others, while both wait."""

_SMOOTHING = 0.05
"""The weight of one job in the average of how long they take."""


class Job(NamedTuple):
    """A call to make, and its future."""

    answer: Future[Any]
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    is_urgent: bool


class ElasticThreadPool:
    """Runs jobs on `MIN_THREADS` to `max_threads` threads: urgent ones first, each kind in the order of submission."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        # A ticket for each job, true, or false for a thread that has to end; an urgent job has one in either queue, of
        # which the second finds that it has been done.
        self._tickets: SimpleQueue[bool] = SimpleQueue()
        self._urgent_tickets: SimpleQueue[bool] = SimpleQueue()
        self._urgent: deque[Job] = deque()
        self._jobs: deque[Job] = deque()
        # Seconds that urgent jobs took since the last of the others began, and that one of the others takes.
        self._urgent_seconds = 0.0
        self._average = 0.0
        self._lock = threading.Lock()
        self._threads = 0
        self._has_urgent_thread = False
        self._is_shut_down = False
        self._begun: dict[int, float] = {}

    def submit(self, work: Callable[..., Any], *arguments: Any, urgent: bool = False) -> Future[Any]:
        """Returns a future of the result, or of the exception that the work raises."""
        answer: Future[Any] = Future()
        (self._urgent if urgent else self._jobs).append(Job(answer, work, arguments, urgent))
        if urgent:
            self._urgent_tickets.put(True)
        self._tickets.put(True)
        self.grow()
        return answer

    @property
    def waiting(self) -> int:
        return len(self._jobs)

    @property
    def waiting_urgently(self) -> int:
        return len(self._urgent)

    @property
    def busy(self) -> int:
        return len(self._begun)

    def expected_wait(self) -> float:
        """Seconds until a job would begin that is submitted now and not urgent."""
        return len(self._jobs) * self._average / max(MIN_THREADS, self._threads)

    def grow(self) -> None:
        """Start threads in place of blocked ones. Call it about once a second: no event tells when a thread blocks."""
        with self._lock:
            while self._threads < self._wanted() and not self._is_shut_down:
                self._threads += 1
                threading.Thread(target=self._work, name="pool").start()
            if self._urgent and not self._has_urgent_thread and not self._is_shut_down:
                self._has_urgent_thread = True
                threading.Thread(target=self._work_urgently, name="pool").start()

    def shutdown(self, *, wait: bool) -> None:
        """Threads end once the queue is empty. Only the end of the process waits for them, whatever `wait` says."""
        del wait
        with self._lock:
            self._is_shut_down = True
            for _ in range(self._threads):
                self._tickets.put(False)
            self._urgent_tickets.put(False)

    def _wanted(self) -> int:
        slow_since = time.monotonic() - SLOW_SECONDS
        return min(self._max_threads, MIN_THREADS + sum(begun < slow_since for begun in self._begun.values()))

    def _work(self) -> None:
        while self._tickets.get():
            self._do(self._next)
            with self._lock:
                if self._threads > self._wanted():
                    self._threads -= 1
                    return

    def _work_urgently(self) -> None:
        while self._urgent_tickets.get():
            self._do(self._next_urgent)

    def _do(self, choose: Callable[[], Job | None]) -> None:
        own = threading.get_ident()
        with self._lock:
            job = choose()
            began = time.monotonic()
            if job is None:
                return
            self._begun[own] = began
        _run(job)
        with self._lock:
            del self._begun[own]
            self._note(time.monotonic() - began, urgent=job.is_urgent)

    def _next(self) -> Job | None:
        if self._urgent and not (self._jobs and self._urgent_seconds > URGENT_SHARE * self._average):
            return self._urgent.popleft()
        self._urgent_seconds = 0.0
        return self._jobs.popleft() if self._jobs else None

    def _next_urgent(self) -> Job | None:
        return self._urgent.popleft() if self._urgent else None

    def _note(self, seconds: float, *, urgent: bool) -> None:
        if urgent:
            self._urgent_seconds += seconds
        else:
            self._average += _SMOOTHING * (seconds - self._average)


def _run(job: Job) -> None:
    if not job.answer.set_running_or_notify_cancel():
        return
    try:
        result = job.work(*job.arguments)
    except BaseException as error:  # noqa: BLE001 - the caller of the future gets it
        job.answer.set_exception(error)
    else:
        job.answer.set_result(result)
