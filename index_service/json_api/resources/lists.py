"""Lists of any resource: pages and pagination."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from index_service.paging import Paging as Asked

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Page `number`, from 1, of a list of `total` items, sorted by `sort`, which is one of `sorts`."""

    number: int
    size: int
    total: int
    sort: str
    sorts: tuple[str, ...]

    @classmethod
    def of(cls, asked: Asked) -> Paging:
        return cls(number=asked.number, size=asked.size, total=asked.total, sort=asked.sort, sorts=asked.sorts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a list; the header Link leads to the pages beside it."""

    items: tuple[Item, ...]
    paging: Paging

    @classmethod
    def of(cls, asked: Asked, items: Iterable[Item]) -> Page[Item]:
        return cls(items=tuple(items), paging=Paging.of(asked))


@dataclass(frozen=True, slots=True, kw_only=True)
class UncountedPage(Generic[Item]):
    """One page of a list that nobody counts: `page` is its number, `is_more` whether another follows."""

    items: tuple[Item, ...]
    page: int
    is_more: bool

    @classmethod
    def of(cls, page: int, size: int, found: Sequence[Item]) -> UncountedPage[Item]:
        """`found` has one more item than `size` if there are more."""
        return cls(items=tuple(found[:size]), page=page, is_more=len(found) > size)


@dataclass(frozen=True, slots=True, kw_only=True)
class List(Generic[Item]):
    """A list that is short enough for one answer."""

    items: tuple[Item, ...]

    @classmethod
    def of(cls, items: Iterable[Item]) -> List[Item]:
        return cls(items=tuple(items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Why a request was refused."""

    error: str
