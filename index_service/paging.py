"""Pagination: `?page=` and `&sort=` of a URL, and the position of a page in its list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from common.errors import Invalid, NotFound

PAGE_SIZE = 25
MAX_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class Paging:
    """Page `number` of a list, sorted by `sort`, which is one of `sorts`; `total` is the length of the list."""

    number: int = 1
    size: int = PAGE_SIZE
    total: int = 0
    sort: str = ""
    sorts: tuple[str, ...] = ()

    @property
    def offset(self) -> int:
        """The number of rows on the pages before."""
        return (self.number - 1) * self.size

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """The number of the first on this page, counted from 1."""
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        return min(self.offset + self.size, self.total)

    def of(self, total: int) -> Paging:
        """With the total, once it is known. Raises NotFound for a page behind the last."""
        if self.number > 1 and self.offset >= total:
            raise NotFound("This list has no such page")
        return replace(self, total=total)

    def near(self) -> list[int]:
        """The pages to link to: the first, the last and the neighbours; 0 marks a gap."""
        wanted = {1, self.pages} | set(range(self.number - 2, self.number + 3))
        shown: list[int] = []
        for number in sorted(number for number in wanted if 1 <= number <= self.pages):
            if shown and number - shown[-1] == 2:
                shown.append(number - 1)
            elif shown and number - shown[-1] > 2:
                shown.append(0)
            shown.append(number)
        return shown


def asked(arguments: Mapping[str, str], sorts: Sequence[str] = (), size: int = PAGE_SIZE) -> Paging:
    """Parses a query string; `sort` defaults to the first of `sorts`. Raises Invalid."""
    sort = arguments.get("sort") or (sorts[0] if sorts else "")
    if sort and sort not in sorts:
        raise Invalid("Invalid sort order")
    return Paging(_number(arguments.get("page")), size, 0, sort, tuple(sorts))


def _number(text: str | None) -> int:
    if not text:
        return 1
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or not 1 <= int(text) <= MAX_PAGE:
        raise Invalid("Invalid page number: use a whole number from 1")
    return int(text)
