"""Retention of the audit log: records past the retention period are pruned in the background, in batches."""

from __future__ import annotations

from datetime import timedelta

from index_service.audit import log
from index_service.database import Database
from index_service.db import Clock

PRUNE_AT_ONCE = 500
PRUNE_EVERY = timedelta(minutes=1)


class Retention:
    """Runs in the background thread; `audit_days` of 0 keep the log for ever."""

    def __init__(self, database: Database, clock: Clock, *, audit_days: int) -> None:
        self._database = database
        self._clock = clock
        self._kept = timedelta(days=audit_days)
        self._due = clock()

    def prune_audit(self) -> None:
        """Delete one batch of old records; the rest the next time. Raises Unavailable."""
        now = self._clock()
        if not self._kept or now < self._due:
            return
        with self._database.writing() as session:
            pruned = log.prune(session, now - self._kept, PRUNE_AT_ONCE)
        self._due = now if pruned == PRUNE_AT_ONCE else now + PRUNE_EVERY
