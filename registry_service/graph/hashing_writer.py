"""A writer that hashes what it writes, both off the event loop."""

from __future__ import annotations

import hashlib

from registry_service.storage.driver import Driver, Offload, Writer


class HashingWriter:
    """Of one content of a store; `digest` may have been fed before."""

    def __init__(self, driver: Driver, writer: Writer, digest: hashlib._Hash, offload: Offload) -> None:
        self._is_blocking = driver.is_blocking
        self._writer = writer
        self._digest = digest
        self._offload = offload

    def write(self, piece: bytes) -> None:
        """In one task where writing blocks, because a thread switch costs as much as either."""
        if self._is_blocking:
            self._offload(self._hash_and_write, piece)
        else:
            self._offload(self._digest.update, piece)
            self._writer.write(piece)

    def _hash_and_write(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._writer.write(piece)
