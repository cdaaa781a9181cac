"""Measures what waits in the database, and the connections to it, for the metrics."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from common import metrics
from index_service.database import Database
from index_service.db import Clock
from index_service.images.jobs import MOVE, READ, TRANSLATE
from index_service.images.models import Job
from index_service.mail.models import Letter
from index_service.metrics import JOBS, JOBS_OLDEST, LETTERS, LETTERS_OLDEST

EVERY_SECONDS = 15.0
"""As often as Prometheus asks, by default; each worker does it."""

STATES = ("due", "running", "later")


class Queues:
    """Measures the tables of jobs and letters, where metrics are kept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._measured = float("-inf")

    def watch(self) -> None:
        """Have the database's connections measured. Call it once in a process."""
        pool = self._database.engine.pool
        if isinstance(pool, QueuePool):
            metrics.POOL_USED.watch(pool.checkedout, "index", "database")
            metrics.POOL_SIZE.watch(pool.size, "index", "database")

    def measure(self) -> None:
        """At most every few seconds. Raises Unavailable if the database is."""
        if not metrics.is_on() or time.monotonic() - self._measured < EVERY_SECONDS:
            return
        self._measured, moment = time.monotonic(), self._clock()
        with self._database.reading() as session:
            self._measure_jobs(session, moment)
            count, oldest = session.execute(select(func.count(), func.min(Letter.created_at))).one()
        LETTERS.set(count)
        LETTERS_OLDEST.set(_age(oldest, moment))

    def _measure_jobs(self, session: Session, moment: datetime) -> None:
        state = case((Job.taken_until > moment, "running"), (Job.due_at > moment, "later"), else_="due")
        rows = session.execute(select(Job.kind, state, func.count()).group_by(Job.kind, state))
        counts = {(kind, state): count for kind, state, count in rows}
        for kind in (READ, MOVE, TRANSLATE):
            for each in STATES:
                JOBS.set(counts.get((kind, each), 0), kind, each)
        JOBS_OLDEST.set(_age(session.scalar(select(func.min(Job.asked_at))), moment))


def _age(oldest: datetime | None, moment: datetime) -> float:
    return 0.0 if oldest is None else (moment - oldest).total_seconds()
