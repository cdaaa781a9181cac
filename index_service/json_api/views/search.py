"""Search and discovery."""

from __future__ import annotations

from flask import request

from index_service import paging
from index_service.current import services
from index_service.json_api.requester import actor, api_context, known
from index_service.json_api.resources.lists import Page
from index_service.json_api.resources.repositories import Explore, RepositoryListItem, SearchResult
from index_service.json_api.routes import Param, Routes, argument, paged
from index_service.search.finder import SORTS, Query

QUERY = (
    Param("q", "Words: in names, descriptions, READMEs and annotations, or the beginning of an image's id."),
    Param("namespace", "Only repositories of this namespace."),
    Param("official", "Only repositories of `library`, with any value."),
    Param("starred", "Only repositories that the caller starred, with any value."),
    *paged(SORTS),
)

routes = Routes("search")


@routes.get("/search", query=QUERY)
def search() -> SearchResult:
    """Search the repositories that the caller may see. Every word has to match; without words all are found."""
    asked = paging.asked(request.args, SORTS)
    query = Query(
        text=argument("q"),
        page=asked.number,
        page_size=asked.size,
        sort=asked.sort,
        namespace=argument("namespace"),
        is_official=bool(argument("official")),
        starred_by=known().id if argument("starred") else None,
    )
    found = services().search.find(actor(), query)
    return SearchResult.of(query, found, asked, services().images.only(actor(), query.text))


@routes.get("/repositories", query=QUERY)
def list_repositories() -> Page[RepositoryListItem]:
    """List the repositories that a search finds."""
    found = search()
    return Page(items=found.repositories, paging=found.paging)


@routes.get("/explore")
def explore() -> Explore:
    """List the repositories that were pushed last, starred most and pulled most."""
    is_secure = api_context().origin.startswith("https:")
    return Explore.of(api_context().host, services().search.explore(actor()), is_secure=is_secure)
