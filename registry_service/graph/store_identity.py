"""The identity of a store, which registries tell the index: possession in one store is none in another.

It is an object of the store itself, written by the first registry that needs it, so that all registries of one store
tell the same, whatever their names and settings.
"""

from __future__ import annotations

import logging
import re
import secrets
import time

from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, StorageProblem

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
"""How long a store is not asked again that could neither tell an identity nor take one."""

_ID = re.compile(r"[0-9a-f]{32}")


class StoreIdentity:
    """The identity of one store, read once."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._known: str | None = None
        self._retry_at = 0.0

    def tell(self) -> str | None:
        """None as long as the store has none, and none can be written to it."""
        if self._known is None and time.monotonic() >= self._retry_at:
            try:
                self._known = self._read() or self._create()
            except StorageProblem as problem:
                logger.warning("the identity of the store is not known: %s", problem.message)
            self._retry_at = time.monotonic() + RETRY_SECONDS
        return self._known

    def _create(self) -> str | None:
        self._driver.create(paths.STORE_ID, secrets.token_hex(16).encode())
        return self._read()

    def _read(self) -> str | None:
        try:
            text = self._driver.get(paths.STORE_ID).decode(errors="replace").strip()
        except PathNotFound:
            return None
        if not _ID.fullmatch(text):
            logger.warning("%s is not the identity of a store: delete it", paths.STORE_ID)
            return None
        return text
