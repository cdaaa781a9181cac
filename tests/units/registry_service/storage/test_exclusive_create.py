"""Exclusive creation by way of candidates, among threads, and after processes that died."""

from __future__ import annotations

import pytest

from registry_service.storage.driver import Driver, PathNotFound, StorageFailure
from registry_service.storage.exclusive_create import FOLDER, DriverCandidates, ExclusiveCreate
from registry_service.storage.memory import Memory
from tests.conformance.drivers_contract import together


class Store(Memory):
    """A store that may fail to write one path."""

    fails = False

    def put(self, path: str, content: bytes) -> None:
        if self.fails and path == "claim":
            raise StorageFailure(path)
        super().put(path, content)


def standing(driver: Driver) -> list[str]:
    """The candidates there are."""
    try:
        folders = list(driver.list(FOLDER))
    except PathNotFound:
        return []
    return [f"{FOLDER}/{folder}/{name}" for folder in folders for name in driver.list(f"{FOLDER}/{folder}")]


def left_behind(name: str) -> Store:
    """A store with one candidate of this name for `claim`, whose process could not write."""
    driver = Store()
    driver.fails = True
    with pytest.raises(StorageFailure):
        ExclusiveCreate(DriverCandidates(driver)).create("claim", b"")
    driver.fails = False
    (left,) = standing(driver)
    driver.move(left, f"{left.rpartition('/')[0]}/{name}")
    return driver


def test_one_of_many_creates():
    for number in range(20):
        driver = Memory()
        created = together(
            16,
            lambda each, driver=driver: ExclusiveCreate(DriverCandidates(driver)).create("claim", str(each).encode()),
        )
        assert created.count(True) == 1, number
        assert driver.get("claim") == str(created.index(True)).encode()
        assert standing(driver) == []


def test_what_is_there_is_not_created():
    driver = Memory()
    driver.put("claim", b"old")
    assert ExclusiveCreate(DriverCandidates(driver)).create("claim", b"new") is False
    assert driver.get("claim") == b"old"


def test_paths_do_not_bar_each_other():
    assert ExclusiveCreate(DriverCandidates(left_behind("0"))).create("claim/below", b"new") is True


@pytest.mark.parametrize("name", ["0", "z"])
def test_a_failed_write_bars_the_path_for_as_long_as_it_may_come_true(name):
    driver = left_behind(name)
    with pytest.raises(StorageFailure, match="has not ended"):
        ExclusiveCreate(DriverCandidates(driver), patience_seconds=0.1).create("claim", b"new")
    assert len(standing(driver)) == 1
    assert not driver.exists("claim")


@pytest.mark.parametrize("name", ["0", "z"])
def test_a_candidate_left_long_ago_is_cleared_away(name):
    driver = left_behind(name)
    assert ExclusiveCreate(DriverCandidates(driver), lifetime_seconds=-1).create("claim", b"new") is True
    assert driver.get("claim") == b"new"
    assert standing(driver) == []


@pytest.mark.parametrize("name", ["0", "z"])
def test_a_candidate_waits_for_another_to_go(name):
    driver = left_behind(name)
    (other,) = standing(driver)

    def act(number: int) -> bool | None:
        return driver.delete(other) if number else ExclusiveCreate(DriverCandidates(driver)).create("claim", b"new")

    assert together(2, act) == [True, None]
    assert driver.get("claim") == b"new"
