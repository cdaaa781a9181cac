"""Remembers small contents that do not change in Redis, for all registries before one store.

Only an image's JSON, ancestry and checksum are remembered, which change in a push at the most, before the image is
there, and what its translation recorded, which says of which content it is. The store is always written first and never
skipped; what a writer leaves in Redis is what it wrote, or after a deletion a marker that nothing is known, so that a
reader that was slower cannot put the old content back. Without Redis everything is slower and just as right: a Redis
that fails is left alone for a while, and told what it missed before it is asked anything again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis, RedisError

from common.settings import SettingsError
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Reader, Stat, Writer

KEPT_SECONDS = 24 * 3600
UNKNOWN_SECONDS = 60
"""How long after a deletion a slow reader may still hold the old content."""

MAX_BYTES = 256 * 1024
REST_SECONDS = 5.0
"""How long a Redis that failed is not asked."""

TIMEOUT_SECONDS = 0.25

MOST_OWED = 10_000
"""Changes that a Redis may miss; after more it is not asked until all it knew has expired."""

_UNKNOWN = b""
"""The marker: no content that is remembered is empty."""

logger = logging.getLogger(__name__)


class Memory:
    """What Redis knows of one store; every failure of Redis is an ordinary "don't know"."""

    def __init__(self, url: str, store: str) -> None:
        """`store` tells stores that share a Redis apart. Raises SettingsError for what is no Redis URL."""
        try:
            redis = Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
        except ValueError as error:
            raise SettingsError(f"redis_url: {error}") from error
        self._command: Callable[..., object] = redis.execute_command
        self._prefix = f"wharfinger:{store}:"
        self._asked_again_at = 0.0
        self._owed: set[str] = set()

    def recall(self, path: str) -> bytes | None:
        """The content at the path; None where it is not known."""
        found = self._ask("GET", self._prefix + path)
        return found if isinstance(found, bytes) and found != _UNKNOWN else None

    def learn(self, path: str, content: bytes) -> None:
        """A reader found this; whoever wrote meanwhile knows better."""
        if content != _UNKNOWN and len(content) <= MAX_BYTES:
            self._ask("SET", self._prefix + path, content, "NX", "EX", KEPT_SECONDS)

    def unlearn(self, path: str) -> None:
        """The content was written, moved or deleted."""
        if self._ask(*self._marking(path)) is None:
            self._owed.add(path)
        if len(self._owed) > MOST_OWED:
            self._asked_again_at = time.monotonic() + KEPT_SECONDS
            self._owed.clear()

    def _marking(self, path: str) -> tuple[str | bytes | int, ...]:
        return ("SET", self._prefix + path, _UNKNOWN, "EX", UNKNOWN_SECONDS)

    def _ask(self, *command: str | bytes | int) -> object:
        if time.monotonic() < self._asked_again_at:
            return None
        try:
            for path in tuple(self._owed):
                self._command(*self._marking(path))
                self._owed.discard(path)
            answer: object = self._command(*command)
        except (RedisError, OSError) as error:
            logger.warning("Redis is left alone for %g seconds: %s", REST_SECONDS, error)
            self._asked_again_at = time.monotonic() + REST_SECONDS
            return None
        return answer


class Cached(Driver):
    """Another driver, with a memory before its small immutable contents.

    Around a guard, never inside it: Redis is asked over sockets of the hub, which threads of its pool cannot use.
    """

    def __init__(self, driver: Driver, memory: Memory) -> None:
        self.driver = driver
        self.name = driver.name
        self.is_blocking = driver.is_blocking
        self._memory = memory

    def sweep(self) -> None:
        self.driver.sweep()

    def get(self, path: str) -> bytes:
        if not paths.is_immutable(path):
            return self.driver.get(path)
        content = self._memory.recall(path)
        if content is None:
            content = self.driver.get(path)
            self._memory.learn(path, content)
        return content

    def put(self, path: str, content: bytes) -> None:
        with self._forgetting(path):
            self.driver.put(path, content)

    def create(self, path: str, content: bytes) -> bool:
        with self._forgetting(path):
            return self.driver.create(path, content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        return self.driver.open_reader(path, offset, length)

    def open_writer(self, path: str) -> Writer:
        return self.driver.open_writer(path)

    def stat(self, path: str) -> Stat:
        return self.driver.stat(path)

    def exists(self, path: str) -> bool:
        return self.driver.exists(path)

    def list(self, path: str) -> Iterator[str]:
        return self.driver.list(path)

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        return self.driver.entries(path)

    def delete(self, path: str) -> None:
        with self._forgetting(path):
            self.driver.delete(path)

    def move(self, source: str, target: str) -> None:
        with self._forgetting(source, target):
            self.driver.move(source, target)

    def url_for(self, path: str) -> str | None:
        return self.driver.url_for(path)

    def local_path(self, path: str) -> Path | None:
        return self.driver.local_path(path)

    @contextmanager
    def _forgetting(self, *changed: str) -> Iterator[None]:
        """Done, failed, or done though its answer was lost: from here on the store alone knows."""
        try:
            yield
        finally:
            for path in changed:
                for remembered in paths.immutable_below(path):
                    self._memory.unlearn(remembered)
