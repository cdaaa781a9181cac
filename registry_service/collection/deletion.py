"""Deletes images that nothing reached for a grace period, a batch at a time, beside pushes and tags.

    announce → claim → look at stones → at intents and pending changes → at tags → record what the ids stood for
    → of each image that nobody wants: hints, layer, json, the rest, stone, claim → end the announcement

The layer goes first, since whoever asks whether an image is there looks at that. A process may be killed between any
two steps: what it announced, the next collection goes through again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from common.errors import Invalid, NotFound
from common.names import ImageId
from registry_service.collection.ledger import Ledger
from registry_service.collection.roots import Roots
from registry_service.graph.collected import Collected
from registry_service.graph.condemned import Condemned
from registry_service.graph.images import Images
from registry_service.graph.leases import Lease, Leases
from registry_service.oci.records import Records
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, StorageProblem, names_below
from registry_service.storage.paths import ApartImageId

BATCH = 500
"""So many images are announced at a time. Tags are read again for each batch."""

HELD_SECONDS = 20.0
"""A claim older than this is renewed before anything is deleted: whoever cannot know whether we run watches it for
longer (see `graph.publication`)."""

ANNOUNCED_SECONDS = 200.0
"""Nothing is deleted under an announcement older than this, which others heed for longer (see `graph.condemned`)."""

_SUBJECT = "collected"


@dataclass(slots=True)
class Deleted:
    """What a batch came to: the bytes of each deleted image's layer, and contents that are nobody's."""

    sizes: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Claim:
    lease: Lease
    since: float


class Deletion:
    """Deletes images of one store, by their paths."""

    def __init__(
        self, driver: Driver, ledger: Ledger, roots: Roots, is_ripe: Callable[[str], bool], keep: Callable[[], None]
    ) -> None:
        """`is_ripe` looks whether a stone stands for an image since a grace period; `keep` is called now and then."""
        self._driver = driver
        self._images = Images(driver)
        self._records = Records(driver)
        self._collected = Collected(driver)
        self._condemned = Condemned(driver)
        self._leases = Leases(driver)
        self._ledger = ledger
        self._roots = roots
        self._is_ripe = is_ripe
        self._keep = keep
        self._announced = 0.0

    def interrupted(self) -> list[str]:
        """What a collection that was killed had announced."""
        return sorted(self._condemned.announced())

    def run(self, batch: list[str]) -> Deleted:
        """Delete those that nobody wants."""
        deleted = Deleted()
        self._announced = time.monotonic()
        self._condemned.announce(batch)
        claims: dict[str, _Claim] = {}
        try:
            self._claim(batch, claims)
            doomed = self._unwanted(batch, claims)
            self._spare(doomed, claims)
            self._record(doomed)
            for path in doomed:
                self._delete(path, claims, deleted)
        finally:
            self._end(claims)
        return deleted

    def _claim(self, batch: list[str], claims: dict[str, _Claim]) -> None:
        for path in batch:
            self._keep()
            self._renew_announcement()
            lease = self._leases.acquire(paths.image_mark(paths.image_at(path)), _SUBJECT)
            if lease is not None:
                claims[path] = _Claim(lease, time.monotonic())

    def _unwanted(self, batch: list[str], claims: dict[str, _Claim]) -> list[str]:
        """In this order: whoever rescues or tags wrote before they looked at the announcement."""
        wanted = {path for path in batch if path not in claims or self._ledger.is_reached(path)}
        wanted.update(path for path in batch if not self._is_ripe(path))
        wanted.update(self._roots.intended())
        for place, id_ in self._roots.pending():
            wanted |= self._roots.reached_from(place, id_)
        wanted.update(self._tagged_since())
        return [path for path in batch if path not in wanted]

    def _spare(self, doomed: list[str], claims: dict[str, _Claim]) -> None:
        """Let go of what is wanted, before the others take their time."""
        for path in [path for path in claims if path not in doomed]:
            self._release(claims.pop(path).lease)
        self._announce(doomed)

    def _tagged_since(self) -> Iterator[str]:
        """What tags reach that were set since all were read."""
        for place in self._roots.places():
            self._keep()
            self._renew_announcement()
            for id_ in self._roots.tagged(place):
                if not self._ledger.is_expanded(place.root(id_)):
                    yield from self._roots.reached_from(place, id_)

    def _renew_announcement(self) -> None:
        if time.monotonic() - self._announced > ANNOUNCED_SECONDS / 4:
            self._announce(sorted(self._condemned.announced()))

    def _announce(self, images: list[str]) -> None:
        """Again, unless it has lapsed: others may have gone on since, and nothing more is deleted."""
        now = time.monotonic()
        if now - self._announced < ANNOUNCED_SECONDS:
            self._condemned.announce(images)
            self._announced = now

    def _record(self, doomed: list[str]) -> None:
        """What the ids of shared images stood for, whole or what an earlier collection left of them."""
        stood: dict[ImageId, tuple[str, ...]] = {}
        for path in doomed:
            image = paths.image_at(path)
            if not isinstance(image, ApartImageId):
                checksums = self._images.stored_checksums(image)
                if checksums or self._images.is_complete(image):
                    stood[image] = checksums
        self._collected.record(stood)

    def _delete(self, path: str, claims: dict[str, _Claim], deleted: Deleted) -> None:
        self._renew_announcement()
        if not self._may_delete(claims[path]):
            return
        image = paths.image_at(path)
        self._records.forget(image)
        for name in ("layer", "json", *self._rest(path, deleted)):
            self._keep()
            with suppress(PathNotFound):
                self._driver.delete(f"{path}/{name}")
        with suppress(PathNotFound):
            self._driver.delete(paths.condemned(path))
        lease = claims.pop(path).lease
        self._leases.drop_orphans(lease)
        self._leases.release(lease)
        self._ledger.lose(path)
        # Whatever has a ripe stone was measured when that was found.
        deleted.sizes[path] = self._ledger.size(path) or 0

    def _may_delete(self, claim: _Claim) -> bool:
        """Whether nobody can have taken us for dead."""
        now = time.monotonic()
        if now - self._announced > ANNOUNCED_SECONDS:
            return False
        if now - claim.since > HELD_SECONDS:
            renewed = self._leases.renew(claim.lease, _SUBJECT)
            if renewed is None:
                return False
            claim.lease, claim.since = renewed, now
        return self._leases.holds(claim.lease)

    def _rest(self, path: str, deleted: Deleted) -> Iterator[str]:
        """What else an image has but its mark. What is none of an image's is left alone."""
        for name in list(names_below(self._driver, path)):
            if not paths.is_part_of_image(name):
                deleted.unknown.append(f"{path}/{name}")
            elif name not in ("layer", "json") and not paths.is_image_mark(name):
                yield name

    def _end(self, claims: dict[str, _Claim]) -> None:
        """Release what was not deleted after all."""
        with suppress(StorageProblem):
            for claim in claims.values():
                self._release(claim.lease)
            self._condemned.end_announcement()

    def _release(self, lease: Lease) -> None:
        """A mark that docker-registry left stays: behind it an image is not whole."""
        if not lease.inherited:
            self._leases.release(lease)


def is_image_path(path: str) -> bool:
    """Whether an image can be kept at a path."""
    try:
        return paths.image(paths.image_at(path)) == path
    except (Invalid, NotFound):
        return False
