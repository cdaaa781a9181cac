"""A repository's tags and their activity.

Each method is one request, served within a short transaction; the number of statements does not depend on the size of
the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import true
from sqlalchemy.orm import Session

from common.names import RepositoryName, Tag
from index_service.accounts.actor import Actor
from index_service.database import Database
from index_service.db import Clock
from index_service.images import tagged_images, translations, versions
from index_service.images.image_metadata import platform
from index_service.registry_client import Translation
from index_service.repositories import activity, holdings, tag_history
from index_service.repositories.activity import DayOfPulls
from index_service.repositories.roles import AccessControl
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.services.summaries import RepositorySummary, Summaries
from index_service.social import comments
from index_service.social.comments import CommentView

TAGS_AT_ONCE = 25

MOVES_AT_ONCE = 25

PULL_DAYS = 90

BY_VERSION, BY_PUSH, BY_SIZE = "version", "pushed", "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedImage:
    """An image and all tags of one repository that point at it; metadata is None while unknown.

    `moves` are the tags' last events in the history, by tag; `set_at` is when the last of the tags was set. Of an image
    that the repository keeps apart no metadata is known; `is_apart` is None as long as it is not known to hold it.
    """

    image_id: str
    tags: list[str]
    moves: dict[str, TagHistoryEvent]
    set_at: datetime
    size: int | None = None
    total_size: int | None = None
    layers: int | None = None
    created_at: datetime | None = None
    os: str = ""
    architecture: str = ""
    docker_version: str = ""
    is_apart: bool | None = None
    translation: Translation = translations.UNKNOWN

    @property
    def is_shared(self) -> bool:
        return self.is_apart is False

    @property
    def platform(self) -> str:
        return platform(self.os, self.architecture)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagList:
    """One page of a repository's tagged images; `total` of these, `tags` in all, `is_cut` if some were left out."""

    head: RepositorySummary
    images: list[TaggedImage]
    total: int
    tags: int
    is_cut: bool
    annotations: list[CommentView]


@dataclass(frozen=True, slots=True)
class Activity:
    """The tag history of a repository, the latest first, those of its images that have a page, and its pulls per
    day."""

    head: RepositorySummary
    moves: list[TagHistoryEvent]
    shared: set[str]
    total: int
    days: list[DayOfPulls]


class Tags:
    """The requests of the pages about tags."""

    def __init__(self, database: Database, access_control: AccessControl, summaries: Summaries, clock: Clock) -> None:
        self._database = database
        self._access_control = access_control
        self._summaries = summaries
        self._clock = clock

    def tags(self, actor: Actor | None, name: RepositoryName, sort: str, offset: int) -> TagList:
        """A page of the tags. Raises as the policy does."""
        with self._database.reading() as session:
            found = self._summaries.read(session, actor, name)
            repository = found.repository
            groups, count, is_cut = tagged(session, repository.id, sort)
            shown = _described(session, repository.id, groups[offset : offset + TAGS_AT_ONCE])
            pinned: list[CommentView] = []
            if found.is_annotated:
                tags = [(repository.id, tag) for image in shown for tag in image.tags]
                ids = [(repository.id, image.image_id) for image in shown]
                shared = [image.image_id for image in shown if image.is_shared]
                visible = self._access_control.visible(actor)
                pinned = comments.pinned_to(session, visible, tags=tags, own=ids, shared=shared)
        return TagList(head=found.head, images=shown, total=len(groups), tags=count, is_cut=is_cut, annotations=pinned)

    def activity(self, actor: Actor | None, name: RepositoryName, tag: Tag | None, offset: int) -> Activity:
        """A page of the history of all tags or of one. Raises as the policy does."""
        with self._database.reading() as session:
            known = self._summaries.read(session, actor, name)
            repository = known.repository
            whose = activity.of_repository(repository.id, tag)
            found = tag_history.latest(session, whose, true(), MOVES_AT_ONCE, offset)
            days = activity.daily_pulls(session, repository.id, self._clock().date(), PULL_DAYS)
            named = {image for move in found for image in (move.image_id, move.previous_id) if image is not None}
            shared = holdings.held(session, repository.id, named, is_shared=True)
            return Activity(known.head, found, shared, activity.count(session, whose), days)


def tagged(session: Session, repository_id: int, sort: str) -> tuple[list[TaggedImage], int, bool]:
    """All images that tags point at, sorted; the number of tags, and whether it exceeds the limit."""
    rows = tagged_images.latest(session, repository_id)
    kept = {row.name: row for row in rows[: tagged_images.MAX_TAGS]}
    grouped: dict[str, list[str]] = {}
    for name in versions.newest_first(kept):
        grouped.setdefault(kept[name].image_id or "", []).append(name)
    groups = [
        TaggedImage(
            image_id=image_id,
            tags=names,
            moves={},
            set_at=max(kept[name].updated_at for name in names),
            total_size=kept[names[0]].total_size,
            is_apart=kept[names[0]].is_apart,
        )
        for image_id, names in grouped.items()
    ]
    return _sorted(groups, sort), len(kept), len(rows) > tagged_images.MAX_TAGS


def _sorted(groups: list[TaggedImage], sort: str) -> list[TaggedImage]:
    if sort == BY_PUSH:
        return sorted(groups, key=lambda group: group.set_at, reverse=True)
    if sort == BY_SIZE:
        return sorted(groups, key=lambda group: group.total_size or 0, reverse=True)
    return groups


def _described(session: Session, repository_id: int, groups: Sequence[TaggedImage]) -> list[TaggedImage]:
    """The same with the images' metadata, what they are by `/v2/`, and the tags' last events."""
    ids = [group.image_id for group in groups]
    records = tagged_images.described(session, repository_id, ids)
    known = translations.known(session, repository_id, ids)
    last = activity.latest_by_tag(session, repository_id, [tag for group in groups for tag in group.tags])
    return [
        _with_facts(group, records.get(group.image_id), known.get(group.image_id, translations.UNKNOWN), last)
        for group in groups
    ]


def _with_facts(
    group: TaggedImage, record: Any, translation: Translation, last: dict[str, TagHistoryEvent]
) -> TaggedImage:
    own = {tag: last[tag] for tag in group.tags if tag in last and last[tag].image_id == group.image_id}
    if record is None:
        return replace(group, moves=own, total_size=None, translation=translation)
    return replace(
        group,
        moves=own,
        translation=translation,
        size=record.size,
        total_size=record.total_size,
        layers=record.depth + 1,
        created_at=record.created_at,
        os=record.os,
        architecture=record.architecture,
        docker_version=record.docker_version,
    )
