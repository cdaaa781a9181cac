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
from registry_service.storage.memory import Memory
from tests.units.registry_service.graph.store import Image, Store, in_blocks

REPOSITORY = RepositoryName("acme", "app")
BASE = Image("base")
TOP = Image("top", BASE)
FAR = 10_000

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


def play(driver: Memory, first: Callable[[Memory], None], second: Callable[[Memory], None], at: int, steps: int) -> int:
    """The first to its step `at`, the second for so many steps, the first to its end, the second to its end; returns
    how many steps the second took before the first ended."""
    one, other = greenlet(first), greenlet(second)
    go(one, driver, at)
    taken = go(other, driver, steps)
    go(one, driver, FAR)
    go(other, driver, FAR)
    assert one.dead
    assert other.dead
    return taken


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


@pytest.mark.parametrize("other", [tag, push], ids=["tag", "push"])
@pytest.mark.parametrize("collector_first", [True, False], ids=["collector first", "other first"])
def test_what_is_tagged_is_whole(
    condemned: dict[str, tuple[bytes, float]], other: Callable[[Memory], None], *, collector_first: bool
) -> None:
    first, second = (collect, other) if collector_first else (other, collect)
    ends: set[bool] = set()
    for at in range(1, FAR, 2):
        driver = Stepping(condemned)
        ended = play_from(driver, first, second, at, ends)
        if ended:
            break
    assert ends == {True, False} or other is push


def play_from(
    driver: Memory, first: Callable[[Memory], None], second: Callable[[Memory], None], at: int, ends: set[bool]
) -> bool:
    """With every number of steps of the second; whether the first ends before its step `at`."""
    contents = driver._contents
    for steps in range(1, FAR, 2):
        driver = Stepping(contents)
        taken = play(driver, first, second, at, steps)
        ends.add(demand_whole(driver))
        if taken < steps:
            break
    return go(greenlet(first), Stepping(contents), at) < at


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
