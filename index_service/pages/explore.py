"""The first page: what is new, liked and used, and how to begin."""

from __future__ import annotations

from dataclasses import dataclass

from index_service.pages.repositories import RepositoryCard
from index_service.search.totals import Totals
from index_service.services.search import Highlights


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorePage:
    """The first repositories in three orders, how much there is, and the index as docker is told it: `host`.

    `is_secure` is whether docker connects without an option that allows plain HTTP.
    """

    host: str
    is_secure: bool
    totals: Totals
    recent: tuple[RepositoryCard, ...]
    starred: tuple[RepositoryCard, ...]
    pulled: tuple[RepositoryCard, ...]

    @classmethod
    def of(cls, host: str, explored: Highlights, *, is_secure: bool) -> ExplorePage:
        lists = (explored.recent, explored.starred, explored.pulled)
        recent, starred, pulled = (tuple(map(RepositoryCard.of, hits)) for hits in lists)
        return cls(
            host=host, is_secure=is_secure, totals=explored.totals, recent=recent, starred=starred, pulled=pulled
        )
