"""Activity of a repository: its tag history, its pulls by day, and the clients that made them.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from index_service.db import PREPARED_STATEMENT
from index_service.repositories import moves
from index_service.repositories.models import PullCount, TagMove
from index_service.repositories.moves import Move

_DAYS = (
    select(PullCount.day, PullCount.count)
    .where(PullCount.repository_id == bindparam("repository"))
    .where(PullCount.day.between(bindparam("first"), bindparam("until")))
    .execution_options(**PREPARED_STATEMENT)
)

_IS_OF = TagMove.repository_id == bindparam("repository")
_LAST = moves.latest_of(_IS_OF).limit(1).execution_options(**PREPARED_STATEMENT)
_OF_TAGS = _IS_OF & TagMove.tag.in_(bindparam("tags", expanding=True))
_LAST_OF_EACH = moves.latest_of(TagMove.id.in_(select(func.max(TagMove.id)).where(_OF_TAGS).group_by(TagMove.tag)))
_LAST_OF_EACH = _LAST_OF_EACH.execution_options(**PREPARED_STATEMENT)

_PROGRAM = re.compile(r"([A-Za-z][\w-]{0,30})/(\d[\w.-]{0,30})")


@dataclass(frozen=True, slots=True)
class Day:
    """The number of pulls on one day, in UTC."""

    day: date
    count: int


def program(client: str) -> str:
    """A short form of a User-Agent, such as `docker 1.6.2`; unchanged if it names no program and version."""
    found = _PROGRAM.search(client)
    return f"{found[1]} {found[2]}" if found else client[:40]


def of_repository(repository_id: int, tag: str | None = None) -> ColumnElement[bool]:
    """The condition for the history of all its tags, or of one."""
    of_it = TagMove.repository_id == repository_id
    return of_it if tag is None else of_it & (TagMove.tag == tag)


def count(session: Session, whose: ColumnElement[bool]) -> int:
    """The number of events in a history."""
    return session.scalar(select(func.count()).select_from(TagMove).where(whose)) or 0


def last_of_each(session: Session, repository_id: int, tags: Collection[str]) -> dict[str, Move]:
    """The last event of each of these tags of one repository."""
    found = moves.found(session, _LAST_OF_EACH, {"repository": repository_id, "tags": list(tags)})
    return {move.tag: move for move in found}


def last(session: Session, repository_id: int) -> Move | None:
    """The last event of all."""
    return next(iter(moves.found(session, _LAST, {"repository": repository_id})), None)


def days(session: Session, repository_id: int, until: date, length: int) -> list[Day]:
    """The pulls of each of `length` days, the last one `until`, including days without any."""
    first = until - timedelta(days=length - 1)
    rows = session.execute(_DAYS, {"repository": repository_id, "first": first, "until": until})
    counted = dict(rows.all())
    every = [first + timedelta(days=number) for number in range(length)]
    return [Day(day, counted.get(day, 0)) for day in every]
