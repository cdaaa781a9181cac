"""The pull-through cache of layers: one download, however many greenlets and processes request the layer.

The first request acquires the layer's lease in the store and starts the download; all others on this machine read from
the same spool while it grows, and processes elsewhere wait until the repository has the image. Whether it has is
always checked in the store, so nothing here has to be consistent for longer than a download takes.

A repository has an image that was fetched from its own source. Where the store has one of the same id already, the
source's checksum says whether that is the same, and only what differs is fetched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass

from common.names import ImageId, RepositoryName
from registry_service.graph.images import Images, Layer
from registry_service.graph.leases import Leases
from registry_service.graph.processes import Process
from registry_service.graph.push import Push
from registry_service.mirror import spool
from registry_service.mirror.client import SourceUnavailable, SourceWrong
from registry_service.mirror.copies import Copies
from registry_service.mirror.download import STALE_SECONDS, Download, LeaseKeeper, Offer
from registry_service.mirror.spool import Spool, SpooledLayer
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Offload
from registry_service.storage.paths import ApartImageId

WAIT_SECONDS = 3600.0
"""How long to wait for a layer that another machine downloads, or for a parent in download."""

_POLL_SECONDS = 0.05
_FAR_POLL_SECONDS = 1.0
"""Poll interval while another machine downloads: each poll costs the store some requests."""


@dataclass(frozen=True, slots=True)
class PartialLayer(Layer):
    """A layer that can be read while it is downloaded; it has no path yet."""

    arriving: SpooledLayer


@dataclass(frozen=True, slots=True)
class _Running:
    """A download of this process."""

    download: Download
    spool: str
    repository: RepositoryName

    def is_written(self) -> bool:
        return not self.download.is_over


class PullThrough:
    """Downloads layers into one store."""

    def __init__(
        self,
        driver: Driver,
        held: Images,
        push: Push,
        copies: Copies,
        offer: Callable[[ImageId, RepositoryName], Offer],
        offload: Offload,
    ) -> None:
        """`offer` asks the source of an image for its parent."""
        self._held = held
        self._push = push
        self._copies = copies
        self._offer = offer
        self._offload = offload
        self._leases = Leases(driver, STALE_SECONDS)
        # By the digest of the offer.
        self._running: dict[str, _Running] = {}
        self._is_swept = False

    def layer(self, offer: Offer) -> Layer:
        """The layer, stored or in transit. Raises NotAtSource, SourceUnavailable."""
        if offer.size is None:
            self.bring(offer)
        for running in self._poll(offer):
            arriving = self._arriving(offer, running)
            if arriving is not None and arriving.has_begun():
                return PartialLayer("", arriving.size, _etag(offer), 0.0, arriving)
        return self._held.layer(self._copies.find(offer.repository, offer.image) or offer.image)

    def bring(self, offer: Offer, keep: Callable[[], None] = lambda: None) -> None:
        """Wait until the repository has the image; `keep` is called meanwhile. Raises what `layer` raises."""
        for _ in self._poll(offer, keep):
            keep()

    def _poll(self, offer: Offer, keep: Callable[[], None] = lambda: None) -> Iterator[_Running | None]:
        """Poll until the repository has the image; each time yields our own download, or None while another process
        downloads.

        Raises what made our own download fail.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        running: _Running | None = None
        while not (self._has(offer.repository, offer.image) or self._takes_shared(offer, keep)):
            if running is not None and running.download.is_over:
                if running.download.failure is not None and running.repository == offer.repository:
                    raise running.download.failure
                running = None
            running = running or self._running.get(offer.digest) or self._begin(offer)
            yield running
            if time.monotonic() > deadline:
                raise SourceUnavailable("The layer is still on its way; try again later")
            time.sleep(_POLL_SECONDS)

    def _arriving(self, offer: Offer, running: _Running | None) -> SpooledLayer | None:
        """The spool to read from, if the layer is being downloaded on this machine."""
        if offer.size is None:
            return None
        try:
            if running is not None:
                return SpooledLayer(running.spool, offer.size, running.is_written)
            holder = self._leases.holder(paths.mirror_claim(offer.image, offer.digest))
            if holder is None or holder[1].is_running() is None:
                return None
            return SpooledLayer(holder[0], offer.size, lambda: holder[1].is_running() is True)
        except FileNotFoundError:
            # Leased or ended just now: the next poll will tell.
            return None

    def _begin(self, offer: Offer) -> _Running | None:
        """Start the download, unless another process has."""
        path, name = paths.mirror_claim(offer.image, offer.digest), spool.new_name()
        before = self._leases.holder(path)
        if before is not None and not self._may_be_dead(before[1]):
            return None
        lease = self._leases.acquire(path, name)
        if lease is None:
            return None
        self._sweep_once()
        keeper = LeaseKeeper(self._leases, lease, name)
        try:
            if before is not None:
                spool.discard(before[0])
            download = Download(
                self._push, offer, self._copies.holder(offer.repository), keeper, Spool(name), self._offload
            )
        except OSError as error:
            keeper.release()
            raise SourceUnavailable(f"The mirror has no place for a layer on its way: {error.strerror}") from error
        running = self._running[offer.digest] = _Running(download, name, offer.repository)
        # A greenlet of its own: the layer is stored even if the client that requested it disconnects.
        threading.Thread(target=copy_context().run, args=(self._run, offer, download), daemon=True).start()
        return running

    def _sweep_once(self) -> None:
        if not self._is_swept:
            self._is_swept = True
            spool.sweep()

    def _may_be_dead(self, holder: Process) -> bool:
        is_running = holder.is_running()
        if is_running is None:
            time.sleep(_FAR_POLL_SECONDS)
        return is_running is not True

    def _run(self, offer: Offer, download: Download) -> None:
        try:
            download.run(self._bring_parents)
        finally:
            del self._running[offer.digest]

    def _takes_shared(self, offer: Offer, keep: Callable[[], None]) -> bool:
        """Whether the shared image is what is offered, so that the repository has it from now on.

        Not where its parent differs, and is kept apart for the repository: shared images have shared ancestors only.
        """
        if not self._push.promise(offer.image):
            return False
        shared = self._held.describe(offer.image)
        if offer.payload not in shared.checksums or offer.json != shared.json:
            return False
        self._bring_parents(offer, keep)
        if offer.parent is not None and isinstance(self._copies.find(offer.repository, offer.parent), ApartImageId):
            return False
        self._copies.keep(offer.repository, offer.image, shared.checksums)
        return True

    def _bring_parents(self, offer: Offer, keep: Callable[[], None]) -> None:
        """Base first, so that each finds its own parent stored."""
        missing = [offer]
        while (parent := missing[-1].parent) is not None and not self._has(offer.repository, parent):
            if parent in [one.image for one in missing]:
                raise SourceWrong("The source's image depends on itself")
            keep()
            missing.append(self._offer(parent, offer.repository))
        for each in reversed(missing[1:]):
            self.bring(each, keep)

    def _has(self, repository: RepositoryName, image: ImageId) -> bool:
        return self._copies.find_complete(repository, image) is not None


def _etag(offer: Offer) -> str:
    """As the layer will have it once it is stored, if its checksum is known."""
    payload = next((one for one in offer.checksums if one.algorithm == "sha256"), None)
    return f'"{payload or f"{offer.image}-{offer.size:x}"}"'
