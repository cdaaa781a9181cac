"""The background sweep of each worker process: every hour it drops what clients and processes that are gone left."""

from __future__ import annotations

import logging
import random
import threading
import time

from common.errors import Failure
from registry_service.graph.push import Push

EVERY_SECONDS = 3600.0
FIRST_SECONDS = 60.0
"""Workers start together, and sweep at different times."""

logger = logging.getLogger(__name__)


class Sweeper:
    """Start it once per process; it ends with the process, at any moment without harm."""

    def __init__(self, push: Push, first_seconds: float = FIRST_SECONDS, every_seconds: float = EVERY_SECONDS) -> None:
        self._push = push
        self._first_seconds = first_seconds
        self._every_seconds = every_seconds

    def start(self) -> None:
        threading.Thread(target=self._run, name="sweeper", daemon=True).start()

    def _run(self) -> None:
        time.sleep(random.uniform(0, self._first_seconds))  # noqa: S311 - nobody gains by guessing it
        while True:
            self._sweep()
            time.sleep(self._every_seconds)

    def _sweep(self) -> None:
        """A failure must not end the thread: the next turn tries again."""
        try:
            dropped = self._push.expire()
        except Failure as failure:
            logger.warning("sweep: %s", failure.message)
        except Exception:
            logger.exception("sweep")
        else:
            if dropped:
                logger.info("%d unfinished uploads dropped", dropped)
