"""Images that a collection found unreachable, and how they are saved from it (see `registry_service.collection`).

A collection *condemns* what nothing reaches: it leaves a stone, and deletes no earlier than a grace period later. Who
tells somebody that an image is there *rescues* it first: the stone goes, and the image has the grace period again. Just
before it deletes, a collection announces the images that are *doomed*, and looks for stones, intents and tags once
more. Each side writes before it looks:

    rescuer     remove the stone → look at the doomed → look at the image
    tagger      write the intent → look at the doomed → look at the images → set the tag → drop the intent
    collection  announce the doomed → look at the stones → at the intents → at the tags → delete

So at least one of any two sees the other. An intent names all that a tag will reach, and lasts until the tag is set.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

from common.cache import Cache
from common.names import ImageId
from registry_service.graph.errors import ImageBusy
from registry_service.graph.leases import POLL_SECONDS, STALE_SECONDS
from registry_service.graph.processes import Process
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, names_below

IDLE_SECONDS = 60.0
"""How long it is cached whether anything is condemned, and what was rescued. What is condemned meanwhile is deleted a
grace period later, which is never as short as this."""

_CACHED_RESCUES = 16384

WAIT_SECONDS = 10.0
"""How long a tag waits while what it is to reach is perhaps being deleted."""


class Condemned:
    """What is condemned and doomed in one store."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._idle: Cache[str, bool] = Cache(1, IDLE_SECONDS)
        self._rescued: Cache[str, bool] = Cache(_CACHED_RESCUES, IDLE_SECONDS)
        self._announcement = b""

    def rescue(self, image: ImageId) -> bool:
        """Before somebody is told that an image is there: it stays for a grace period. False for one that is being
        deleted.
        """
        if self._is_idle():
            return True
        path = paths.image(image)
        self._remove_stone(path)
        return path not in self.doomed()

    def rescue_all(self, images: Iterable[ImageId]) -> None:
        """As `rescue`, of images that nobody is told of: those that an image is to be based on. Each image of a push is
        based on all before it, so what was rescued a moment ago is left at that.
        """
        if not self._is_idle():
            for path in map(paths.image, images):
                if self._rescued.get(path) is None:
                    self._remove_stone(path)

    def announce(self, images: Collection[str]) -> None:
        """Announce the images, by their paths, that are about to be deleted, by this process."""
        told = {"images": sorted(images), "owner": asdict(Process.this()), "since": time.time()}
        self._announcement = json.dumps(told | {"nonce": secrets.token_hex(8)}).encode()
        self._driver.put(paths.DOOMED, self._announcement)

    def end_announcement(self) -> None:
        """End the last announcement made here, unless another has replaced it."""
        with suppress(PathNotFound):
            if self._driver.get(paths.DOOMED) == self._announcement:
                self._driver.delete(paths.DOOMED)

    def announced(self) -> frozenset[str]:
        """The images announced, by whomever, alive or not."""
        return self._read(anybody=True)

    def doomed(self) -> frozenset[str]:
        """The images announced, unless whoever did it is dead, or should have ended long ago."""
        return self._read(anybody=False)

    def _read(self, *, anybody: bool) -> frozenset[str]:
        try:
            told = json.loads(self._driver.get(paths.DOOMED))
        except PathNotFound:
            return frozenset()
        if not anybody and (time.time() - told["since"] > STALE_SECONDS or self._is_dead(Process(**told["owner"]))):
            return frozenset()
        return frozenset(told["images"])

    def _is_dead(self, owner: Process) -> bool:
        """In a remote store the last request of a process that was killed may still be on its way."""
        return self._driver.is_blocking and owner.is_running() is False

    def _remove_stone(self, path: str) -> None:
        with suppress(PathNotFound):
            self._driver.delete(paths.condemned(path))
        self._rescued.put(path, True)

    def _is_idle(self) -> bool:
        is_idle = self._idle.get(paths.COLLECTION)
        if is_idle is None:
            is_idle = not self._driver.exists(paths.COLLECTION)
            self._idle.put(paths.COLLECTION, is_idle)
        return is_idle


class Intents:
    """Tags that are about to be set in one store."""

    def __init__(self, driver: Driver, wait_seconds: float = WAIT_SECONDS) -> None:
        self._driver = driver
        self._condemned = Condemned(driver)
        self._wait_seconds = wait_seconds

    @contextmanager
    def reaching(self, images: Collection[ImageId]) -> Iterator[None]:
        """Within it, a tag that reaches these images may be set, if they are there: no collection begins to delete
        them. Raises ImageBusy while one deletes some.
        """
        reached = {paths.image(image) for image in images}
        path = paths.intent(secrets.token_hex(8))
        told = {"images": sorted(reached), "owner": asdict(Process.this())}
        self._driver.put(path, json.dumps(told).encode())
        try:
            self._wait(reached)
            yield
        finally:
            with suppress(PathNotFound):
                self._driver.delete(path)

    def all(self) -> Iterator[str]:
        """The images that intents name, by their paths."""
        for name in list(names_below(self._driver, paths.INTENTS)):
            with suppress(PathNotFound):
                yield from json.loads(self._driver.get(paths.intent(name)))["images"]

    def forget(self, before: float) -> None:
        """Drop intents older than that, by the store's clock, whose processes are not known to run."""
        for name in list(names_below(self._driver, paths.INTENTS)):
            with suppress(PathNotFound):
                path = paths.intent(name)
                owner = Process(**json.loads(self._driver.get(path))["owner"])
                if self._driver.stat(path).modified < before and not owner.is_running():
                    self._driver.delete(path)

    def _wait(self, reached: set[str]) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while not self._condemned.doomed().isdisjoint(reached):
            if time.monotonic() > deadline:
                raise ImageBusy
            time.sleep(POLL_SECONDS)
