"""The thread behind each serving process: jobs that are due, pulls that were counted, what is to be forgotten.

It begins in the worker after the fork, wakes when the bell is rung and every few seconds besides, since another process
may have asked for something, and ends with the worker after writing what it still holds.
"""

from __future__ import annotations

import logging
from threading import Event, Thread

from common.errors import Failure
from index_service.services.forgetting import Forgetting
from index_service.services.work import Work

EXTENSION = "wharfinger-background"

EVERY_SECONDS = 3.0
PATIENCE_SECONDS = 20.0
"""How long the end of a process waits for a question under way."""

logger = logging.getLogger(__name__)


class Background:
    """Start it once a process; `stop` waits until it has ended."""

    def __init__(self, work: Work, forgetting: Forgetting) -> None:
        self._work = work
        self._forgetting = forgetting
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._work.bell.set()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._work.bell.wait(EVERY_SECONDS)
            self._work.bell.clear()
            self._turn()
        self._turn()

    def _turn(self) -> None:
        """Everything that is due. What fails here must not end the thread: the next turn tries again."""
        try:
            self._work.write_pulls()
            self._forgetting.prune_audit()
            while not self._stopping.is_set() and self._work.do_next(self._stopping):
                self._work.write_pulls()
        except Failure as failure:
            logger.warning("background: %s", failure.message)
        except Exception:
            logger.exception("background work failed")
