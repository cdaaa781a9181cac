"""The comparison of a repository's tags with its registry's, which are the truth.

A registry asks the index before it sets or deletes a tag, and may then fail to do it; and while the index cannot be
reached, it does so without asking. Tags that differ are set and deleted here as they are there, but not those changed
here a moment ago: the registry may just be about to follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from common.names import ImageId, Tag
from index_service.database import Database
from index_service.db import Clock
from index_service.images import jobs
from index_service.registry_client import RegistryClient
from index_service.repositories import activity, catalogue, holdings
from index_service.repositories.catalogue import Pusher
from index_service.repositories.models import Repository
from index_service.services.registry_tokens import RegistryTokens

SETTLED_AFTER = timedelta(minutes=1)
"""How long a registry may take to do what it asked for."""

CHANGES_AT_ONCE = 200
"""In one transaction, so that none is long."""


class TagsUnsettled(Conflict):
    """Tags differ that were changed too recently."""

    def __init__(self) -> None:
        super().__init__("The registry's tags differ from those just changed here; they are compared again")


@dataclass(frozen=True, slots=True)
class RegistryTags:
    """The tags that a registry has of a repository; `is_settled` once those of the index are the same."""

    tags: Mapping[Tag, ImageId]
    is_settled: bool


class TagComparison:
    """Compares and repairs the tags of one repository after the other."""

    def __init__(self, database: Database, tokens: RegistryTokens, registries: RegistryClient, clock: Clock) -> None:
        self._database = database
        self._tokens = tokens
        self._registries = registries
        self._clock = clock

    def run(self, repository: Repository) -> RegistryTags:
        """Read the registry's tags, and repair those of the index where they differ. Raises as registries do."""
        told = self._read(repository)
        with self._database.reading() as session:
            differing = _differing(catalogue.tags(session, repository.id), told or {})
        settled = [self._repair(repository, told, tags) for tags in _batches(differing)]
        return RegistryTags(told or {}, all(settled))

    def _read(self, repository: Repository) -> dict[Tag, ImageId] | None:
        """None where the registry has no tag of it."""
        endpoint, token = self._tokens.to_read(repository)
        try:
            return self._registries.tags(endpoint, token, repository.full_name)
        except NotFound:
            return None

    def _repair(self, repository: Repository, told: Mapping[Tag, ImageId] | None, tags: list[Tag]) -> bool:
        """Returns whether nothing is left to compare again."""
        now = self._clock()
        with self._database.writing() as session:
            locked = catalogue.lock(session, repository.full_name)
            if locked is None or locked.id != repository.id or jobs.is_queued(session, jobs.MOVE, repository.id):
                # Under its new name the registry has only what has been moved so far.
                return False
            recent = activity.changed_since(session, repository.id, now - SETTLED_AFTER)
            pushed_at = locked.pushed_at
            for tag in tags:
                if tag not in recent:
                    self._follow(session, locked, tag, told)
            locked.pushed_at = pushed_at
            return recent.isdisjoint(tags)

    def _follow(self, session: Session, repository: Repository, tag: Tag, told: Mapping[Tag, ImageId] | None) -> None:
        """Set or delete a tag as the registry has it.

        A registry that knows nothing of the repository may have lost its store: only tags that it never confirmed are
        deleted then.
        """
        here, there = catalogue.image_of(session, repository, tag), (told or {}).get(tag)
        may_be_lost = told is None and here is not None and holdings.held(session, repository.id, [here])
        if there is not None and there != here:
            catalogue.set_tag(session, repository, tag, there, Pusher(None), self._clock())
        elif there is None and here is not None and not may_be_lost:
            catalogue.delete_tag(session, repository, tag, Pusher(None), self._clock())


def _differing(here: Mapping[Tag, ImageId], there: Mapping[Tag, ImageId]) -> list[Tag]:
    return sorted(tag for tag in here.keys() | there.keys() if here.get(tag) != there.get(tag))


def _batches(tags: list[Tag]) -> Iterator[list[Tag]]:
    for start in range(0, len(tags), CHANGES_AT_ONCE):
        yield tags[start : start + CHANGES_AT_ONCE]
