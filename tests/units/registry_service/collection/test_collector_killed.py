"""A collection killed at every single step, by SIGKILL in a real process: what is tagged is whole, the next ends it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.collection.collector import Collector
from registry_service.graph.condemned import Intents
from registry_service.storage import paths
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.forked import Forked
from tests.units.registry_service.collection import collect_child
from tests.units.registry_service.graph.store import Image, Store

REPOSITORY = RepositoryName("acme", "app")
BASE = Image("base")
CHILD = Image("child", BASE)
LOOSE = Image("loose", BASE)
NEVER = 0


def store_at(root: Path) -> Store:
    return Store(Guard(Filesystem(root)), wait_seconds=0.0)


def collect(root: Path, kill_at: int) -> tuple[int, str]:
    process = Forked(collect_child.main, str(root), str(kill_at))
    said, _ = process.communicate()
    return process.wait(), said


@pytest.fixture
def condemned(tmp_path: Path) -> Path:
    """A store with one tagged image, and two that were condemned."""
    root = tmp_path / "condemned"
    root.mkdir()
    store = store_at(root)
    store.add(BASE, CHILD, LOOSE)
    store.tags.set(REPOSITORY, Tag("base"), BASE.id, Agent())
    assert Collector(store.driver, store.push, 0.0).run().condemned == 2
    return root


def test_killed_at_every_step(condemned: Path, tmp_path: Path) -> None:
    died = 0
    for kill_at in range(1, 200):
        root = tmp_path / str(kill_at)
        shutil.copytree(condemned, root)
        status, _ = collect(root, kill_at)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        died += 1
        demand_all_that_is_tagged(root, push_again=kill_at % 2 == 0)
    assert died > 25


def demand_all_that_is_tagged(root: Path, *, push_again: bool) -> None:
    store = store_at(root)
    assert store.holds(BASE)
    if push_again:
        # Nobody waits for a dead collector, and what it left half deleted is written anew.
        if not store.push.promise(CHILD.id):
            store.add(CHILD)
        with Intents(store.driver, wait_seconds=0.0).reaching([CHILD.id, BASE.id]):
            store.tags.require_taggable(CHILD.id)
            store.tags.set(REPOSITORY, Tag("child"), CHILD.id, Agent())
        assert store.holds(CHILD)
    for _ in range(3):
        store = store_at(root)
        Collector(store.driver, store.push, 0.0).run()
    kept = {BASE.id, CHILD.id} if push_again else {BASE.id}
    parts = ("json", "layer", "ancestry", "_checksum")
    left = {path for path in store.everything() if path.startswith(paths.IMAGES)}
    assert left == {f"{paths.image(id_)}/{part}" for id_ in kept for part in parts}
    assert not any(store.driver.exists(path) for path in (paths.COLLECTION, paths.INTENTS, paths.UPLOADS))


def test_repeated_deaths(condemned: Path) -> None:
    """Each attempt dies one step later than the one before, in one and the same store."""
    died = 0
    for kill_at in range(1, 200):
        status, _ = collect(condemned, kill_at)
        if status == 0:
            break
        died += 1
        assert store_at(condemned).holds(BASE)
    assert died > 10
    for _ in range(3):
        assert collect(condemned, NEVER)[0] == 0
    store = store_at(condemned)
    assert {path.split("/")[1] for path in store.everything() if path.startswith(paths.IMAGES)} == {BASE.id}
    assert not store.driver.exists(paths.COLLECTION)
