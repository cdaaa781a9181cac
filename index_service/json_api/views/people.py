"""People and organisations as others see them: what they push, like and do."""

from __future__ import annotations

from flask import request

from index_service import paging
from index_service.current import services
from index_service.json_api.requester import actor
from index_service.json_api.resources.lists import Page, UncountedPage
from index_service.json_api.resources.people import Profile
from index_service.json_api.resources.repositories import RepositoryListItem, TagEvent
from index_service.json_api.routes import LIST_SORTS, Routes, paged

routes = Routes("people")


@routes.get("/people/<someone:name>")
def get_person(name: str) -> Profile:
    """Get the profile of a person or an organisation, or of `library`."""
    return Profile.of(services().profiles.shown(actor(), name))


@routes.get("/people/<someone:name>/repositories", query=paged(LIST_SORTS))
def list_repositories_of(name: str) -> Page[RepositoryListItem]:
    """List the repositories of a namespace that the caller may see."""
    asked = paging.asked(request.args, LIST_SORTS)
    hits, total = services().profiles.repositories(actor(), name, asked.sort, asked.size, asked.number)
    return Page.of(asked.of(total), map(RepositoryListItem.of, hits))


@routes.get("/people/<someone:name>/starred", query=paged(LIST_SORTS))
def list_starred_by(name: str) -> Page[RepositoryListItem]:
    """List the repositories that a person starred and the caller may see."""
    asked = paging.asked(request.args, LIST_SORTS)
    hits, total = services().profiles.starred(actor(), name, asked.sort, asked.size, asked.number)
    return Page.of(asked.of(total), map(RepositoryListItem.of, hits))


@routes.get("/people/<someone:name>/activity", query=paged())
def list_activity_of(name: str) -> UncountedPage[TagEvent]:
    """List the tags that a person set and deleted, or anybody in an organisation, the newest first."""
    asked = paging.asked(request.args)
    moves = services().profiles.activity(actor(), name, asked.size + 1, asked.offset).moves
    return UncountedPage.of(asked.number, asked.size, [TagEvent.of(move) for move in moves])
