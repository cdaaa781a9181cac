"""The search page."""

from __future__ import annotations

from dataclasses import dataclass

from index_service.pages.repositories import RepositoryCard
from index_service.paging import Paging
from index_service.search.finder import Query
from index_service.services.search import SearchResults


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """A page of repositories; `is_more` where more fit than are counted and paged through.

    `image_id` is the one image whose id begins as the query says, where there is one.
    """

    query: str
    namespace: str
    official: bool
    starred: bool
    repositories: tuple[RepositoryCard, ...]
    paging: Paging
    is_more: bool
    image_id: str | None

    @classmethod
    def of(cls, query: Query, found: SearchResults, paging: Paging, image_id: str | None) -> SearchPage:
        """Raises NotFound for a page behind the last."""
        cards = (RepositoryCard.of(hit, found.annotations.get(hit.id, ())) for hit in found.page.hits)
        return cls(
            query=query.text,
            namespace=query.namespace,
            official=query.is_official,
            starred=query.starred_by is not None,
            repositories=tuple(cards),
            paging=paging.of(found.page.total),
            is_more=found.page.is_more,
            image_id=image_id,
        )
