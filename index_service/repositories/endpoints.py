"""Endpoints: the registries this index sends clients to."""

from __future__ import annotations

import hashlib

from common.names import RepositoryName
from index_service.repositories.holdings import EVERYWHERE, AskedStore


class Endpoints:
    """The configured registries, each as host:port; a repository stays on the one it was first pushed to."""

    def __init__(self, configured: tuple[str, ...]) -> None:
        self.configured = configured

    def choose(self, name: RepositoryName) -> str:
        """The registry of a new repository: evenly distributed, and the same in every process."""
        number = int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8])
        return self.configured[number % len(self.configured)]

    def asked(self, store: str) -> AskedStore:
        """What counts for a registry that asks: with one endpoint, it has what was recorded of no store, and one that
        names no store, since it is older than their names, has what was recorded of any."""
        if not store and len(self.configured) == 1:
            return EVERYWHERE
        return AskedStore(store, unknown=store if len(self.configured) == 1 else f"not {store}")

    def announced(self, stored: str) -> str:
        """The current endpoint of a stored one: a sole registry may change its host name."""
        return self.configured[0] if len(self.configured) == 1 else stored
