"""Search: repositories that hold every word of the query, the best first (protocol §2.6).

A word matches anywhere in the name, in the description, the README or an annotation, or at the beginning of the id of
an image that the repository holds. Only repositories that have a tag and that the caller may read are searched. An
empty query lists all of them.

No query costs more than some hundred rows. Matches are counted up to `MOST` at least; if very many match, the ranking
covers those whose names match best, those with the most stars, and a sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, union_all
from sqlalchemy.orm import Session

from common.names import LIBRARY, RepositoryName
from index_service.accounts.actor import Actor
from index_service.repositories.models import Repository
from index_service.repositories.roles import AccessControl
from index_service.search import statements
from index_service.search.engines import engine_of
from index_service.search.statements import (
    BEST,
    ENOUGH,
    NAME,
    PULLS,
    PUSHED,
    SAMPLE,
    STARS,
    Candidates,
    Searchable,
    Shape,
)
from index_service.search.terms import QueryTerm, parse_query
from index_service.social.models import Star

MAX_PAGE_SIZE = 100
MAX_PAGE = 1_000_000

MOST = 200
"""The number of matches that can be paged through if not all of them were read."""

SORTS = (BEST, STARS, PULLS, PUSHED, NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query: words, a page counted from 1, and filters.

    `starred_by` is a person's id.
    """

    text: str
    page: int
    page_size: int
    sort: str = BEST
    namespace: str = ""
    is_official: bool = False
    starred_by: int | None = None

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One repository found."""

    id: int
    full_name: RepositoryName
    description: str
    is_private: bool
    star_count: int
    pull_count: int
    layer_bytes: int
    pushed_at: datetime

    @property
    def is_official(self) -> bool:
        return self.full_name.is_library

    @property
    def name(self) -> str:
        """Bare where it is official (protocol §2.6)."""
        return self.full_name.name if self.is_official else str(self.full_name)


@dataclass(frozen=True, slots=True)
class ResultPage:
    """One page of hits, and their total; `is_more` if the total is only what was counted."""

    total: int
    hits: list[Hit]
    is_more: bool = False

    def pages(self, page_size: int) -> int:
        return math.ceil(self.total / page_size)


def search(session: Session, query: Query, access_control: AccessControl, actor: Actor | None) -> ResultPage:
    """The matches that `actor` may see."""
    words, seen = parse_query(query.text), _seen(session, query, access_control, actor)
    if not words:
        return ResultPage(_count(session, seen), _listed(session, query, seen))
    return _Search(session, words, seen).page(query)


def first(
    session: Session, access_control: AccessControl, actor: Actor | None, sorts: Sequence[str], size: int
) -> list[list[Hit]]:
    """The first repositories that `actor` may see, in each of some sort orders."""
    query = Query(text="", page=1, page_size=size)
    seen = _seen(session, query, access_control, actor)
    return [_listed(session, replace(query, sort=sort), seen) for sort in sorts]


def _listed(session: Session, query: Query, seen: Searchable) -> list[Hit]:
    statement = statements.listing(seen, STARS if query.sort == BEST else query.sort)
    return [_hit(*row) for row in session.execute(statement, _extent(query))]


def _count(session: Session, seen: Searchable) -> int:
    counts = [select(func.count().label("n")).select_from(Repository).where(part) for part in seen.each()]
    total = select(func.sum(union_all(*counts).subquery().c.n))
    return int(session.scalar(total) or 0)


def _seen(session: Session, query: Query, access_control: AccessControl, actor: Actor | None) -> Searchable:
    """The public and the private repositories to search."""
    conditions = _conditions(query)
    if actor is None and not access_control.login_only and not conditions:
        return statements.PUBLIC
    return Searchable(
        tuple(part & statements.IS_TAGGED for part in access_control.visible_parts(session, actor)), tuple(conditions)
    )


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.namespace:
        conditions.append(Repository.namespace == query.namespace)
    if query.is_official:
        conditions.append(Repository.namespace == LIBRARY)
    if query.starred_by is not None:
        conditions.append(Repository.id.in_(select(Star.repository_id).where(Star.user_id == query.starred_by)))
    return conditions


class _Search:
    """One search for words among the searchable repositories."""

    def __init__(self, session: Session, words: list[QueryTerm], seen: Searchable) -> None:
        # Straight on the connection: only rows are needed, and the session adds a cost to each query.
        self._connection = session.connection()
        self._seen = seen
        self._shape = Shape.of(engine_of(session), words)
        self._asked = self._shape.values(words)

    def page(self, query: Query) -> ResultPage:
        some, found, *marked = self._connection.execute(statements.some(self._shape), self._asked).one()
        self._asked["some"] = some
        if found <= SAMPLE:
            return self._complete(query, Candidates(is_known=True))
        lacking = tuple(name for name, count in zip(self._shape.named, marked, strict=True) if count < ENOUGH)
        hits, total = self._ranked(query, Candidates(True, lacking))
        if total < MOST:
            # Most matches are hidden from this reader, who may not learn their number either.
            return self._complete(query, Candidates(is_known=False))
        if query.sort != BEST:
            fitting = replace(self._seen, also=(*self._seen.also, statements.fits(self._shape)))
            statement = statements.listing(fitting, query.sort)
            hits = [_hit(*row) for row in self._connection.execute(statement, {**self._asked, **_extent(query)})]
        return ResultPage(MOST, hits[: max(0, MOST - query.offset)], is_more=True)

    def _complete(self, query: Query, among: Candidates) -> ResultPage:
        hits, total = self._ranked(query, among)
        return ResultPage(total, hits)

    def _ranked(self, query: Query, among: Candidates) -> tuple[list[Hit], int]:
        """The hits of the query's page, and how many of the candidates are hits. (Where words are everywhere, few
        candidates can be wrong, and those come last.)"""
        statement = statements.ranking(self._seen, self._shape, query.sort, among)
        asked_for = {**self._asked, **_extent(query)}
        rows = self._connection.execute(statement, asked_for).all()
        if rows or query.page == 1:
            return [_hit(*row[:-1]) for row in rows], rows[0][-1] if rows else 0
        count = select(func.count()).select_from(statement.limit(None).offset(None).order_by(None).subquery())
        return [], self._connection.scalar(count, asked_for) or 0


def _extent(query: Query) -> dict[str, int]:
    return {"size": query.page_size, "offset": query.offset, "most": query.offset + query.page_size}


def _hit(
    number: int,
    namespace: str,
    name: str,
    description: str,
    is_private: bool,
    star_count: int,
    pull_count: int,
    layer_bytes: int,
    pushed_at: datetime,
) -> Hit:
    return Hit(
        id=number,
        full_name=RepositoryName(namespace, name),
        description=description,
        is_private=is_private,
        star_count=star_count,
        pull_count=pull_count,
        layer_bytes=layer_bytes,
        pushed_at=pushed_at,
    )
