"""Tags: names of images in a repository (protocol §3.9, §6.1)."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from operator import itemgetter
from typing import Any

from common.agents import Agent
from common.cache import Cache
from common.errors import NotFound
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.errors import ImageNotFound, RepositoryNotFound, TagNotFound
from registry_service.graph.images import CACHE_SECONDS, Images
from registry_service.graph.single_flight import SingleFlight
from registry_service.storage import paths
from registry_service.storage.driver import BadPath, Driver, PathNotFound

LATEST = "latest"

_KNOWN_TAGS = 65536

_HEX = re.compile(r"[a-f0-9]+")


class Tags:
    """The tags of every repository in one store."""

    def __init__(self, driver: Driver, images: Images) -> None:
        self._driver = driver
        self._images = images
        # By path and MD5 of the content: it is the store's list, read each time, that says what a tag is now.
        self._known: Cache[tuple[str, str], ImageId] = Cache(_KNOWN_TAGS, CACHE_SECONDS)
        self._all = SingleFlight(self._read_all)

    def exists(self, repository: RepositoryName) -> bool:
        """Whether the store knows the repository at all, with tags or without."""
        return self._driver.exists(paths.repository(repository))

    def has(self, repository: RepositoryName, tag: Tag) -> bool:
        return self._read(paths.tag(repository, tag)) is not None

    def all(self, repository: RepositoryName) -> Mapping[str, str]:
        """Image ids by tag. Raises RepositoryNotFound."""
        return self._all(repository)

    def are_among(self, repository: RepositoryName, entries: Mapping[str, str | None]) -> bool:
        """Whether these entries of the repository's directory, each with its content's MD5 if known, include a tag."""
        path = paths.repository(repository)
        return any(paths.tag_in(entry) and self._read_listed(f"{path}/{entry}", md5) for entry, md5 in entries.items())

    def get(self, repository: RepositoryName, tag: Tag) -> ImageId:
        """The image a tag names, which in an old store may be gone. Raises TagNotFound."""
        image = self._read(paths.tag(repository, tag))
        if image is None:
            raise TagNotFound
        return image

    def require_taggable(self, image: ImageId) -> None:
        """Raises ImageNotFound unless the image and all its ancestors are complete."""
        for each in self._images.ancestry(image):
            if not self._images.is_complete(each):
                raise ImageNotFound(f"Image not found: its ancestor {each} is missing")

    def find(self, repository: RepositoryName, tag: Tag) -> ImageId | None:
        """As `get`; None where there is no such tag."""
        try:
            return self.get(repository, tag)
        except TagNotFound:
            return None

    def change(self, repository: RepositoryName, tag: Tag, image: ImageId | None, agent: Agent) -> None:
        """Set a tag, or delete it for None. Raises as `delete` does."""
        if image is None:
            self.delete(repository, tag)
        else:
            self.set(repository, tag, image, agent)

    def set(self, repository: RepositoryName, tag: Tag, image: ImageId, agent: Agent) -> None:
        """Let a tag name an image, whatever it named before. `agent` is whoever pushes."""
        pushed = json.dumps(_pusher(agent)).encode()
        # Where another tag's image is kept at this path, it matters more than who pushed this one.
        if self._read(paths.tag_json(repository, tag)) is None:
            self._driver.put(paths.tag_json(repository, tag), pushed)
        if tag == LATEST:
            self._driver.put(paths.repository_json(repository), pushed)
        self._driver.put(paths.tag(repository, tag), image.encode())

    def delete(self, repository: RepositoryName, tag: Tag) -> None:
        """Take a tag away; its image stays. Raises TagNotFound."""
        if self._read(paths.tag(repository, tag)) is None:
            raise TagNotFound(f"Tag not found: {tag}")
        self._drop(paths.tag(repository, tag))
        if self._read(paths.tag_json(repository, tag)) is None:
            self._drop(paths.tag_json(repository, tag))
        if tag == LATEST:
            self._drop(paths.repository_json(repository))

    def description(self, repository: RepositoryName, tag: Tag | None) -> dict[str, Any]:
        """Who pushed a tag, or `latest` for None, and when in epoch seconds; where nobody knows, so it says."""
        path = paths.repository_json(repository) if tag is None else paths.tag_json(repository, tag)
        try:
            stored = json.loads(self._driver.get(path))
        except (PathNotFound, BadPath, ValueError):
            stored = None
        return {**_UNKNOWN, **stored} if isinstance(stored, dict) else dict(_UNKNOWN)

    def _read_all(self, repository: RepositoryName) -> Mapping[str, str]:
        try:
            entries = sorted(self._driver.entries(paths.repository(repository)), key=itemgetter(0))
        except PathNotFound as error:
            raise RepositoryNotFound from error
        tags: dict[str, str] = {}
        for entry, digest in entries:
            tag = paths.tag_in(entry)
            image = self._read_listed(f"{paths.repository(repository)}/{entry}", digest) if tag else None
            if tag and image:
                tags[tag] = image
        return tags

    def _read_listed(self, path: str, digest: str | None) -> ImageId | None:
        known = self._known.get((path, digest)) if digest else None
        if known is None:
            known = self._read(path)
            # Somebody may have set the tag between the list and the reading, and sets it back a moment later.
            if known and digest == hashlib.md5(known.encode(), usedforsecurity=False).hexdigest():
                self._known.put((path, digest), known, 1)
        return known

    def _read(self, path: str) -> ImageId | None:
        """The id at a path; None also for a phantom: what lies there is who pushed another tag."""
        try:
            text = self._driver.get(path).strip()
            return ImageId(text.decode()) if _HEX.fullmatch(text.decode()) else None
        except (NotFound, BadPath, UnicodeDecodeError):
            return None

    def _drop(self, path: str) -> None:
        with suppress(PathNotFound):
            self._driver.delete(path)


_UNKNOWN = {
    "last_update": None,
    "docker_version": None,
    "docker_go_version": None,
    "arch": "amd64",
    "os": "linux",
    "kernel": None,
}


def _pusher(agent: Agent) -> dict[str, Any]:
    return {
        "last_update": int(time.time()),
        "docker_version": agent.docker,
        "docker_go_version": agent.go,
        "arch": agent.arch or _UNKNOWN["arch"],
        "os": agent.os or _UNKNOWN["os"],
        "kernel": agent.kernel,
    }
