"""Activity of a repository: its tag history, its pulls by day, and the clients that made them.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from index_service.db import PREPARED_STATEMENT
from index_service.repositories import tag_history
from index_service.repositories.models import PullCount, TagHistoryRecord, TagRecord
from index_service.repositories.tag_history import TagHistoryEvent

_DAYS = (
    select(PullCount.day, PullCount.count)
    .where(PullCount.repository_id == bindparam("repository"))
    .where(PullCount.day.between(bindparam("first"), bindparam("until")))
    .execution_options(**PREPARED_STATEMENT)
)

_IS_OF = TagHistoryRecord.repository_id == bindparam("repository")
_LAST = tag_history.query_latest(_IS_OF).limit(1).execution_options(**PREPARED_STATEMENT)
_OF_TAGS = _IS_OF & TagHistoryRecord.tag.in_(bindparam("tags", expanding=True))
_LAST_OF_EACH = tag_history.query_latest(
    TagHistoryRecord.id.in_(select(func.max(TagHistoryRecord.id)).where(_OF_TAGS).group_by(TagHistoryRecord.tag))
)
_LAST_OF_EACH = _LAST_OF_EACH.execution_options(**PREPARED_STATEMENT)


@dataclass(frozen=True, slots=True)
class DayOfPulls:
    """The number of pulls on one day, in UTC."""

    day: date
    count: int


def of_repository(repository_id: int, tag: str | None = None) -> ColumnElement[bool]:
    """The condition for the history of all its tags, or of one."""
    of_it = TagHistoryRecord.repository_id == repository_id
    return of_it if tag is None else of_it & (TagHistoryRecord.tag == tag)


def count(session: Session, whose: ColumnElement[bool]) -> int:
    """The number of events in a history."""
    return session.scalar(select(func.count()).select_from(TagHistoryRecord).where(whose)) or 0


def latest_by_tag(session: Session, repository_id: int, tags: Collection[str]) -> dict[str, TagHistoryEvent]:
    """The last event of each of these tags of one repository."""
    found = tag_history.fetch(session, _LAST_OF_EACH, {"repository": repository_id, "tags": list(tags)})
    return {move.tag: move for move in found}


def changed_since(session: Session, repository_id: int, since: datetime) -> set[str]:
    """The tags that were set or deleted since then, also to what they were before."""
    events = select(TagHistoryRecord.tag).where(
        TagHistoryRecord.repository_id == repository_id, TagHistoryRecord.at > since
    )
    there = select(TagRecord.name).where(TagRecord.repository_id == repository_id, TagRecord.updated_at > since)
    return set(session.scalars(events.union(there)))


def latest(session: Session, repository_id: int) -> TagHistoryEvent | None:
    """The last event of all."""
    return next(iter(tag_history.fetch(session, _LAST, {"repository": repository_id})), None)


def daily_pulls(session: Session, repository_id: int, until: date, length: int) -> list[DayOfPulls]:
    """The pulls of each of `length` days, the last one `until`, including days without any."""
    first = until - timedelta(days=length - 1)
    rows = session.execute(_DAYS, {"repository": repository_id, "first": first, "until": until})
    counted = dict(rows.all())
    every = [first + timedelta(days=number) for number in range(length)]
    return [DayOfPulls(day, counted.get(day, 0)) for day in every]
