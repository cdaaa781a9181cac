"""Repositories: found, described, hidden, renamed and deleted; their tags, and what was done with them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from common.errors import Invalid
from common.names import RepositoryName, Tag
from index_service.accounts.actor import Actor
from index_service.json_api.answers import All, Listing
from index_service.json_api.asking import actor, address, door, known, proved, services
from index_service.json_api.routes import Param, Routes, argument, paged
from index_service.json_api.shapes import ABSENT, Absent
from index_service.pages import paging
from index_service.pages.images import MoveRow, TagRow
from index_service.pages.social import OverviewPage
from index_service.repositories.history import Day
from index_service.services.tags import BY_PUSH, BY_SIZE, BY_VERSION, MOVES_AT_ONCE, TAGS_AT_ONCE

TAG_SORTS = (BY_VERSION, BY_PUSH, BY_SIZE)

routes = Routes("repositories")


@dataclass(frozen=True, slots=True)
class RepositoryChange:
    """What is to be changed of a repository; what is left out stays as it is. `readme` is Markdown."""

    description: str | Absent = ABSENT
    readme: str | Absent = ABSENT
    is_private: bool | Absent = ABSENT


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The full name of what is to be deleted, once more."""

    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """The full name that a repository is to have."""

    name: str


@dataclass(frozen=True, slots=True)
class TagNames:
    """Tags of one repository."""

    tags: tuple[str, ...]


@routes.get(
    "/repositories/<named:repository>", query=[Param("tag", "The tag of which `image_id` and `size` are told.")]
)
def get_repository(repository: str) -> OverviewPage:
    """A repository with its README and what is pinned to its tags, and what the caller may do with it."""
    return _told(actor(), RepositoryName.parse(repository), argument("tag"))


@routes.patch("/repositories/<named:repository>")
def change_repository(repository: str, body: RepositoryChange) -> OverviewPage:
    """Change texts, or who may see it. Texts are open to all who may write, the rest to its administrators."""
    name = RepositoryName.parse(repository)
    who = known() if body.is_private is ABSENT else proved()
    services().permissions.change(
        who,
        address(),
        name,
        description=None if body.description is ABSENT else body.description,
        readme=None if body.readme is ABSENT else body.readme,
        is_private=None if body.is_private is ABSENT else body.is_private,
    )
    return _told(who, name)


@routes.delete("/repositories/<named:repository>", who=proved)
def delete_repository(repository: str, body: Confirmation) -> None:
    """Delete a repository here and at its registry. Its images stay where other repositories list them."""
    name = RepositoryName.parse(repository)
    if RepositoryName.parse(body.name) != name:
        raise Invalid("name has to be the name of the repository that is to be deleted")
    services().deletion.delete_repository(proved(), name, address())


@routes.post("/repositories/<named:repository>/@transfer", who=proved)
def transfer_repository(repository: str, body: Target) -> OverviewPage:
    """Give it another name, maybe in another namespace. Its registry follows in a moment."""
    name, target = RepositoryName.parse(repository), _target(body.name)
    services().permissions.transfer(proved(), address(), name, target)
    return _told(proved(), target)


@routes.get("/repositories/<named:repository>/@tags", query=paged(TAG_SORTS))
def list_tags(repository: str) -> Listing[TagRow]:
    """The tags, one row for each image that any of them points at."""
    name, asked = RepositoryName.parse(repository), paging.asked(request.args, TAG_SORTS, TAGS_AT_ONCE)
    found = services().tags.tags(actor(), name, asked.sort, asked.offset)
    return Listing.of(asked.of(found.total), map(TagRow.of, found.images))


@routes.delete("/repositories/<named:repository>/@tags")
def delete_tags(repository: str, body: TagNames) -> None:
    """Delete tags here and at the registry. Open to all who may write."""
    name, tags = RepositoryName.parse(repository), [Tag(tag) for tag in dict.fromkeys(body.tags)]
    services().deletion.delete_tags(known(), name, tags)


@routes.get(
    "/repositories/<named:repository>/@activity", query=[*paged(), Param("tag", "Only what was done with this tag.")]
)
def list_activity(repository: str) -> Listing[MoveRow]:
    """What was done with the tags: set or deleted, by whom, with which client, the last first."""
    name, asked = RepositoryName.parse(repository), paging.asked(request.args, size=MOVES_AT_ONCE)
    text = argument("tag")
    found = services().tags.activity(actor(), name, Tag(text) if text else None, asked.offset)
    return Listing.of(asked.of(found.total), map(MoveRow.of, found.moves))


@routes.get("/repositories/<named:repository>/@pulls")
def list_pulls(repository: str) -> All[Day]:
    """How often it was pulled on each of the last 90 days, in UTC."""
    return All.of(services().tags.activity(actor(), RepositoryName.parse(repository), None, 0).days)


def _told(who: Actor | None, name: RepositoryName, tag: str | None = None) -> OverviewPage:
    return OverviewPage.of(door().host, services().social.overview(who, name, tag))


def _target(text: str) -> RepositoryName:
    if "/" not in text:
        raise Invalid("name has to be a full name, such as acme/app")
    return RepositoryName.parse(text)
