"""Repositories: found, described, hidden, renamed and deleted; their tags, and what was done with them."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from common.errors import Invalid
from common.names import RepositoryName, Tag
from index_service import paging
from index_service.accounts.actor import Actor
from index_service.current import services
from index_service.json_api.bodies import UNSET, Names, UnsetType, sent
from index_service.json_api.requester import actor, api_context, client_address, known, proved
from index_service.json_api.resources.lists import List, Page
from index_service.json_api.resources.repositories import DailyPulls, Repository, TagEvent, TaggedImage
from index_service.json_api.routes import Param, Routes, argument, paged
from index_service.repositories.repository_settings import Texts
from index_service.services.tags import BY_PUSH, BY_SIZE, BY_VERSION, MOVES_AT_ONCE, TAGS_AT_ONCE

TAG_SORTS = (BY_VERSION, BY_PUSH, BY_SIZE)

routes = Routes("repositories")


@dataclass(frozen=True, slots=True)
class RepositoryChange:
    """Changes to a repository; what is left out stays as it is. `readme` is Markdown, and `source_url` the address of
    the image's source, which relative links of the README lead into."""

    description: str | UnsetType = UNSET
    readme: str | UnsetType = UNSET
    source_url: str | UnsetType = UNSET
    is_private: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The full name of the repository to delete, once more."""

    name: str


@dataclass(frozen=True, slots=True)
class NewName:
    """The new full name of a repository."""

    name: str


@dataclass(frozen=True, slots=True)
class TagNames:
    """Tags of one repository."""

    tags: Names


@routes.get("/repositories/<named:repository>", query=[Param("tag", "The tag whose `image_id` and `size` to get.")])
def get_repository(repository: str) -> Repository:
    """Get a repository: its README, the annotations of its tags, and what the caller may do with it."""
    return _told(actor(), RepositoryName.parse(repository), argument("tag"))


@routes.patch("/repositories/<named:repository>")
def change_repository(repository: str, body: RepositoryChange) -> Repository:
    """Edit a repository's texts or its visibility. Texts are open to all who may write, visibility to its
    administrators."""
    name = RepositoryName.parse(repository)
    who = known() if body.is_private is UNSET else proved()
    services().permissions.change(
        who,
        client_address(),
        name,
        Texts(description=sent(body.description), readme=sent(body.readme), source_url=sent(body.source_url)),
        is_private=sent(body.is_private),
    )
    return _told(who, name)


@routes.delete("/repositories/<named:repository>", who=proved)
def delete_repository(repository: str, body: Confirmation) -> None:
    """Delete a repository here and at its registry. Its images stay where other repositories list them."""
    name = RepositoryName.parse(repository)
    if RepositoryName.parse(body.name) != name:
        raise Invalid("name has to be the name of the repository that is to be deleted")
    services().deletion.delete_repository(proved(), name, client_address())


@routes.post("/repositories/<named:repository>/@transfer", who=proved)
def transfer_repository(repository: str, body: NewName) -> Repository:
    """Rename a repository or transfer it to another namespace. Its registry follows in a moment."""
    name, target = RepositoryName.parse(repository), _target(body.name)
    services().permissions.transfer(proved(), client_address(), name, target)
    return _told(proved(), target)


@routes.get("/repositories/<named:repository>/@tags", query=paged(TAG_SORTS))
def list_tags(repository: str) -> Page[TaggedImage]:
    """List the tags of a repository, one item for each image that any of them points at."""
    name, asked = RepositoryName.parse(repository), paging.asked(request.args, TAG_SORTS, TAGS_AT_ONCE)
    found = services().tags.tags(actor(), name, asked.sort, asked.offset)
    return Page.of(asked.of(found.total), map(TaggedImage.of, found.images))


@routes.delete("/repositories/<named:repository>/@tags")
def delete_tags(repository: str, body: TagNames) -> None:
    """Delete tags of a repository here and at its registry. Open to all who may write."""
    name, tags = RepositoryName.parse(repository), [Tag(tag) for tag in dict.fromkeys(body.tags)]
    services().deletion.delete_tags(known(), name, tags)


@routes.get(
    "/repositories/<named:repository>/@activity", query=[*paged(), Param("tag", "Only the history of this tag.")]
)
def list_activity(repository: str) -> Page[TagEvent]:
    """List the tag history of a repository: tags set and deleted, by whom and with which client, the newest first."""
    name, asked = RepositoryName.parse(repository), paging.asked(request.args, size=MOVES_AT_ONCE)
    text = argument("tag")
    found = services().tags.activity(actor(), name, Tag(text) if text else None, asked.offset)
    return Page.of(asked.of(found.total), map(TagEvent.of, found.moves))


@routes.get("/repositories/<named:repository>/@pulls")
def list_pulls(repository: str) -> List[DailyPulls]:
    """List the pulls of a repository on each of the last 90 days, in UTC."""
    days = services().tags.activity(actor(), RepositoryName.parse(repository), None, 0).days
    return List.of(map(DailyPulls.of, days))


def _told(who: Actor | None, name: RepositoryName, tag: str | None = None) -> Repository:
    is_secure = api_context().origin.startswith("https:")
    return Repository.of(api_context().host, services().social.overview(who, name, tag), is_secure=is_secure)


def _target(text: str) -> RepositoryName:
    if "/" not in text:
        raise Invalid("name has to be a full name, such as acme/app")
    return RepositoryName.parse(text)
