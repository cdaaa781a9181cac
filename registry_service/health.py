"""Health checks of the registry's dependencies: its store, and its index if it has one.

Readiness asks for less than status does: a registry whose store can only be read, or that cannot reach its index, still
answers pulls, and sending its clients elsewhere would not help.
"""

from __future__ import annotations

import secrets

from common.cache import Cached
from common.errors import Failure, Unavailable
from registry_service.index_client import IndexClient
from registry_service.storage import paths
from registry_service.storage.driver import Driver

CACHE_SECONDS = 5.0
"""TTL of the result: any client may request it, and each check writes to the store."""


class Health:
    """Checks the store by writing, reading and deleting a small object, and the index by its ping."""

    def __init__(self, driver: Driver, index: IndexClient | None) -> None:
        self._driver = driver
        self._index = index
        self._status = Cached(self._try, CACHE_SECONDS)
        self._readiness = Cached(self._try_reading, CACHE_SECONDS)
        self.services = ["storage"] if index is None else ["storage", "index"]

    def failures(self) -> dict[str, str]:
        """Failures by service; empty when all dependencies work."""
        return self._status.get()

    def reading_failures(self) -> dict[str, str]:
        """Likewise, but only what keeps the registry from answering any pull: a store that cannot be read."""
        return self._readiness.get()

    def _try_reading(self) -> dict[str, str]:
        try:
            self._driver.exists(paths.IMAGES)
        except Failure as failure:
            return {"storage": failure.message}
        return {}

    def _try(self) -> dict[str, str]:
        failures = {}
        try:
            self._try_store()
        except Failure as failure:
            failures["storage"] = failure.message
        if self._index is not None and not self._index.is_alive():
            failures["index"] = "The index cannot be reached"
        return failures

    def _try_store(self) -> None:
        path, content = f"{paths.PROBES}/{secrets.token_hex(8)}", secrets.token_bytes(16)
        try:
            self._driver.put(path, content)
        except Failure as failure:
            # Fails in its own words where the store cannot be read either.
            self._driver.exists(paths.IMAGES)
            raise Unavailable(f"{failure.message}; what is stored can be pulled") from failure
        kept = self._driver.get(path)
        self._driver.delete(path)
        if kept != content:
            raise Unavailable("The store gave back something other than was put")
