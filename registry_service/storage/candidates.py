"""Exclusive creation on a store that has none: who finds itself the only candidate may write.

Whoever wants to create a path puts an empty candidate beside those of all others, and lists them. Alone, it looks
whether the path is there, writes it, and takes its candidate away. Not alone, the one of the least name waits and
all others withdraw, to come back under another name while the path is still not there.

Why only one writes: of two whose candidates are there at once, the one that listed later saw the other, unless that
one was done; then the path was written before its candidate went, and is seen. This asks of the store that a listing
shows whatever was put before; and of a candidate that it writes within LIFETIME_SECONDS, after which it counts as
left by a process that died.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from contextlib import suppress

from registry_service.storage.driver import Driver, PathNotFound, StorageFailure

FOLDER = "_exclusive"
"""Where in the store candidates stand."""

LIFETIME_SECONDS = 600.0

PATIENCE_SECONDS = 20.0
"""How long a create waits for others to be done."""

_PAUSE_SECONDS = 0.02


class Candidates:
    """Creates paths through any driver whose `list` shows what its `put` has put."""

    def __init__(
        self, driver: Driver, lifetime_seconds: float = LIFETIME_SECONDS, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._driver = driver
        self._lifetime_seconds = lifetime_seconds
        self._patience_seconds = patience_seconds

    def create(self, path: str, content: bytes) -> bool:
        """As `Driver.create`. Raises StorageFailure when others neither write nor go."""
        deadline = time.monotonic() + self._patience_seconds
        folder = f"{FOLDER}/{hashlib.sha256(path.encode()).hexdigest()}"
        pause = _PAUSE_SECONDS
        while not self._is_there(path):
            mine = f"{folder}/{secrets.token_hex(16)}"
            self._driver.put(mine, b"")
            if self._prevails(folder, mine, deadline):
                return self._write(path, content, mine)
            self._driver.delete(mine)
            if time.monotonic() > deadline:
                raise StorageFailure(path, "another creation of it has not ended")
            time.sleep(random.uniform(0, pause))  # noqa: S311 - spreads attempts, guards nothing
            pause = min(2 * pause, 1.0)
        return False

    def _prevails(self, folder: str, mine: str, deadline: float) -> bool:
        """Whether mine became the only candidate; not if one of a lesser name is there."""
        since = self._driver.stat(mine).modified
        while others := [path for path in self._candidates(folder) if path != mine]:
            first = min(others)
            if self._lives(first, since):
                if first < mine or time.monotonic() > deadline:
                    return False
                time.sleep(_PAUSE_SECONDS)
        return True

    def _candidates(self, folder: str) -> list[str]:
        return [f"{folder}/{name}" for name in self._driver.list(folder)]

    def _lives(self, candidate: str, now: float) -> bool:
        """Whether a candidate's process may still be at it, by the store's own clock; if not, it is cleared away."""
        with suppress(PathNotFound):
            if now - self._driver.stat(candidate).modified <= self._lifetime_seconds:
                return True
            self._driver.delete(candidate)
        return False

    def _write(self, path: str, content: bytes, mine: str) -> bool:
        """Where this fails the candidate stays until it is too old: the write may yet be done."""
        created = not self._is_there(path)
        if created:
            self._driver.put(path, content)
        self._driver.delete(mine)
        return created

    def _is_there(self, path: str) -> bool:
        try:
            self._driver.stat(path)
        except PathNotFound:
            return False
        return True
