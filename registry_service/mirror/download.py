"""One layer, from its source into the store: staged like a push, compared, and published after its parents.

The source may break off; the rest is asked for from where it stopped. Nothing is published unless the length is the
announced one and the checksum the source's own, where the source tells one.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from common.checksums import Checksum
from common.errors import Failure, NotFound
from common.names import ImageId, RepositoryName
from registry_service.graph.checksums import is_tarsum
from registry_service.graph.errors import ImageBusy, ImageExists
from registry_service.graph.holdings import Holder
from registry_service.graph.leases import Lease, Leases
from registry_service.graph.push import Push
from registry_service.graph.stages import Received
from registry_service.mirror.client import Source, SourceUnavailable, SourceWrong
from registry_service.mirror.spool import Spool
from registry_service.storage.driver import Offload
from registry_service.storage.retrying import Retries, RetryPolicy

STALE_SECONDS = 180.0
"""Age at which a layer's lease expires; it is renewed during the download."""

RESUMES = 5
"""Retries in a row after the source broke the transfer off."""

RETRY = RetryPolicy(1 + RESUMES, backoff_seconds=0.4)
"""A source that restarts takes longer than a store's busy moment: six seconds on average, all resumptions together."""

_PROGRESS_BYTES = 1024 * 1024
"""Progress that resets the count of retries."""

BringParents = Callable[["Offer", Callable[[], None]], None]
"""Sees to it that an offered image's parents are stored; calls back, often, so that the image's lease is kept."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An image at a source: its description, and where to download the layer from."""

    image: ImageId
    parent: ImageId | None
    json: bytes
    size: int | None
    checksums: tuple[Checksum, ...]
    source: Source
    repository: RepositoryName

    @property
    def payload(self) -> Checksum | None:
        """The payload checksum, of JSON and layer, if the source tells one and no more."""
        payloads = [one for one in self.checksums if not is_tarsum(one)]
        return payloads[0] if len(payloads) == 1 else None

    @property
    def digest(self) -> str:
        """What two offers of one id share that one download serves: one source's, of the same bytes.

        No source's download serves another's repository, whatever it says that its layer is: it could come slowly.
        """
        content = f"{self.payload} {self.size}" if self.payload else f"of {self.repository}"
        return hashlib.sha256(f"{self.source.url} {self.image} {content}".encode()).hexdigest()[:32]


class LeaseKeeper:
    """A lease on a layer that is kept as long as the layer comes. `subject` names the spool."""

    def __init__(self, leases: Leases, lease: Lease, subject: str) -> None:
        self._leases = leases
        self._lease = lease
        self._subject = subject
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Renew the lease when due; call it often. Raises ImageBusy where another process took the lease over."""
        if time.monotonic() - self._renewed < STALE_SECONDS / 3:
            return
        renewed = self._leases.renew(self._lease, self._subject)
        if renewed is None:
            raise ImageBusy
        self._lease, self._renewed = renewed, time.monotonic()

    def release(self) -> None:
        self._leases.release(self._lease)


class Download:
    """One download, run once. `failure` is None after success."""

    def __init__(
        self, push: Push, offer: Offer, holder: Holder, keeper: LeaseKeeper, spool: Spool, offload: Offload
    ) -> None:
        """`holder` is the repository that the layer is fetched for. A stage serves one download at a time."""
        self._push = push
        self._offer = offer
        self._holder = holder
        self._uploader = f"mirror {offer.digest}"
        self._keeper = keeper
        self._spool = spool
        self._offload = offload
        self.failure: Failure | None = None
        self.is_over = False

    def run(self, bring_parents: BringParents) -> None:
        """Download, verify and publish."""
        try:
            self._store(bring_parents)
        except ImageExists:
            """It was fetched for the repository meanwhile, which is all we want."""
        except Failure as failure:
            logger.warning(
                "%s was not fetched from %s: %s", self._offer.image, self._offer.source.host, failure.message
            )
            self.failure = failure
        except Exception:
            logger.exception("%s was not fetched from %s", self._offer.image, self._offer.source.host)
            self.failure = SourceUnavailable("The mirror could not fetch this layer; its log knows more")
        finally:
            self._end()

    def _end(self) -> None:
        # First of all: readers go by it, and the lease's next holder must not find the file there.
        self._spool.give_up()
        try:
            self._keeper.release()
        except Failure as failure:
            logger.warning("The lease on %s was not released: %s", self._offer.image, failure.message)
        self.is_over = True

    def _store(self, bring_parents: BringParents) -> None:
        image = self._offer.image
        self._push.adopt(image, self._offer.json, self._uploader, holder=self._holder)
        try:
            received = self._push.receive(image, self._uploader, self._blocks(), holder=self._holder)
            self._compare(received)
            self._spool.finish()
            bring_parents(self._offer, self._keeper.keep)
            self._push.seal(image, self._uploader, payload=received.payload, tarsum=None, holder=self._holder)
        except Failure:
            with suppress(Failure):
                self._push.abandon(image, self._uploader)
            raise

    def _compare(self, received: Received) -> None:
        """Raises SourceWrong for a layer that has none of the checksums its source tells, if it tells any."""
        tarsums = [one for one in self._offer.checksums if is_tarsum(one)]
        payloads = [one for one in self._offer.checksums if one not in tarsums]
        if payloads:
            holds = received.payload in payloads
        else:
            holds = not tarsums or any(self._push.tarsum_holds(one, self._offer.json, received) for one in tarsums)
        if not holds:
            raise SourceWrong("The layer does not have the checksum that its source tells")

    def _blocks(self) -> Iterator[bytes]:
        """The whole layer, into the spool and on to the store. Raises NotAtSource, SourceUnavailable."""
        offset = 0
        retries: Retries | None = None
        while True:
            begun, problem = offset, SourceUnavailable(f"{self._offer.source.host} sent less than it announced")
            try:
                for block in self._rest(offset):
                    offset += len(block)
                    self._require_not_over(offset)
                    self._offload(self._spool.write, block)
                    self._keeper.keep()
                    yield block
            except (SourceWrong, NotFound):
                raise
            except SourceUnavailable as error:
                problem = error
            else:
                if self._offer.size in (None, offset):
                    return
            if retries is None or offset - begun >= _PROGRESS_BYTES:
                retries = Retries(RETRY)
            if offset == 0 or self._offer.size is None or not retries.wait():
                raise problem

    def _rest(self, offset: int) -> Iterator[bytes]:
        return self._offer.source.layer(self._offer.repository, self._offer.image, offset, self._offer.size)

    def _require_not_over(self, offset: int) -> None:
        if self._offer.size is not None and offset > self._offer.size:
            raise SourceWrong(f"{self._offer.source.host} sent more than it announced")
