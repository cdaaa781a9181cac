"""Repositories as a registry without an index keeps them: what they list, whether they are private, their end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from common.errors import Invalid
from common.names import RepositoryName
from registry_service.graph.errors import RepositoryBusy, RepositoryNotFound
from registry_service.graph.leases import POLL_SECONDS, Lease, Leases
from registry_service.graph.single_flight import SingleFlight
from registry_service.graph.tags import Tags
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, names_below

WAIT_SECONDS = 10.0
"""How long a change of a repository's list waits for another one."""

UNKNOWN_SECONDS = 5.0
"""How long it waits for one by a process that may be dead. A change takes milliseconds: it reads one object and writes
it."""


class Repositories:
    """The repositories of one store."""

    def __init__(self, driver: Driver, tags: Tags) -> None:
        self._driver = driver
        self._tags = tags
        self._leases = Leases(driver, stale_seconds=3 * WAIT_SECONDS, unknown_seconds=UNKNOWN_SECONDS)
        self._listed = SingleFlight(self._read_listed)
        self._found = SingleFlight(self._search)

    def require(self, repository: RepositoryName) -> None:
        """Raises RepositoryNotFound."""
        if not self._tags.exists(repository):
            raise RepositoryNotFound

    def delete(self, repository: RepositoryName) -> None:
        """Remove a repository, its tags and what it keeps apart; shared images stay. Raises RepositoryNotFound."""
        with suppress(PathNotFound):
            self._driver.delete(paths.apart_images(repository))
        try:
            self._driver.delete(paths.repository(repository))
        except PathNotFound as error:
            raise RepositoryNotFound from error

    def is_private(self, repository: RepositoryName) -> bool:
        """Raises RepositoryNotFound."""
        self.require(repository)
        return self._driver.exists(paths.private(repository))

    def set_private(self, repository: RepositoryName, private: bool) -> None:
        """Raises RepositoryNotFound."""
        self.require(repository)
        if private:
            self._driver.put(paths.private(repository), b"")
        else:
            with suppress(PathNotFound):
                self._driver.delete(paths.private(repository))

    def images(self, repository: RepositoryName) -> Sequence[Mapping[str, str]]:
        """What the repository lists: `id`, perhaps `checksum` (protocol §2.4). Raises RepositoryNotFound."""
        return self._listed(repository)

    def add_images(self, repository: RepositoryName, entries: Iterable[Mapping[str, Any]]) -> None:
        """List images; none is ever taken off, and the first checksum of one stays with it. Raises RepositoryBusy."""
        with self._changing(repository) as lease:
            listed: Sequence[Mapping[str, str]] = ()
            with suppress(RepositoryNotFound):
                listed = self.images(repository)
            merged = _merge([*entries, *listed])
            if not self._leases.holds(lease):
                raise RepositoryBusy
            self._driver.put(paths.index_images(repository), json.dumps(merged).encode())

    def search(self, term: str) -> Sequence[RepositoryName]:
        """Public repositories with a tag whose name contains the term, in any case, by name."""
        return self._found(term.lower())

    def all(self) -> Iterator[RepositoryName]:
        """All that the store has, by whatever name it can be read."""
        for namespace in list(names_below(self._driver, paths.REPOSITORIES)):
            for name in list(names_below(self._driver, f"{paths.REPOSITORIES}/{namespace}")):
                with suppress(Invalid):
                    yield paths.repository_in(namespace, name)

    def _search(self, term: str) -> Sequence[RepositoryName]:
        return [name for name in sorted(self.all()) if term in str(name).lower() and self._is_shown(name)]

    def _read_listed(self, repository: RepositoryName) -> Sequence[Mapping[str, str]]:
        try:
            return _merge(json.loads(self._driver.get(paths.index_images(repository))))
        except PathNotFound as error:
            raise RepositoryNotFound("images not found") from error
        except ValueError:
            # Writers of docker-registry could interleave; what they left is no list.
            return []

    def _is_shown(self, repository: RepositoryName) -> bool:
        """From one listing of the repository, because a search looks at many."""
        try:
            entries = dict(self._driver.entries(paths.repository(repository)))
        except PathNotFound:
            return False
        return paths.PRIVATE not in entries and self._tags.are_among(repository, entries)

    @contextmanager
    def _changing(self, repository: RepositoryName) -> Iterator[Lease]:
        path = paths.index_images_claim(repository)
        deadline = time.monotonic() + WAIT_SECONDS
        # A subject unique to this call: a lease whose owner is unknown is waited for, never shared.
        lease = self._leases.acquire(path, str(deadline))
        while lease is None:
            if time.monotonic() > deadline:
                raise RepositoryBusy
            time.sleep(POLL_SECONDS)
            lease = self._leases.acquire(path, str(deadline))
        try:
            yield lease
        finally:
            self._leases.release(lease)


def _merge(entries: Any) -> list[dict[str, str]]:
    """One entry an image, in the order of their first mention, with the first checksum anybody gave."""
    merged: dict[str, dict[str, str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            kept = merged.setdefault(entry["id"], {"id": entry["id"]})
            if isinstance(entry.get("checksum"), str) and entry["checksum"]:
                kept.setdefault("checksum", entry["checksum"])
    return list(merged.values())
