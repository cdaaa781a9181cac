"""The SQL statements of a search, built once per shape of query and cached, so that they are prepared statements.

Building a statement takes longer than executing it, so those for public repositories are built once and take
parameters. Those for what a certain person may see are built for each query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.sql.selectable import Subquery

from common.names import LIBRARY
from index_service.db import LIKE_ESCAPE, PREPARED_STATEMENT, escape_like
from index_service.repositories.models import HeldImage, Repository
from index_service.search.engines import Engine, full_name
from index_service.search.terms import And, Expression, QueryTerm

SAMPLE = 300
"""The number of matches that are read; if more match, they are a sample and the likely best."""

ENOUGH = 25
"""The number of matching names in the sample that is enough for a page."""

_LIKELY = 75
_STARRED = 100
_CACHED = 128
_COMMON = 4

BEST, STARS, PULLS, PUSHED, NAME = "best", "stars", "pulls", "pushed", "name"


@dataclass(frozen=True)
class Searchable:
    """The repositories to search: those of any of the `parts` that also meet every condition of `also`."""

    parts: tuple[ColumnElement[bool], ...]
    also: tuple[ColumnElement[bool], ...] = ()

    def each(self) -> list[ColumnElement[bool]]:
        return [and_(part, *self.also) for part in self.parts]


@dataclass(frozen=True)
class Candidates:
    """Among what the best are found: all that fits, made sure of, or, where `lacking` is given, a sample and the likely
    best, with what the sample lacks of names. Where it `is_known`, all or the sample is given as `some`."""

    is_known: bool
    lacking: tuple[str, ...] | None = None


IS_TAGGED: ColumnElement[bool] = Repository.is_tagged.is_(True)
PUBLIC = Searchable((and_(Repository.is_private.is_(False), IS_TAGGED),))
"""What everybody sees; `is` this, where nothing else is asked of it."""


@dataclass(frozen=True)
class Shape:
    """What the statements of a search depend on: the number of words, and the kind of each."""

    engine: Engine
    kinds: tuple[tuple[bool, bool, bool], ...]

    @classmethod
    def of(cls, engine: Engine, words: Sequence[QueryTerm]) -> Shape:
        return cls(engine, tuple((word.is_sure, word.in_text is not None, word.may_be_image) for word in words))

    def values(self, words: Sequence[QueryTerm]) -> dict[str, Any]:
        """The parameters of all statements of this shape."""
        first = words[0]
        expressions: dict[str, Expression] = {
            "anywhere": And(tuple(word.anywhere for word in words)),
            "is_name": first.is_name,
            "begins_name": first.begins_name,
            "in_names": And(tuple(word.in_name for word in words)),
        }
        values: dict[str, Any] = {
            "whole": " ".join(word.text for word in words),
            "begins": f"{escape_like(first.text)}%",
        }
        for place, word in enumerate(words):
            values[f"holds{place}"] = f"%{escape_like(word.text)}%"
            # "g" comes after every hexadecimal digit.
            values[f"from{place}"], values[f"to{place}"] = word.text, f"{word.text}g"
            if word.in_text is not None:
                expressions[f"text{place}"] = word.in_text
        return values | {name: self.engine.compile(expression) for name, expression in expressions.items()}

    @property
    def is_common(self) -> bool:
        """Whether its statements are worth caching: those of few words, like nearly all queries."""
        return len(self.kinds) <= _COMMON

    @property
    def places(self) -> range:
        return range(len(self.kinds))

    @property
    def named(self) -> tuple[str, ...]:
        """The parameters that find the likely best: those of names. No name contains the blank between two words."""
        return ("begins_name", "in_names") if len(self.kinds) == 1 else ("in_names",)

    @property
    def images(self) -> list[int]:
        """The positions of words that an image's id could begin with."""
        return [place for place, (_, _, may_be_image) in enumerate(self.kinds) if may_be_image]


def listing(seen: Searchable, sort: str) -> Select[Any]:
    """A page of all searchable repositories; its parameters are `size`, `offset` and their sum `most`."""
    return _public_listing(sort) if seen is PUBLIC else _listing(seen, sort)


def some(shape: Shape) -> Select[Any]:
    """The ids of matches, visible or not; their number, and how many of them match each condition on names. At most one
    more than the sample."""
    return _common_some(shape) if shape.is_common else _some(shape)


def fits(shape: Shape) -> ColumnElement[bool]:
    """The condition that a repository matches, as far as the index of words knows."""
    return Repository.id.in_(_fitting(shape, "anywhere"))


def ranking(seen: Searchable, shape: Shape, sort: str, among: Candidates) -> Select[Any]:
    """A page of the best matches with their total; its parameters are `size` and `offset`."""
    is_kept = seen is PUBLIC and shape.is_common
    return _public_ranking(shape, sort, among) if is_kept else _ranking(seen, shape, sort, among)


@lru_cache(_CACHED)
def _common_some(shape: Shape) -> Select[Any]:
    return _some(shape)


@lru_cache(_CACHED)
def _public_listing(sort: str) -> Select[Any]:
    return _listing(PUBLIC, sort)


@lru_cache(_CACHED)
def _public_ranking(shape: Shape, sort: str, among: Candidates) -> Select[Any]:
    return _ranking(PUBLIC, shape, sort, among).execution_options(**PREPARED_STATEMENT)


def _some(shape: Shape) -> Select[Any]:
    marks = [shape.engine.match_flag(asked).label(asked) for asked in shape.named]
    sample = _fitting(shape, "anywhere").add_columns(*marks).limit(_at_most(SAMPLE + 1)).subquery()
    told: list[ColumnElement[Any]] = [shape.engine.collect_ids(sample.c.id), func.count(sample.c.id)]
    told += [func.count().filter(sample.c[asked]) for asked in shape.named]
    return select(*told)


def _listing(seen: Searchable, sort: str) -> Select[Any]:
    order = _ORDERS[sort]()
    firsts = [select(Repository.id).where(part).order_by(*order).limit(bindparam("most")) for part in seen.each()]
    ids = union_all(*(select(part.subquery()) for part in firsts)).subquery()
    return _page(select(*_COLUMNS).join(ids, ids.c.id == Repository.id).order_by(*order))


def _ranking(seen: Searchable, shape: Shape, sort: str, among: Candidates) -> Select[Any]:
    found = shape.engine.expand_ids("some") if among.is_known else _fitting(shape, "anywhere")
    likely = [] if among.lacking is None else _likely(seen, shape, among.lacking)
    candidates = _union(found, *likely, *_of_images(shape))
    hits = (
        select(*_COLUMNS, func.count().over().label("found"))
        .join(candidates, candidates.c.id == Repository.id)
        .where(or_(*seen.each()))
    )
    if among.lacking is None:
        hits = hits.where(*(_holds(shape, place) for place in shape.places))
    if sort != BEST:
        return _page(hits.order_by(*_ORDERS[sort]()))
    # Evaluate the compared expressions once: a subquery with a count is not flattened into the outer query.
    compared = hits.add_columns(*(text.label(label) for label, text in _COMPARED.items())).subquery()
    shown = [column for column in compared.c if column.key not in _COMPARED]
    return _page(select(*shown).order_by(*_best(shape, compared.c)))


def _page(statement: Any) -> Select[Any]:
    found: Select[Any] = statement.limit(bindparam("size")).offset(bindparam("offset"))
    return found


def _fitting(shape: Shape, asked: str) -> Select[Any]:
    return select(shape.engine.key.label("id")).where(shape.engine.match(asked))


def _likely(seen: Searchable, shape: Shape, lacking: tuple[str, ...]) -> list[Select[Any]]:
    """The ids of the likely best matches, if too many match."""
    whole = ("is_name",) if len(shape.kinds) == 1 else ()
    named = (_fitting(shape, asked).limit(_at_most(_LIKELY)) for asked in (*whole, *lacking))
    return [*named, _starred(seen, shape)]


def _starred(seen: Searchable, shape: Shape) -> Select[Any]:
    """Those of the most starred whose names begin with the words."""
    order = _ORDERS[STARS]()
    starred = select(Repository.id).where(seen.each()[0]).order_by(*order).limit(_at_most(_STARRED)).subquery()
    borne = [or_(_in_name(place), _in_description(place)) for place in shape.places]
    return select(Repository.id).join(starred, starred.c.id == Repository.id).where(*borne)


def _of_images(shape: Shape) -> list[Select[Any]]:
    """The ids of repositories that hold an image whose id begins with one of the words."""
    holders = (select(HeldImage.repository_id.label("id")).where(_is_image(place)) for place in shape.images)
    return [of_it.limit(_at_most(SAMPLE)) for of_it in holders]


def _holds(shape: Shape, place: int) -> ColumnElement[bool]:
    """Whether a candidate really contains the word: what the index of words leaves open, or does not know."""
    is_sure, has_text, may_be_image = shape.kinds[place]
    if is_sure and not shape.images:
        return true()
    ways = [_in_name(place), shape.engine.matches_id(Repository.id, f"text{place}") if has_text else false()]
    if may_be_image:
        of_it = select(HeldImage.image_id).where(HeldImage.repository_id == Repository.id, _is_image(place))
        ways.append(of_it.exists())
    return or_(*ways)


def _is_image(place: int) -> ColumnElement[bool]:
    return and_(HeldImage.image_id >= bindparam(f"from{place}"), HeldImage.image_id < bindparam(f"to{place}"))


def _union(*selects: Select[Any]) -> Subquery:
    """The union of the results, without duplicates."""
    return union(*(select(part.subquery()) for part in selects)).subquery()


def _best(shape: Shape, of: Any) -> list[Any]:
    """The ranking: name equal, prefix, in the name, official, in the description; then stars. `of` are columns."""
    name, full = of.lower_name, of.lower_full_name
    whole = bindparam("whole", type_=Repository.name.type)
    begins = or_(_is_like(name, "begins"), _is_like(full, "begins"))
    in_names = and_(*(_is_like(full, f"holds{place}") for place in shape.places))
    described = and_(*(_is_like(of.lower_description, f"holds{place}") for place in shape.places))
    return [
        *map(_first, (or_(name == whole, full == whole), and_(begins, in_names), in_names)),
        *map(_first, (of.namespace == LIBRARY, described)),
        of.star_count.desc(),
        of.namespace,
        of.name,
    ]


def _first(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, literal_column("0")), else_=literal_column("1"))


def _in_name(place: int) -> ColumnElement[bool]:
    return _is_like(_COMPARED["lower_full_name"], f"holds{place}")


def _in_description(place: int) -> ColumnElement[bool]:
    return _is_like(_COMPARED["lower_description"], f"holds{place}")


def _at_most(rows: int) -> ColumnElement[int]:
    """A limit written into the statement, for a planner that does not see the parameters."""
    return literal_column(str(rows), Integer)


def _is_like(text: ColumnElement[str], asked: str) -> ColumnElement[bool]:
    return text.like(bindparam(asked, type_=Repository.name.type), escape=LIKE_ESCAPE)


_ORDERS: dict[str, Callable[[], list[Any]]] = {
    STARS: lambda: [Repository.star_count.desc(), Repository.id.desc()],
    PULLS: lambda: [Repository.pull_count.desc(), Repository.id.desc()],
    PUSHED: lambda: [Repository.pushed_at.desc(), Repository.id.desc()],
    NAME: lambda: [Repository.namespace, Repository.name],
}

_COMPARED: dict[str, ColumnElement[str]] = {
    "lower_name": func.lower(Repository.name),
    "lower_full_name": full_name(),
    "lower_description": func.lower(Repository.description),
}
"""What words are compared with."""

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
