"""The pull counter: pulls are counted in memory and flushed to SQL every few seconds, so that none is slowed down.

A process that is killed loses its unflushed counts; one that stops flushes them first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from threading import Lock

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from index_service.db import insert_missing
from index_service.repositories.models import PullCount, Repository

BATCH_SIZE = 500


class PullCounter:
    """The unflushed counts of one process, by repository and day."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counted: Counter[tuple[int, date]] = Counter()

    def count(self, repository_id: int, now: datetime) -> None:
        """Count a pull, which happens when its token is issued."""
        with self._lock:
            self._counted[repository_id, now.date()] += 1

    def drain(self) -> Counter[tuple[int, date]]:
        """Take the counts, which the caller has to flush or restore."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
            return counted

    def restore(self, counted: Mapping[tuple[int, date], int]) -> None:
        with self._lock:
            self._counted.update(counted)


def record(session: Session, counted: Mapping[tuple[int, date], int]) -> None:
    """Add to the stored counts; repositories deleted since are skipped."""
    ids = sorted({repository_id for repository_id, _ in counted})
    for start in range(0, len(ids), BATCH_SIZE):
        held = _lock_existing(session, ids[start : start + BATCH_SIZE])
        _record(session, {key: number for key, number in counted.items() if key[0] in held})


def _lock_existing(session: Session, ids: list[int]) -> set[int]:
    """The repositories that still exist, their rows locked against deletion in one order, so that nothing deadlocks."""
    own = select(Repository.id).where(Repository.id.in_(ids)).order_by(Repository.id)
    return set(session.scalars(own.with_for_update(key_share=True)))


def _record(session: Session, counted: Mapping[tuple[int, date], int]) -> None:
    rows = [{"repository_id": id_, "day": day, "count": 0} for id_, day in counted]
    insert_missing(session, PullCount, rows)
    for (id_, day), number in counted.items():
        of_day = update(PullCount).where(PullCount.repository_id == id_, PullCount.day == day)
        session.execute(of_day.values(count=PullCount.count + number))
        own = update(Repository).where(Repository.id == id_)
        session.execute(own.values(pull_count=Repository.pull_count + number))
