"""The background threads of each worker process: one runs due jobs, flushes pull counts and prunes the audit log.

The other sends letters, since a mail server may keep it waiting. They start in the worker after the fork, run at every
wake-up event and every few seconds, since another process may have enqueued something, and end with the worker after
flushing its counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from common.errors import Failure
from index_service.services.job_runner import JobRunner
from index_service.services.pull_counts import PullCounts
from index_service.services.queues import Queues
from index_service.services.retention import Retention

EXTENSION = "wharfinger-background"

EVERY_SECONDS = 3.0
PATIENCE_SECONDS = 20.0
"""How long the end of a process waits for a request in progress."""

logger = logging.getLogger(__name__)


class Background:
    """Start it once per process; `stop` waits until it has ended."""

    def __init__(
        self,
        jobs: JobRunner,
        pull_counts: PullCounts,
        retention: Retention,
        queues: Queues,
        send_letter: Callable[[], bool],
    ) -> None:
        """`send_letter` sends the next letter; returns whether to go on."""
        self._jobs = jobs
        self._pull_counts = pull_counts
        self._retention = retention
        self._queues = queues
        self._send_letter = send_letter
        self._stopping = Event()
        self._threads = [
            Thread(target=self._run, name="background", daemon=True),
            Thread(target=self._post, name="letters", daemon=True),
        ]

    def start(self) -> None:
        self._queues.watch()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._jobs.wake_up.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def send_letters(self) -> None:
        """Send all letters that are due, unless the mail server is down."""
        while not self._stopping.is_set() and self._send_letter():
            pass

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._jobs.wake_up.wait(EVERY_SECONDS)
            self._jobs.wake_up.clear()
            _guarded(self._turn)
            _guarded(self._queues.measure)
        _guarded(self._turn)

    def _post(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            _guarded(self.send_letters)

    def _turn(self) -> None:
        """Run everything that is due."""
        self._pull_counts.flush()
        self._retention.prune_audit()
        while not self._stopping.is_set() and self._jobs.do_next(self._stopping):
            self._pull_counts.flush()


def _guarded(work: Callable[[], None]) -> None:
    """A failure must not end the thread: the next turn retries."""
    try:
        work()
    except Failure as failure:
        logger.warning("background: %s", failure.message)
    except Exception:
        logger.exception("background work failed")
