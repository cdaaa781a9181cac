"""Synchronisation of a mirrored repository's tags and image list with its source.

They are stored as any repository's are, so every reader of the store understands them, and the mirror is an ordinary
registry once its setting is removed. Which repositories are such copies, `copies` knows.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from common.cache import Cache
from common.errors import Invalid, NotFound
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.errors import RepositoryNotFound, TagNotFound
from registry_service.graph.tags import Tags
from registry_service.mirror.client import NotAtSource, Source, SourceUnavailable
from registry_service.mirror.copies import Copies
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound

RETRY_SECONDS = 5.0
"""Backoff after a source did not answer, while stale tags are served."""

logger = logging.getLogger(__name__)


class TagSync:
    """The mirrored repositories of one store; `seconds` is the TTL of a comparison."""

    def __init__(
        self, driver: Driver, copies: Copies, tags: Tags, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._driver = driver
        self._copies = copies
        self._tags = tags
        self._seconds = seconds
        self._clock = clock
        self._locks: Cache[RepositoryName, threading.Lock] = Cache(4096)
        self._down_until: dict[Source, float] = {}

    def follow(self, repository: RepositoryName, source: Source) -> None:
        """Compare with the source if that is due; stale where it does not answer.

        Raises SourceUnavailable where nothing is held and the source does not answer. What the source has not, or
        has no more, is not there afterwards.
        """
        if self._is_due(repository, source):
            with self._locks.get_or_put(repository, threading.Lock):
                # Another request may have done it while this one waited.
                if self._is_due(repository, source):
                    self._compare(repository, source)

    def _is_due(self, repository: RepositoryName, source: Source) -> bool:
        compared = self._copies.compared(repository)
        if compared is None:
            return not self._copies.is_own(repository)
        now = self._clock()
        return now >= max(compared + self._seconds, self._down_until.get(source, 0)) or now < compared

    def _compare(self, repository: RepositoryName, source: Source) -> None:
        try:
            images = source.images(repository)
            tags = as_map(source.tags(repository), images)
        except NotAtSource:
            self._copies.forget(repository)
        except SourceUnavailable as failure:
            if not self._copies.compared(repository):
                raise
            self._down_until[source] = self._clock() + min(RETRY_SECONDS, self._seconds)
            logger.warning("%s is answered from what is held: %s", repository, failure.message)
        else:
            self._write(repository, tags, images)

    def _write(self, repository: RepositoryName, tags: dict[Tag, ImageId], images: list[dict[str, Any]]) -> None:
        self._copies.begin(repository)
        held = self._held_tags(repository)
        for tag, image in tags.items():
            if held.get(tag) != image:
                self._driver.put(paths.tag(repository, tag), image.encode())
        for gone in held.keys() - tags.keys():
            with suppress(TagNotFound, Invalid):
                self._tags.delete(repository, Tag(gone))
        self._write_list(repository, json.dumps(images).encode())
        self._copies.record(repository, self._clock())

    def _write_list(self, repository: RepositoryName, listed: bytes) -> None:
        path = paths.index_images(repository)
        with suppress(PathNotFound):
            if self._driver.get(path) == listed:
                return
        self._driver.put(path, listed)

    def _held_tags(self, repository: RepositoryName) -> Mapping[str, str]:
        try:
            return self._tags.all(repository)
        except RepositoryNotFound:
            return {}


def as_map(tags: dict[str, str] | list[Any], images: list[dict[str, Any]]) -> dict[Tag, ImageId]:
    """Ids by tag, whichever way the source has them; what cannot be a tag or an id is passed over.

    The Hub's index has a list with the first digits of each id, to be looked up among the repository's images.
    """
    named: list[tuple[Any, Any]] = list(tags.items()) if isinstance(tags, dict) else []
    if isinstance(tags, list):
        named = [(entry.get("name"), entry.get("layer")) for entry in tags if isinstance(entry, dict)]
    ids = [entry["id"] for entry in images if isinstance(entry.get("id"), str)]
    found: dict[Tag, ImageId] = {}
    for tag, image in named:
        if isinstance(tag, str) and isinstance(image, str) and image:
            with suppress(Invalid, NotFound):
                found[Tag(tag)] = ImageId(_whole(image, ids))
    return found


def _whole(digits: str, ids: list[str]) -> str:
    matching = {one for one in ids if one.startswith(digits)}
    return matching.pop() if len(matching) == 1 else digits
