"""The writer of complete images: a push publishes by it, and so does whoever copies an image.

The lease on the image's mark is made first and released last, and the JSON is written last but for that. So while the
mark is a lease of ours, JSON and layer together mean a publication that lacks nothing but who holds it and the release;
without both there is nothing worth keeping. A process may be killed between any two steps, and whoever publishes the
image next goes on from there:

    lease `_inprogress` → drop leftovers → bring layer → ancestry → _checksum → json → hold → release
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from common.names import ImageId
from registry_service.graph.condemned import Condemned
from registry_service.graph.errors import ImageBusy
from registry_service.graph.images import Images
from registry_service.graph.leases import POLL_SECONDS, STALE_SECONDS, Lease, Leases, is_lease
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, StorageProblem

WAIT_SECONDS = 10.0
"""How long to wait while another process publishes the same image."""

UNKNOWN_SECONDS = 60.0
"""How long a process that may be dead, and publishes other content in a file system, is watched first."""

_NOBODYS = "swept"
"""The subject of a lease that is only taken over to be ended."""


class OtherContent(Exception):
    """The id stands for other content, which is not there any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What an image is to consist of: JSON, ancestors as they are held, the image first, and checksums.

    `subject` names the content: two publications of one subject do the same. `bring_layer` puts the layer at a path.
    `hold` lets somebody hold the image. `is_leftover` tells whether a complete image there is held by nobody, and is to
    be replaced; `is_permitted`, whether the id may stand for this content.
    """

    subject: str
    description: bytes
    ancestry: Sequence[ImageId]
    checksums: Sequence[str]
    bring_layer: Callable[[str], None]
    hold: Callable[[], None]
    is_leftover: Callable[[], bool]
    is_permitted: Callable[[], bool] = lambda: True


class Publisher:
    """Publishes images into one store, one process at a time each."""

    def __init__(
        self,
        driver: Driver,
        images: Images,
        *,
        wait_seconds: float = WAIT_SECONDS,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        self._driver = driver
        self._images = images
        self._condemned = Condemned(driver)
        self._wait_seconds = wait_seconds
        # A layer is renamed into place in a file system, and copied in a remote store.
        self._leases = Leases(driver, stale_seconds, unknown_seconds=UNKNOWN_SECONDS if driver.is_blocking else None)

    def rescue(self, images: Iterable[ImageId]) -> None:
        """Keep images from being collected for a grace period: something is about to be based on them."""
        self._condemned.rescue_all(images)

    def promise(self, image: ImageId) -> bool:
        """Whether an image is complete: who is told so may rely on it, for no collection takes it in a grace period."""
        return self._condemned.rescue(image) and self._images.is_complete(image)

    def require(self, image: ImageId) -> bool:
        """As `promise`, of what others were promised, too: it is waited for while it is perhaps being deleted. Raises
        ImageBusy.
        """
        deadline = time.monotonic() + self._wait_seconds
        while not self._condemned.rescue(image):
            if time.monotonic() > deadline:
                raise ImageBusy
            time.sleep(POLL_SECONDS)
        return self._images.is_complete(image)

    def is_done(self, image: ImageId) -> bool:
        """Promised and released: readers need not wait for the release of a lease, but a publisher does."""
        return self.promise(image) and not self._driver.exists(paths.image_mark(image))

    def publish(self, image: ImageId, publication: Publication) -> bool:
        """Publish; False where the image is complete meanwhile. Raises ImageBusy, OtherContent, and what `bring_layer`
        raises.
        """
        lease = self._acquire(image, publication)
        if lease is None:
            return False
        try:
            self._require_permitted(publication)
            self._write(image, publication, lease)
        except BaseException:
            self._withdraw(image, lease)
            raise
        return True

    def end(self, image: ImageId) -> None:
        """Finish or roll back what a dead process was publishing."""
        mark = paths.image_mark(image)
        with suppress(PathNotFound):
            # Marks of docker-registry stay until a push of the image supersedes them.
            if is_lease(self._driver.get(mark)):
                lease = self._leases.acquire(mark, _NOBODYS)
                if lease is not None:
                    self._withdraw(image, lease)

    def _acquire(self, image: ImageId, publication: Publication) -> Lease | None:
        """The right to publish; None where the image is complete meanwhile. Raises ImageBusy."""
        deadline = time.monotonic() + self._wait_seconds
        # Whoever publishes holds before the release: in this order, what is done and not held is left over.
        while not self.is_done(image) or publication.is_leftover():
            lease = self._leases.acquire(paths.image_mark(image), publication.subject)
            if lease is not None and (lease.inherited or not self._is_written(image) or publication.is_leftover()):
                return lease
            if lease is not None:
                # Written, but its publisher died before the release, or ended between our check and our lease; or
                # spared by a collection that has not ended.
                self._leases.release(lease)
                if self.is_done(image):
                    continue
            if time.monotonic() > deadline:
                raise ImageBusy
            time.sleep(POLL_SECONDS)
        return None

    def _is_written(self, image: ImageId) -> bool:
        try:
            layer = self._driver.stat(paths.image_layer(image))
        except PathNotFound:
            return False
        return layer.size > 0 and self._driver.exists(paths.image_json(image))

    def _write(self, image: ImageId, publication: Publication, lease: Lease) -> None:
        self._require_hold(lease)
        for leftover in (paths.image_json(image), paths.image_files(image), paths.image_diff(image)):
            with suppress(PathNotFound):
                self._driver.delete(leftover)
        self._require_hold(lease)
        publication.bring_layer(paths.image_layer(image))
        self._driver.put(paths.image_ancestry(image), json.dumps(publication.ancestry).encode())
        self._driver.put(paths.image_checksum(image), json.dumps(publication.checksums).encode())
        self._require_hold(lease)
        self._driver.put(paths.image_json(image), publication.description)
        publication.hold()
        self._leases.release(lease)
        self._images.forget(image)

    def _require_permitted(self, publication: Publication) -> None:
        if not publication.is_permitted():
            raise OtherContent

    def _require_hold(self, lease: Lease) -> None:
        if not self._leases.holds(lease):
            raise ImageBusy

    def _withdraw(self, image: ImageId, lease: Lease) -> None:
        """Roll an unfinished publication back, as far as the store still answers."""
        with suppress(StorageProblem):
            if self._leases.holds(lease):
                if lease.inherited or not self._is_written(image):
                    for part in (paths.image_json, paths.image_layer, paths.image_ancestry, paths.image_checksum):
                        with suppress(PathNotFound):
                            self._driver.delete(part(image))
                self._leases.release(lease)
