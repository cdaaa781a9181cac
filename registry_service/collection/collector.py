"""One collection of a store: marks what is reached, condemns the rest, and deletes what was condemned long enough.

    take the turn → mark what intents, pending changes, pushes and tags reach → choose what is condemned since a grace
    period → condemn what else nothing reaches → delete what was chosen → sweep → end the turn

One process of all collects at a time, by a lease. It may be killed between any two steps: what it knew is worth nothing
to the next, but for the stones. The order is checked against all others in the store, step by step, by a model in
`tests/units/registry_service/collection`.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from common.errors import NotFound
from registry_service.collection.deletion import BATCH, Deletion, is_image_path
from registry_service.collection.ledger import Ledger
from registry_service.collection.roots import NOWHERE, Place, Roots
from registry_service.graph.condemned import Intents
from registry_service.graph.errors import CollectionRunning
from registry_service.graph.leases import STALE_SECONDS, Lease, Leases
from registry_service.graph.push import Push
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, names_below
from registry_service.storage.dry_run import DryRun

LEAST_GRACE_SECONDS = 3600.0
"""Whoever is told that an image is there relies on the grace period, for as long as a request may take and a cache may
be late."""

RENEW_SECONDS = 100.0

UNKNOWN_SECONDS = 300.0
"""How long a collector that may be dead is watched, where it cannot be known."""

MOST_UNKNOWN = 1000
"""So many contents that are nobody's are told."""


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of the layers that a repository reaches or has listed, as far as they are there."""

    repository: str
    before: int
    after: int


@dataclass(slots=True, kw_only=True)
class Collection:
    """What a collection found and did; of a dry run, what one would do now. Images that wait are
    condemned already; ripe are those whose grace period is over.
    """

    images: int = 0
    reached: int = 0
    condemned: int = 0
    condemned_bytes: int = 0
    ripe: int = 0
    ripe_bytes: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    deleted: int = 0
    deleted_bytes: int = 0
    uploads: int = 0
    holdings: int = 0
    unknown: list[str] = field(default_factory=list)
    repositories: list[Space] = field(default_factory=list)


class Collector:
    """Collects one store."""

    def __init__(
        self,
        driver: Driver,
        push: Push,
        grace_seconds: float,
        *,
        is_dry_run: bool = False,
        tell: Callable[[str], None] = lambda _: None,
        batch: int = BATCH,
    ) -> None:
        """`push` sweeps unfinished uploads; `tell` is told what is done."""
        self._is_dry_run = is_dry_run
        self._driver = DryRun(driver) if is_dry_run else driver
        self._push = push
        self._grace_seconds = grace_seconds
        self._tell = tell
        self._batch = batch
        self._roots = Roots(driver)
        self._intents = Intents(driver)
        self._leases = Leases(driver, unknown_seconds=UNKNOWN_SECONDS)
        self._subject = f"collection {secrets.token_hex(8)}"
        self._turn: Lease | None = None
        self._renewed = 0.0
        self._ripened = 0.0

    def run(self) -> Collection:
        """Collect. Raises CollectionRunning, and what the store fails with, having lost nothing."""
        found = Collection()
        ledger = Ledger()
        try:
            with self._take_turn():
                self._mark(ledger)
                self._choose(ledger, found)
                self._condemn(ledger, found)
                found.images, found.reached = ledger.counts()
                self._delete(ledger, found)
                self._sweep(ledger, found)
            found.repositories = [Space(*space) for space in ledger.spaces()]
        finally:
            ledger.close()
        return found

    @contextmanager
    def _take_turn(self) -> Iterator[None]:
        if self._is_dry_run:
            self._ripened = time.time() - self._grace_seconds
            yield
            return
        self._turn = self._leases.acquire(paths.COLLECTION_CLAIM, self._subject)
        if self._turn is None:
            raise CollectionRunning
        self._renewed = time.monotonic()
        try:
            self._leases.drop_orphans(self._turn)
            self._ripened = self._now() - self._grace_seconds
            self._intents.forget(self._ripened)
            yield
        finally:
            with suppress(PathNotFound):
                self._driver.delete(paths.COLLECTION_CLOCK)
            self._leases.release(self._turn)

    def _now(self) -> float:
        """By the store's clock, by which stones are dated."""
        self._driver.put(paths.COLLECTION_CLOCK, b"")
        return self._driver.stat(paths.COLLECTION_CLOCK).modified

    def _keep(self) -> None:
        """Keep the turn. Raises CollectionRunning where another took it, having taken us for dead."""
        if self._turn is not None and time.monotonic() - self._renewed > RENEW_SECONDS:
            renewed = self._leases.renew(self._turn, self._subject)
            if renewed is None or time.monotonic() - self._renewed > STALE_SECONDS / 2:
                raise CollectionRunning
            self._turn, self._renewed = renewed, time.monotonic()

    def _mark(self, ledger: Ledger) -> None:
        self._tell("reading tags")
        ledger.reach(self._roots.intended())
        for place, id_ in self._roots.pending():
            ledger.reach(self._roots.reached_from(place, id_))
        for id_ in self._roots.pushed():
            ledger.reach(self._roots.reached_from(NOWHERE, id_))
        for place in self._roots.places():
            self._keep()
            self._mark_from(place, ledger)

    def _mark_from(self, place: Place, ledger: Ledger) -> None:
        reached: set[str] = set()
        for id_ in self._roots.tagged(place):
            reached |= self._roots.reached_from(place, id_)
            ledger.expand(place.root(id_))
        ledger.reach(reached)
        listed = {path for id_ in self._listed(place) for path in place.images(id_)} - reached
        size = sum(self._size(path, ledger) for path in reached | listed)
        ledger.count_space(place.directory, size, listed)

    def _listed(self, place: Place) -> Iterator[str]:
        """The ids that a repository holds since somebody pushed them, or has announced."""
        above = f"{paths.REPOSITORIES}/{place.directory}"
        yield from names_below(self._driver, f"{above}/{paths.HELD}")
        with suppress(NotFound, ValueError, TypeError, KeyError):
            for entry in json.loads(self._driver.get(f"{above}/{paths.INDEX_IMAGES}")):
                if is_image_path(f"{paths.IMAGES}/{entry['id']}"):
                    yield entry["id"]

    def _size(self, path: str, ledger: Ledger) -> int:
        size = ledger.size(path)
        if size is None:
            self._keep()
            try:
                size = self._driver.stat(f"{path}/layer").size
            except NotFound:
                size = 0
            ledger.measure(path, size)
        return size

    def _choose(self, ledger: Ledger, found: Collection) -> None:
        """What a stone stands for since a grace period; where something reaches the image, the stone goes."""
        for path in self._stones():
            self._keep()
            if ledger.is_reached(path):
                with suppress(PathNotFound):
                    self._driver.delete(paths.condemned(path))
                continue
            is_ripe = self._is_ripe(path)
            ledger.condemn(path, is_ripe=is_ripe)
            if is_ripe:
                found.ripe += 1
                found.ripe_bytes += self._size(path, ledger)
            else:
                found.waiting += 1
                found.waiting_bytes += self._size(path, ledger)

    def _stones(self) -> Iterator[str]:
        for id_ in names_below(self._driver, f"{paths.CONDEMNED}/{paths.IMAGES}"):
            yield f"{paths.IMAGES}/{id_}"
        yield from (
            path.removeprefix(f"{paths.CONDEMNED}/") for path in self._apart(f"{paths.CONDEMNED}/{paths.APART}")
        )

    def _is_ripe(self, path: str) -> bool:
        try:
            return self._driver.stat(paths.condemned(path)).modified <= self._ripened
        except PathNotFound:
            return False

    def _condemn(self, ledger: Ledger, found: Collection) -> None:
        self._tell("reading images")
        for path in self._images():
            self._keep()
            if is_image_path(path):
                ledger.find(path)
            else:
                self._leave_alone(found, path)
        for path in ledger.unreached():
            if not ledger.is_condemned(path):
                self._keep()
                self._driver.put(paths.condemned(path), b"")
                found.condemned += 1
                found.condemned_bytes += self._size(path, ledger)

    def _images(self) -> Iterator[str]:
        yield from (f"{paths.IMAGES}/{id_}" for id_ in names_below(self._driver, paths.IMAGES))
        yield from self._apart(paths.APART)

    def _apart(self, above: str) -> Iterator[str]:
        for namespace in names_below(self._driver, above):
            for name in names_below(self._driver, f"{above}/{namespace}"):
                for id_ in names_below(self._driver, f"{above}/{namespace}/{name}"):
                    if id_ != paths.DIGESTS:
                        yield f"{above}/{namespace}/{name}/{id_}"

    def _delete(self, ledger: Ledger, found: Collection) -> None:
        if self._is_dry_run:
            return
        deletion = Deletion(self._driver, ledger, self._roots, self._is_ripe, self._keep)
        for batch in self._batches(ledger, deletion.interrupted()):
            self._keep()
            deleted = deletion.run(batch)
            for path, size in deleted.sizes.items():
                ledger.free(path, size)
            found.deleted += len(deleted.sizes)
            found.deleted_bytes += sum(deleted.sizes.values())
            self._leave_alone(found, *deleted.unknown)
            self._tell(f"{found.deleted} images deleted")

    def _batches(self, ledger: Ledger, interrupted: list[str]) -> Iterator[list[str]]:
        for start in range(0, len(interrupted), self._batch):
            yield interrupted[start : start + self._batch]
        after = ""
        while batch := ledger.ripe(after, self._batch):
            after = batch[-1]
            yield [path for path in batch if is_image_path(path)]

    def _sweep(self, ledger: Ledger, found: Collection) -> None:
        """Unfinished uploads and what drivers know of, and that somebody holds what is not there any more."""
        if self._is_dry_run:
            return
        self._tell("sweeping")
        found.uploads = self._push.expire()
        for place in self._roots.places():
            for id_ in names_below(self._driver, f"{paths.REPOSITORIES}/{place.directory}/{paths.HELD}"):
                self._keep()
                found.holdings += self._let_go(place, id_, ledger)

    def _let_go(self, place: Place, id_: str, ledger: Ledger) -> bool:
        """End the holding of an image that is gone, while nobody publishes it."""
        holding = f"{paths.REPOSITORIES}/{place.directory}/{paths.HELD}/{id_}"
        image = self._held_image(holding, place, id_)
        if not is_image_path(image) or ledger.is_present(image) or self._driver.exists(image):
            return False
        lease = self._leases.acquire(paths.image_mark(paths.image_at(image)), self._subject)
        if lease is None:
            return False
        try:
            if self._driver.exists(f"{image}/json"):
                return False
            with suppress(PathNotFound):
                self._driver.delete(holding)
        finally:
            self._leases.release(lease)
        return True

    def _held_image(self, holding: str, place: Place, id_: str) -> str:
        """The path of an image as a repository holds it; none for what makes no sense."""
        try:
            is_apart = json.loads(self._driver.get(holding))["apart"]
        except (NotFound, ValueError, TypeError, KeyError):
            return ""
        return f"{paths.APART}/{place.directory}/{id_}" if is_apart else f"{paths.IMAGES}/{id_}"

    def _leave_alone(self, found: Collection, *unknown: str) -> None:
        found.unknown += unknown[: MOST_UNKNOWN - len(found.unknown)]
