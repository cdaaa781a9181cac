"""Deletion of expired protocol tokens, in small steps while new ones are issued."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Lock

from index_service.database import UNWRITABLE, Database
from index_service.db import Clock
from index_service.tokens import protocol_tokens

SWEEP_EVERY_SECONDS = 60.0


class TokenSweep:
    """The sweep of one process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = Lock()
        self._swept = time.monotonic()

    def run_periodically(self) -> None:
        """Delete some expired tokens, if it is time to."""
        with self._lock:
            due = time.monotonic() - self._swept >= SWEEP_EVERY_SECONDS
            if due:
                self._swept = time.monotonic()
        if due:
            with suppress(*UNWRITABLE), self._database.writing() as session:
                protocol_tokens.delete_expired(session, self._clock())
