"""People and organisations as others see them: what they push, like and do."""

from __future__ import annotations

from flask import request

from index_service.json_api.answers import Listing, Stretch
from index_service.json_api.asking import actor, services
from index_service.json_api.routes import LIST_SORTS, Routes, paged
from index_service.pages import paging
from index_service.pages.repositories import RepositoryCard
from index_service.repositories.moves import Move
from index_service.services.profiles import Shown

routes = Routes("people")


@routes.get("/people/<someone:name>")
def get_person(name: str) -> Shown:
    """Who is behind a name: a person, an organisation, or nobody as behind `library`."""
    return services().profiles.shown(actor(), name)


@routes.get("/people/<someone:name>/repositories", query=paged(LIST_SORTS))
def list_repositories_of(name: str) -> Listing[RepositoryCard]:
    """The repositories of a namespace, as far as the caller may see them."""
    asked = paging.asked(request.args, LIST_SORTS)
    hits, total = services().profiles.repositories(actor(), name, asked.sort, asked.size, asked.number)
    return Listing.of(asked.of(total), map(RepositoryCard.of, hits))


@routes.get("/people/<someone:name>/starred", query=paged(LIST_SORTS))
def list_starred_by(name: str) -> Listing[RepositoryCard]:
    """What a person likes, as far as the caller may see it."""
    asked = paging.asked(request.args, LIST_SORTS)
    hits, total = services().profiles.starred(actor(), name, asked.sort, asked.size, asked.number)
    return Listing.of(asked.of(total), map(RepositoryCard.of, hits))


@routes.get("/people/<someone:name>/activity", query=paged())
def list_activity_of(name: str) -> Stretch[Move]:
    """What a person pushed anywhere, or whoever to an organisation, the newest first."""
    asked = paging.asked(request.args)
    moves = services().profiles.activity(actor(), name, asked.size + 1, asked.offset)
    return Stretch.of(asked.number, asked.size, moves)
