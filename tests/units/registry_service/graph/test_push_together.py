"""Several daemons push the same image at the same moment: all succeed, and the bytes are of one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from registry_service.graph.errors import ImageExists
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.conformance.drivers_contract import together
from tests.units.registry_service.graph.store import Image, Store

ROUNDS = 25


def push_one(driver: Driver, image: Image, uploader: str) -> str:
    """As a daemon would: whatever says that the image exists is success."""
    store = Store(driver)
    try:
        store.add(image, uploader=uploader)
    except ImageExists:
        return "exists"
    return "stored"


@pytest.mark.parametrize("bytes_", ["same bytes", "other bytes"])
def test_four_uploaders_in_one_process(driver: Driver, bytes_: str) -> None:
    for round_ in range(ROUNDS):
        images = [Image(f"base{round_}", framing=0 if bytes_ == "same bytes" else number) for number in range(1, 5)]
        outcomes = together(4, lambda number, images=images: push_one(driver, images[number], f"uploader {number}"))
        assert "stored" in outcomes
        demand_one_of(driver, images)


def test_four_uploaders_with_one_name(driver: Driver) -> None:
    """The door could not tell them apart; they send the same bytes, and interleave their steps."""
    for round_ in range(ROUNDS):
        image = Image(f"base{round_}")
        store = Store(driver)
        store.describe(image)
        together(4, lambda number, image=image: Store(driver).receive(image))
        together(4, lambda number, image=image: Store(driver).seal(image))
        demand_one_of(driver, [image])


@pytest.mark.parametrize("framings", [[0, 0, 0, 0], [1, 2, 3, 3]], ids=["same bytes", "other bytes"])
@pytest.mark.parametrize("left", ["nothing", "mark"])
def test_four_processes(tmp_path: Path, framings: list[int], left: str) -> None:
    driver = Guard(Filesystem(tmp_path))
    if left == "mark":
        driver.put(paths.image_mark(Image("base").id), b"true")
        driver.put(paths.image_json(Image("base").id), b"{}")
    command = [sys.executable, "-m", "tests.units.registry_service.graph.push_child", str(tmp_path), "0"]
    children = [subprocess.Popen([*command, str(framing)]) for framing in framings]
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    demand_one_of(driver, [Image("base", framing=framing) for framing in framings])


def test_reader_beside_publishers(driver: Driver) -> None:
    """Whoever looks while images appear sees them whole or not at all."""
    images = [Image(f"base{number}") for number in range(20)]

    def act(number: int) -> int:
        if number == 0:
            for image in images:
                push_one(driver, image, "uploader")
            return 0
        return sum(Store(driver).holds(image) for _ in range(5) for image in images)

    together(3, act)
    assert all(Store(driver).holds(image) for image in images)


def demand_one_of(driver: Driver, images: list[Image]) -> None:
    store = Store(driver)
    stored = store.layer_of(images[0].id)
    (published,) = {image.framing: image for image in images if image.layer == stored}.values()
    assert store.holds(published)
    assert set(driver.list(paths.image(published.id))) == {"json", "layer", "ancestry", "_checksum"}
    assert not driver.exists(paths.uploads(published.id))
