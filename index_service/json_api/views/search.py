"""What there is to find."""

from __future__ import annotations

from flask import request

from index_service.json_api.answers import Listing
from index_service.json_api.asking import actor, door, known, services
from index_service.json_api.routes import Param, Routes, argument, paged
from index_service.pages import paging
from index_service.pages.explore import ExplorePage
from index_service.pages.repositories import RepositoryCard
from index_service.pages.search import SearchPage
from index_service.search.finder import SORTS, Query

QUERY = (
    Param("q", "Words: in names, descriptions, READMEs and annotations, or the beginning of an image's id."),
    Param("namespace", "Only repositories of this namespace."),
    Param("official", "Only repositories of `library`, where it says anything."),
    Param("starred", "Only what the caller starred, where it says anything."),
    *paged(SORTS),
)

routes = Routes("search")


@routes.get("/search", query=QUERY)
def search() -> SearchPage:
    """Repositories the caller may see that hold all the words; all of them where there are none."""
    asked = paging.asked(request.args, SORTS)
    query = Query(
        argument("q"),
        asked.number,
        asked.size,
        asked.sort,
        argument("namespace"),
        bool(argument("official")),
        known().id if argument("starred") else None,
    )
    found = services().search.find(actor(), query)
    return SearchPage.of(query, found, asked, services().images.only(actor(), query.text))


@routes.get("/repositories", query=QUERY)
def list_repositories() -> Listing[RepositoryCard]:
    """The same as a list alone."""
    found = search()
    return Listing.of(found.paging, found.repositories)


@routes.get("/explore")
def explore() -> ExplorePage:
    """What was pushed last, is liked most and pulled most; and the index as docker is told it."""
    is_secure = door().origin.startswith("https:")
    return ExplorePage.of(door().host, services().search.explore(actor()), is_secure=is_secure)
