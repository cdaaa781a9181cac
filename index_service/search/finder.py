"""Search: repositories whose name or description holds every word of the query (protocol §2.6).

Seen is what has a tag and what the caller may read: public, or the caller's own. An empty query lists it all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from common.names import LIBRARY
from index_service.repositories.models import Repository

MAX_PAGE_SIZE = 100
MAX_PAGE = 1_000_000

_ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: words, and a page counted from 1."""

    text: str
    page: int
    page_size: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One repository found; `name` is bare where it is official."""

    name: str
    description: str
    is_official: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of hits, and how many there are in all."""

    total: int
    hits: list[Hit]

    def pages(self, page_size: int) -> int:
        return math.ceil(self.total / page_size)


def search(session: Session, query: Query, visible: ColumnElement[bool]) -> Page:
    """What matches of what is `visible`, the exact name first, then official ones, then by name."""
    words = _words(query.text)
    matching = and_(Repository.is_tagged, visible, *map(_holds, words))
    total = session.scalar(select(func.count()).select_from(Repository).where(matching)) or 0
    rows = session.execute(
        select(Repository.namespace, Repository.name, Repository.description)
        .where(matching)
        .order_by(
            case((_shown_name() == " ".join(words), 0), else_=1),
            case((Repository.namespace == LIBRARY, 0), else_=1),
            Repository.namespace,
            Repository.name,
        )
        .limit(query.page_size)
        .offset((query.page - 1) * query.page_size)
    )
    return Page(total, [_hit(*row) for row in rows])


def _shown_name() -> ColumnElement[str]:
    full = Repository.namespace + "/" + Repository.name
    return case((Repository.namespace == LIBRARY, Repository.name), else_=full)


def _holds(word: str) -> ColumnElement[bool]:
    escaped = word.replace(_ESCAPE, _ESCAPE * 2).replace("%", _ESCAPE + "%").replace("_", _ESCAPE + "_")
    pattern = f"%{escaped}%"
    full = Repository.namespace + "/" + Repository.name
    return or_(
        func.lower(full).like(pattern, escape=_ESCAPE),
        func.lower(Repository.description).like(pattern, escape=_ESCAPE),
    )


def _words(text: str) -> list[str]:
    """What is between blanks and everything unprintable, which no name holds and PostgreSQL does not take."""
    return [word for word in "".join(c if c.isprintable() else " " for c in text).lower().split() if word]


def _hit(namespace: str, name: str, description: str) -> Hit:
    is_official = namespace == LIBRARY
    return Hit(name if is_official else f"{namespace}/{name}", description, is_official)
