"""What is reached: by tags, by tags about to be set or undone, and by pushes under way.

Read from the store as it is, more of it than may be served: what a tag names that nobody could pull is no reason to
delete it, nor is a repository whose name no client could use. Of an id that a repository keeps apart the shared image
counts as reached, too. A list of ids reaches nothing: whatever was ever pushed stands in one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from common.cache import Cache
from common.errors import Invalid, NotFound
from common.names import RepositoryName
from registry_service.graph.condemned import Intents
from registry_service.graph.description import stored_parent
from registry_service.storage import paths
from registry_service.storage.driver import BadPath, Driver, PathNotFound, names_below

_HEX = re.compile(r"[0-9a-f]+")

_CACHED_IDS = 100_000


@dataclass(slots=True)
class Place:
    """A repository's directory, `<namespace>/<name>` as they are quoted, and the ids that are kept apart for it."""

    directory: str
    apart: frozenset[str] = field(default_factory=frozenset)

    def images(self, id_: str) -> list[str]:
        """The paths of the images of this id that the repository may mean."""
        shared = f"{paths.IMAGES}/{id_}"
        return [f"{paths.APART}/{self.directory}/{id_}", shared] if id_ in self.apart else [shared]

    def root(self, id_: str) -> str:
        """What reaches the same wherever this is the same."""
        return f"{self.directory}/{id_}" if self.apart else id_


NOWHERE = Place("")


class Roots:
    """The roots of one store, and what they reach."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._intents = Intents(driver)
        self._lineages: Cache[str, frozenset[str]] = Cache(_CACHED_IDS)

    def places(self) -> Iterator[Place]:
        """All repositories, also those whose names cannot be read."""
        for namespace in names_below(self._driver, paths.REPOSITORIES):
            for name in names_below(self._driver, f"{paths.REPOSITORIES}/{namespace}"):
                yield self.place(f"{namespace}/{name}")

    def place(self, directory: str) -> Place:
        return Place(directory, frozenset(names_below(self._driver, f"{paths.APART}/{directory}")) - {paths.DIGESTS})

    def tagged(self, place: Place) -> set[str]:
        """The ids that the tags of a repository name, those of images that are gone, too."""
        above = f"{paths.REPOSITORIES}/{place.directory}"
        entries = names_below(self._driver, above)
        named = {self._id_at(f"{above}/{entry}") for entry in entries if paths.tag_in(entry) is not None}
        return named - {""}

    def intended(self) -> Iterator[str]:
        """The images, by path, that tags are about to reach."""
        return self._intents.all()

    def pending(self) -> Iterator[tuple[Place, str]]:
        """The ids that a change of a tag is about which the index has not consented to: it may be undone."""
        for name in names_below(self._driver, paths.PENDING):
            with suppress(PathNotFound, ValueError, KeyError, TypeError, AttributeError, Invalid):
                record = json.loads(self._driver.get(f"{paths.PENDING}/{name}"))
                place = self.place(paths.repository_directory(RepositoryName.parse(record["repository"])))
                yield from ((place, id_) for id_ in (record["now"], record["before"]) if id_)

    def pushed(self) -> Iterator[str]:
        """The ids that images are based on which are being pushed."""
        for id_ in names_below(self._driver, paths.UPLOADS):
            for stage in names_below(self._driver, f"{paths.UPLOADS}/{id_}"):
                parent = self._parent_at(paths.upload_json(f"{paths.UPLOADS}/{id_}/{stage}"))
                if parent:
                    yield parent

    def reached_from(self, place: Place, id_: str) -> frozenset[str]:
        """The paths of an image and all that it is based on, as far as anything says so."""
        root = place.root(id_)
        known = self._lineages.get(root)
        if known is None:
            known = self._walk(place, id_)
            self._lineages.put(root, known, len(known))
        return known

    def _walk(self, place: Place, id_: str) -> frozenset[str]:
        ids, waiting = {id_}, [id_]
        while waiting:
            for path in place.images(waiting.pop()):
                ancestry = self._ancestry_at(f"{path}/ancestry")
                parent = "" if ancestry else self._parent_at(f"{path}/json")
                fresh = {*ancestry, parent} - ids - {""}
                ids |= fresh
                # What an ancestry lists need not be walked, unless an image of the same id is kept apart.
                waiting += fresh & place.apart if ancestry else fresh
        return frozenset(path for each in ids for path in place.images(each))

    def _ancestry_at(self, path: str) -> list[str]:
        try:
            stored = json.loads(self._driver.get(path))
        except (NotFound, BadPath, ValueError):
            return []
        if not isinstance(stored, list) or not all(isinstance(one, str) and _HEX.fullmatch(one) for one in stored):
            return []
        return stored if stored[:1] == [path.split("/")[-2]] else []

    def _parent_at(self, path: str) -> str:
        try:
            return stored_parent(self._driver.get(path)) or ""
        except (NotFound, Invalid):
            return ""

    def _id_at(self, path: str) -> str:
        """The id at a path; none where who pushed another tag is told there."""
        try:
            text = self._driver.get(path).decode().strip()
        except (NotFound, BadPath, UnicodeDecodeError):
            return ""
        return text if _HEX.fullmatch(text) else ""
