"""A collection and somebody else, both as they are, interrupted by each other: at any step, for any number of steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from greenlet import greenlet

from common.agents import Agent
from common.names import ImageId, RepositoryName, Tag
from registry_service.app import create_registry
from registry_service.collection.collector import Collector
from registry_service.grants import Credentials
from registry_service.graph.condemned import Intents
from registry_service.graph.errors import ImageBusy, ImageExists, ImageNotFound
from registry_service.graph.images import Images
from registry_service.graph.push import Push
from registry_service.settings import RegistrySettings
from registry_service.storage import paths
from registry_service.storage.memory import Memory
from tests.units.registry_service.graph.store import Image, Store, in_blocks

REPOSITORY = RepositoryName("acme", "app")
BASE = Image("base")
TOP = Image("top", BASE)
FAR = 10_000
EVERY = 2
"""Each is interrupted at every second operation: of two that follow each other, few matter both."""

STEPS = ("get", "put", "create", "stat", "exists", "list", "delete", "move")


class Stepping(Memory):
    """A store in which somebody else goes on before each operation, if it is their turn."""

    def __init__(self, contents: dict[str, tuple[bytes, float]]) -> None:
        super().__init__()
        self._contents = dict(contents)
        for name in STEPS:
            setattr(self, name, self._stepping(getattr(super(), name)))

    @staticmethod
    def _stepping(operation: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            current = greenlet.getcurrent()
            if current.parent is not None:
                current.parent.switch()
            return operation(*arguments)

        return step


def collect(driver: Memory) -> None:
    store = Store(driver)
    Collector(driver, store.push, 0.0).run()


def set_tag(driver: Memory) -> None:
    registry = create_registry(RegistrySettings(standalone=True), driver)
    registry = replace(registry, intents=Intents(driver, wait_seconds=0.0))
    registry.set_tag(Credentials(None), REPOSITORY, Tag("latest"), TOP.id, Agent())


def tag(driver: Memory) -> None:
    """Whoever tags what is not pushed again may find it gone, and tags nothing then."""
    with suppress(ImageBusy, ImageNotFound):
        set_tag(driver)


def push(driver: Memory) -> None:
    """As daemons do: what is there is skipped, and is there still when it is tagged."""
    push = Push(driver, Images(driver), 3600, wait_seconds=0.0)
    with suppress(ImageBusy):
        for image in (BASE, TOP):
            # Daemons take it for success, too, where somebody was first.
            with suppress(ImageExists):
                if not push.promise(image.id):
                    push.begin(image.id, image.json, "uploader")
                    push.receive(image.id, "uploader", in_blocks(image.layer))
                    push.seal(image.id, "uploader", payload=image.payload, tarsum=None)
        set_tag(driver)


class Schedule:
    """The collector begins and goes so far; the first to its step `at`, the second for so many steps, the first to its
    end, the second to its end."""

    def __init__(self, begun: int, other: Callable[[Memory], None], *, collector_first: bool) -> None:
        self._begun = begun
        self._other = other
        self._collector_first = collector_first

    def play(self, driver: Memory, at: int, steps: int) -> tuple[bool, bool]:
        """Whether the first went on after the second, and whether the second was stopped."""
        collector, other = greenlet(collect), greenlet(self._other)
        go(collector, driver, self._begun)
        first, second = (collector, other) if self._collector_first else (other, collector)
        go(first, driver, at)
        go(second, driver, steps)
        paused = not first.dead, not second.dead
        go(first, driver, FAR)
        go(second, driver, FAR)
        assert first.dead
        assert second.dead
        return paused


def go(actor: greenlet, driver: Memory, steps: int) -> int:
    taken = 0
    while taken < steps and not actor.dead:
        actor.switch(driver)
        taken += 1
    return taken


@pytest.fixture(scope="module")
def condemned() -> dict[str, tuple[bytes, float]]:
    """The contents of a store whose images were condemned before."""
    driver = Memory()
    Store(driver).add(BASE, TOP)
    collect(driver)
    return driver._contents


def announcement(contents: dict[str, tuple[bytes, float]]) -> int:
    """How many steps a collection takes until it has marked all, and announces what it is to delete."""
    driver, collector, steps = Stepping(contents), greenlet(collect), 0
    while paths.DOOMED not in driver._contents:
        steps += go(collector, driver, 1)
    go(collector, driver, FAR)
    return steps - 1


@pytest.mark.parametrize("other", [tag, push], ids=["tag", "push"])
@pytest.mark.parametrize("order", ["collector first", "other first", "other first, once all is marked"])
def test_what_is_tagged_is_whole(
    condemned: dict[str, tuple[bytes, float]], other: Callable[[Memory], None], order: str
) -> None:
    begun = announcement(condemned) if order.endswith("marked") else 0
    schedule = Schedule(begun, other, collector_first=order == "collector first")
    ends: set[bool] = set()
    goes_on, at = True, 1
    while goes_on:
        is_stopped, steps = True, 1
        while is_stopped:
            driver = Stepping(condemned)
            goes_on, is_stopped = schedule.play(driver, at, steps)
            ends.add(demand_whole(driver))
            steps += EVERY
        at += EVERY
    assert True in ends


def demand_whole(driver: Memory) -> bool:
    """Whether there is a tag."""
    store = Store(Memory())
    store.driver._contents = driver._contents  # type: ignore[attr-defined]
    tagged = store.tags.find(REPOSITORY, Tag("latest"))
    if tagged is None:
        return False
    store.tags.require_taggable(ImageId(tagged))
    assert store.holds(BASE)
    assert store.holds(TOP)
    return True
