"""A store that fails while an image is published: nothing half-done stays, nothing bars the way."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from registry_service.graph.errors import ImageBusy
from registry_service.storage import paths
from registry_service.storage.driver import PathNotFound, StorageFailure
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.conformance.drivers_small_disk import run_on_small_disk
from tests.units.registry_service.graph.counted import Counted
from tests.units.registry_service.graph.store import Image, Store

BASE = Image("base")
OTHER_BYTES = Image("base", framing=1)


class Failing(Counted, Memory):
    """Fails one operation that changes something, the one with the number told, and works before and after."""

    def strike(self) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("again", [BASE, OTHER_BYTES], ids=["same bytes", "other bytes"])
@pytest.mark.parametrize("before", ["nothing", "mark", "json"])
def test_failing_at_every_step(again: Image, before: str) -> None:
    failed = 0
    for fail_at in range(1, 100):
        driver = Failing()
        if before != "nothing":
            driver.put(paths.image_json(BASE.id), b"{}")
        if before == "mark":
            driver.put(paths.image_mark(BASE.id), b"true")
            driver.put(paths.image_layer(BASE.id), b"cut sho")
        driver.done, driver.strike_at = 0, fail_at
        store = Store(Guard(driver), wait_seconds=0.0)
        try:
            store.add(BASE)
        except StorageFailure:
            failed += 1
        else:
            break
        shows = store.holds(BASE)
        if not shows:
            store.add(again)
        assert store.holds(BASE if shows else again)
        assert not driver.exists(paths.image_mark(BASE.id))
    assert failed > 8


def test_who_was_superseded_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher that slept for so long that another took over finds out before it touches anything."""
    driver = Memory()
    slow, quick = Store(driver), Store(driver, stale_seconds=-1)
    for store, image, uploader in ((slow, BASE, "slow"), (quick, OTHER_BYTES, "quick")):
        store.describe(image, uploader)
        store.receive(image, uploader)
    delete = driver.delete

    def delete_and_sleep(path: str) -> None:
        monkeypatch.setattr(driver, "delete", delete)
        with suppress(PathNotFound):
            delete(path)
        quick.seal(OTHER_BYTES, "quick")

    monkeypatch.setattr(driver, "delete", delete_and_sleep)
    with pytest.raises(ImageBusy):
        slow.seal(BASE, "slow")
    assert slow.holds(OTHER_BYTES)


def test_full_disk(tmp_path: Path) -> None:
    run_on_small_disk(tmp_path, "tests.units.registry_service.graph.push_full")
