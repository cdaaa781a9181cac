"""Search: repositories that hold every word of the query, the best first (protocol §2.6).

A word is held by the name, anywhere in it, by the description, the README or an annotation, or it is the beginning of
the id of a listed image. Seen is what has a tag and what the caller may read. An empty query lists all of that.

No query costs more than some thousand rows. What is found is counted up to `MOST` at least; of words that very many
repositories hold, those are ranked whose names hold them best, those with the most stars, and a sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, false, func, or_, select, true, union, union_all
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import Subquery

from common.names import LIBRARY, RepositoryName
from index_service.accounts.people import Actor
from index_service.repositories.models import ListedImage, Repository
from index_service.repositories.roles import Gate
from index_service.search.engines import engine_of, full_name
from index_service.search.words import All, Asked, Expression, asked
from index_service.social.models import Star

MAX_PAGE_SIZE = 100
MAX_PAGE = 1_000_000

MOST = 500
"""So many of what is found can be paged through, where not all of it was looked at."""

_SAMPLE = 850
"""Of what holds the words, so much is looked at; where there is more, it is a sample and the likely best."""

_LIKELY = 150
_STARRED = 300

BEST, STARS, PULLS, PUSHED, NAME = "best", "stars", "pulls", "pushed", "name"
SORTS = (BEST, STARS, PULLS, PUSHED, NAME)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: words, a page counted from 1, and what else has to be true of what is found.

    `starred_by` is a person's number.
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


@dataclass(frozen=True, slots=True)
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
class Page:
    """One page of hits, and how many there are in all; `is_more` where that is only what was counted."""

    total: int
    hits: list[Hit]
    is_more: bool = False

    def pages(self, page_size: int) -> int:
        return math.ceil(self.total / page_size)


def search(session: Session, query: Query, gate: Gate, actor: Actor | None) -> Page:
    """What `actor` may see of what fits the query."""
    words, parts = asked(query.text), _parts(session, query, gate, actor)
    if not words:
        return Page(_count(session, parts), _listed(session, query, parts))
    return _Search(session, words, parts).page(query)


def first(session: Session, gate: Gate, actor: Actor | None, sorts: Sequence[str], size: int) -> list[list[Hit]]:
    """The first of all that `actor` may see, in each of some orders."""
    query = Query("", 1, size)
    parts = _parts(session, query, gate, actor)
    return [_listed(session, replace(query, sort=sort), parts) for sort in sorts]


def _listed(session: Session, query: Query, parts: list[ColumnElement[bool]]) -> list[Hit]:
    order = _ORDERS[STARS if query.sort == BEST else query.sort]()
    most = query.offset + query.page_size
    seen = [select(Repository.id).where(part).order_by(*order).limit(most) for part in parts]
    ids = union_all(*(select(part.subquery()) for part in seen)).subquery()
    rows = session.execute(
        select(*_COLUMNS)
        .join(ids, ids.c.id == Repository.id)
        .order_by(*order)
        .limit(query.page_size)
        .offset(query.offset)
    )
    return [_hit(*row) for row in rows]


def _count(session: Session, parts: list[ColumnElement[bool]]) -> int:
    counts = [select(func.count().label("n")).select_from(Repository).where(part) for part in parts]
    total = select(func.sum(union_all(*counts).subquery().c.n))
    return int(session.scalar(total) or 0)


def _parts(session: Session, query: Query, gate: Gate, actor: Actor | None) -> list[ColumnElement[bool]]:
    """What the query asks for of what is public, and of what is private."""
    return [and_(part, Repository.is_tagged, *_asked_for(query)) for part in gate.parts(session, actor)]


def _asked_for(query: Query) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.namespace:
        conditions.append(Repository.namespace == query.namespace)
    if query.is_official:
        conditions.append(Repository.namespace == LIBRARY)
    if query.starred_by is not None:
        conditions.append(Repository.id.in_(select(Star.repository_id).where(Star.user_id == query.starred_by)))
    return conditions


class _Search:
    """One search for words, among what is shown: the `parts`."""

    def __init__(self, session: Session, words: list[Asked], parts: list[ColumnElement[bool]]) -> None:
        self._session = session
        self._engine = engine_of(session)
        self._words = words
        self._parts = parts
        self._anywhere = All(tuple(word.anywhere for word in words))

    def page(self, query: Query) -> Page:
        if self._is_rare():
            return self._complete(query)
        hits, total = self._ranked(query, self._likely(), [])
        if total < MOST:
            # Most of what holds the words is hidden from this reader, who may not even learn that there is so much.
            return self._complete(query)
        if query.offset >= MOST:
            hits = []
        elif query.sort != BEST:
            fitting = Repository.id.in_(self._fitting(self._anywhere))
            hits = _listed(self._session, query, [and_(part, fitting) for part in self._parts])
        return Page(MOST, hits, is_more=True)

    def _is_rare(self) -> bool:
        some = self._fitting(self._anywhere).limit(_SAMPLE + 1).subquery()
        return (self._session.scalar(select(func.count()).select_from(some)) or 0) <= _SAMPLE

    def _complete(self, query: Query) -> Page:
        candidates = _union(self._fitting(self._anywhere), *self._listing())
        hits, total = self._ranked(query, candidates, self._words)
        return Page(total, hits)

    def _ranked(self, query: Query, candidates: Subquery, doubtful: list[Asked]) -> tuple[list[Hit], int]:
        """The hits of the query's page, and how many of the candidates are hits; of each it is made sure that it holds
        the `doubtful` words. (Where a word is everywhere, few can be wrong, and those come last.)"""
        order = _best(self._words) if query.sort == BEST else _ORDERS[query.sort]()
        columns: tuple[Any, ...] = (*_COLUMNS, func.count().over())
        hits = (
            select(*columns)
            .join(candidates, candidates.c.id == Repository.id)
            .where(or_(*self._parts), *map(self._holds, doubtful))
        )
        rows = self._session.execute(hits.order_by(*order).limit(query.page_size).offset(query.offset)).all()
        if rows or query.page == 1:
            return [_hit(*row[:-1]) for row in rows], rows[0][-1] if rows else 0
        return [], self._session.scalar(select(func.count()).select_from(hits.subquery())) or 0

    def _likely(self) -> Subquery:
        """The ids of the best of what fits, where too much does, and of some of the rest."""
        first, others = self._words[0], [word.anywhere for word in self._words[1:]]
        in_names = All(tuple(word.in_name for word in self._words))
        named = (All((first.is_name, *others)), All((first.begins_name, *others)), in_names)
        narrow = [self._fitting(expression).limit(_LIKELY) for expression in named]
        some = self._fitting(self._anywhere).limit(_SAMPLE)
        return _union(*narrow, some, self._starred(), *self._listing())

    def _starred(self) -> Select[Any]:
        """The ids of those of the most starred that bear the words in front."""
        order = (Repository.star_count.desc(), Repository.id.desc())
        starred = select(Repository.id).where(self._parts[0]).order_by(*order).limit(_STARRED).subquery()
        borne = [or_(_in_name(word), _in_description(word)) for word in self._words]
        return select(Repository.id).join(starred, starred.c.id == Repository.id).where(*borne)

    def _fitting(self, expression: Expression) -> Select[Any]:
        """The ids of all that fits, seen by the reader or not."""
        return select(self._engine.key.label("id")).where(self._engine.fits(expression))

    def _listing(self) -> list[Select[Any]]:
        """The ids of repositories that list an image whose id begins with one of the words."""
        return [
            select(ListedImage.repository_id.label("id")).where(_begins(word)).limit(_SAMPLE)
            for word in self._words
            if word.may_be_image
        ]

    def _holds(self, word: Asked) -> ColumnElement[bool]:
        """Whether a candidate really holds the word: what the index of words leaves open, or does not know."""
        if not any(word.may_be_image for word in self._words):
            return true() if word.is_sure else or_(_in_name(word), self._in_text(word))
        ways = [_in_name(word), self._in_text(word)]
        if word.may_be_image:
            of_it = select(ListedImage.id).where(ListedImage.repository_id == Repository.id, _begins(word))
            ways.append(of_it.exists())
        return or_(*ways)

    def _in_text(self, word: Asked) -> ColumnElement[bool]:
        return false() if word.in_text is None else self._engine.has(Repository.id, word.in_text)


def _begins(word: Asked) -> ColumnElement[bool]:
    # "g" comes after every hexadecimal digit.
    return and_(ListedImage.image_id >= word.text, ListedImage.image_id < word.text + "g")


def _union(*selects: Select[Any]) -> Subquery:
    """What any of them finds, once."""
    return union(*(select(part.subquery()) for part in selects)).subquery()


def _best(words: list[Asked]) -> list[Any]:
    """Best first: the name itself, its beginning, in it, official, described so; then by stars."""
    whole = " ".join(word.text for word in words)
    name, full = func.lower(Repository.name), full_name()
    first = words[0].text
    begins = or_(name.startswith(first, autoescape=True), full.startswith(first, autoescape=True))
    in_names = and_(*map(_in_name, words))
    described = and_(*map(_in_description, words))
    return [
        *map(_first, (or_(name == whole, full == whole), and_(begins, in_names), in_names)),
        *map(_first, (Repository.namespace == LIBRARY, described)),
        Repository.star_count.desc(),
        Repository.namespace,
        Repository.name,
    ]


def _first(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 0), else_=1)


def _in_name(word: Asked) -> ColumnElement[bool]:
    return full_name().contains(word.text, autoescape=True)


def _in_description(word: Asked) -> ColumnElement[bool]:
    return func.lower(Repository.description).contains(word.text, autoescape=True)


_ORDERS: dict[str, Callable[[], list[Any]]] = {
    STARS: lambda: [Repository.star_count.desc(), Repository.id.desc()],
    PULLS: lambda: [Repository.pull_count.desc(), Repository.id.desc()],
    PUSHED: lambda: [Repository.pushed_at.desc(), Repository.id.desc()],
    NAME: lambda: [Repository.namespace, Repository.name],
}

_COLUMNS = (
    Repository.id,
    Repository.namespace,
    Repository.name,
    Repository.description,
    Repository.is_private,
    Repository.star_count,
    Repository.pull_count,
    Repository.layer_bytes,
    Repository.pushed_at,
)


def _hit(number: int, namespace: str, name: str, *facts: Any) -> Hit:
    return Hit(number, RepositoryName(namespace, name), *facts)
