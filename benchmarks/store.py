"""An S3-like store on this machine, the one of the tests, which keeps everything in memory.

So what is measured is whoever stands before the store, and not this machine's disk.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes import Server
from tests.servers.radosgw import BUCKET, Radosgw, start_radosgw
from tests.servers.store import Store

_URL_SECONDS = 7 * 24 * 3600


class ObjectStore:
    """Started by the first that asks for it.

    `place` is where the set-ups of this project keep their images: all serve the same objects. `held` are the ids of
    those that were pushed there.
    """

    gateway: Radosgw
    place: Store

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.held: set[str] = set()
        self.servers: list[Server] = []

    def start(self) -> None:
        """A second call does nothing. Raises ServerFailed."""
        if not self.servers:
            self.gateway = start_radosgw(self._folder)
            self.place = self.gateway.store()
            self.servers = [Server("store", *self.gateway.processes)]

    def stop(self) -> None:
        if self.servers:
            self.gateway.stop()

    def layer_url(self, image_id: str) -> str:
        """A signed address of a layer that is held, good for days."""
        wanted = {"Bucket": BUCKET, "Key": f"{self.place.path}/images/{image_id}/layer"}
        url = self.gateway.client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=_URL_SECONDS)
        return str(url)
