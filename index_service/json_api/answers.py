"""What lists look like, whatever they list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from index_service.pages.paging import Paging

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """One page of a list, and where in the list it is; the header Link leads to those beside it."""

    items: tuple[Row, ...]
    paging: Paging

    @classmethod
    def of(cls, paging: Paging, items: Iterable[Row]) -> Listing[Row]:
        return cls(tuple(items), paging)


@dataclass(frozen=True, slots=True)
class All(Generic[Row]):
    """A list that is short enough to be told at once."""

    items: tuple[Row, ...]

    @classmethod
    def of(cls, items: Iterable[Row]) -> All[Row]:
        return cls(tuple(items))


@dataclass(frozen=True, slots=True)
class Stretch(Generic[Row]):
    """A part of a list that nobody counts: `page` is its number, `is_more` whether another follows."""

    items: tuple[Row, ...]
    page: int
    is_more: bool

    @classmethod
    def of(cls, page: int, size: int, found: list[Row]) -> Stretch[Row]:
        """`found` is one more than `size`, where there is more."""
        return cls(tuple(found[:size]), page, len(found) > size)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request was refused."""

    error: str
