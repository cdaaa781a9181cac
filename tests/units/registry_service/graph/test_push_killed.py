"""A push killed at every single step, by SIGKILL in a real process: nothing half-done shows, and a re-push works."""

from __future__ import annotations

import signal
from functools import cache
from pathlib import Path

import pytest

from registry_service.graph.errors import ImageExists
from registry_service.graph.push import Push
from registry_service.storage import paths
from registry_service.storage.filesystem import STAGING, Filesystem
from registry_service.storage.guard import Guard
from tests.forked import Forked
from tests.units.registry_service.graph import push_child
from tests.units.registry_service.graph.store import Image, Store

BASE = Image("base")
OTHER_BYTES = Image("base", framing=1)
NEVER = 0


def push(root: Path, kill_at: int, framing: int = 0) -> tuple[int, str]:
    """How the process ended, and what it said."""
    process = Forked(push_child.main, str(root), str(kill_at), str(framing))
    said, _ = process.communicate()
    return process.wait(), said


@cache
def steps_of_a_push(root: Path) -> int:
    root.mkdir()
    return int(push(root, NEVER)[1])


def store_at(root: Path) -> Store:
    return Store(Guard(Filesystem(root)), wait_seconds=0.0)


@pytest.mark.parametrize("again", [BASE, OTHER_BYTES], ids=["same bytes", "other bytes"])
@pytest.mark.parametrize("before", ["nothing", "mark", "json"])
def test_killed_at_every_step(tmp_path: Path, again: Image, before: str) -> None:
    steps = steps_of_a_push(tmp_path / "whole")
    assert steps > 10
    died = 0
    # A mark to take over from adds steps, so go on until one push lives.
    for kill_at in range(1, 2 * steps):
        root = tmp_path / str(kill_at)
        root.mkdir()
        leave(root, before)
        status, _ = push(root, kill_at)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        died += 1
        demand_whole_or_nothing(root, again)
    assert died >= steps


def leave(root: Path, what: str) -> None:
    """What docker-registry left: a failed push, or an image that somehow lost its layer."""
    driver = Filesystem(root)
    if what != "nothing":
        driver.put(paths.image_json(BASE.id), b'{"id": "old"}')
    if what == "mark":
        driver.put(paths.image_mark(BASE.id), b"true")
        driver.put(paths.image_layer(BASE.id), b"cut sho")


def demand_whole_or_nothing(root: Path, again: Image) -> None:
    store = store_at(root)
    first_bytes_stay = store.holds(BASE)
    try:
        store.add(again)
    except ImageExists:
        # Told at once when it is complete; told at the seal when it was written but for the last touch.
        assert again is OTHER_BYTES or first_bytes_stay
    kept = [image for image in (BASE, OTHER_BYTES) if _holds(store, image)]
    assert len(kept) == 1
    if first_bytes_stay:
        assert kept == [BASE]
    # Sweeping what the dead left ends with the image alone, but for a lease that no mark leads to.
    Filesystem(root, leftover_seconds=-1)
    Push(store.driver, store.images, expiry_seconds=-1).expire()
    left = {path.name for path in root.rglob("*") if path.is_file()}
    orphan = {paths.successor("_inprogress", b"true")}
    assert {"json", "layer", "ancestry", "_checksum"} <= left
    assert left - orphan == {"json", "layer", "ancestry", "_checksum"}


def test_a_sweep_ends_what_a_killed_push_began(tmp_path: Path) -> None:
    """An image or nothing at all: no mark, no staging, no folder that nothing came into."""
    ended: set[str] = set()
    for kill_at in range(1, steps_of_a_push(tmp_path / "whole") + 1):
        root = tmp_path / str(kill_at)
        root.mkdir()
        assert push(root, kill_at)[0] == -signal.SIGKILL
        store = store_at(root)
        swept = Filesystem(root, leftover_seconds=-1)
        Push(Guard(swept), store.images, expiry_seconds=-1).expire()
        left = {str(path.relative_to(root / paths.image(BASE.id))) for path in root.glob("images/*/*")}
        assert left in (set(), {"json", "layer", "ancestry", "_checksum"})
        assert bool(left) == _holds(store, BASE)
        # The staging is made anew with every start.
        assert {path.name for path in root.iterdir()} <= {"images", STAGING}
        assert not list((root / STAGING).iterdir())
        ended.add("whole" if left else "nothing")
    assert ended == {"whole", "nothing"}


def _holds(store: Store, image: Image) -> bool:
    try:
        return store.holds(image)
    except AssertionError:
        return False


def test_repeated_deaths(tmp_path: Path) -> None:
    """Each attempt dies one step later than the one before, in one and the same store."""
    died = 0
    for kill_at in range(1, 200):
        status, _ = push(tmp_path, kill_at, framing=kill_at % 2)
        if status == 0:
            break
        died += 1
        store_at(tmp_path)
    assert died > 10
    store = store_at(tmp_path)
    assert _holds(store, BASE) or _holds(store, OTHER_BYTES)
