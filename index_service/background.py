"""The background thread of each worker process: it runs due jobs, flushes pull counts and prunes the audit log.

It starts in the worker after the fork, runs at every wake-up event and every few seconds, since another process may
have enqueued a job, and ends with the worker after flushing its counts.
"""

from __future__ import annotations

import logging
from threading import Event, Thread

from common.errors import Failure
from index_service.services.job_runner import JobRunner
from index_service.services.pull_counts import PullCounts
from index_service.services.retention import Retention

EXTENSION = "wharfinger-background"

EVERY_SECONDS = 3.0
PATIENCE_SECONDS = 20.0
"""How long the end of a process waits for a request in progress."""

logger = logging.getLogger(__name__)


class Background:
    """Start it once per process; `stop` waits until it has ended."""

    def __init__(self, jobs: JobRunner, pull_counts: PullCounts, retention: Retention) -> None:
        self._jobs = jobs
        self._pull_counts = pull_counts
        self._retention = retention
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._jobs.wake_up.set()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._jobs.wake_up.wait(EVERY_SECONDS)
            self._jobs.wake_up.clear()
            self._turn()
        self._turn()

    def _turn(self) -> None:
        """Run everything that is due. A failure must not end the thread: the next turn retries."""
        try:
            self._pull_counts.flush()
            self._retention.prune_audit()
            while not self._stopping.is_set() and self._jobs.do_next(self._stopping):
                self._pull_counts.flush()
        except Failure as failure:
            logger.warning("background: %s", failure.message)
        except Exception:
            logger.exception("background work failed")
