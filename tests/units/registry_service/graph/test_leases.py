"""Leases: one at a time, of the living; the dead do not bar the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from registry_service.graph.leases import Lease, Leases
from registry_service.graph.processes import Process
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from tests.conformance.drivers_contract import together

PATH = "images/a/_inprogress"


def lease_of(owner: Process, subject: str = "subject", age: float = 0, nonce: str = "n") -> bytes:
    lease = {"subject": subject, "owner": asdict(owner), "since": int(time.time() - age), "nonce": nonce}
    return json.dumps(lease).encode()


@pytest.fixture
def alive() -> Iterator[Process]:
    """Another process that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield told_of(child.pid)
        child.kill()


def told_of(pid: int) -> Process:
    """What the process with this pid would say of itself."""
    return replace(Process.this(), pid=pid, started=stat_of(pid)[19])


def stat_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@pytest.fixture
def dead() -> Process:
    """A process that ran a moment ago and nobody has waited for."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = told_of(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    return process


@pytest.fixture
def elsewhere() -> Process:
    return Process("another machine", 1, "1")


@pytest.fixture
def leases(driver: Driver) -> Leases:
    return Leases(driver)


def test_processes() -> None:
    this = Process.this()
    assert this.is_running() is True
    assert replace(this, started="1").is_running() is False
    assert replace(this, machine="another").is_running() is None
    assert replace(this, started="").is_running() is None
    assert replace(this, pid=2**22 + 1).is_running() is False


def test_process_that_nobody_waited_for_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process = told_of(child.pid)
    assert process.is_running() is True
    child.kill()
    # The end of its output is the end of the process; it stays in the table until it is waited for.
    assert child.stdout is not None
    child.stdout.read()
    while stat_of(child.pid)[0] != "Z":
        pass
    assert process.is_running() is False
    child.communicate()


def test_acquire_and_release(driver: Driver, leases: Leases) -> None:
    lease = leases.acquire(PATH, "subject")
    assert lease is not None
    assert leases.holds(lease)
    assert not lease.inherited
    assert leases.acquire(PATH, "subject") is None
    assert leases.acquire(PATH, "another") is None
    leases.release(lease)
    assert not driver.exists("images")
    assert not leases.holds(lease)
    leases.release(lease)
    assert leases.acquire(PATH, "another") is not None


def test_other_paths_are_other_leases(leases: Leases) -> None:
    assert leases.acquire(PATH, "subject")
    assert leases.acquire("images/b/_inprogress", "subject")


def test_the_living_are_waited_for(driver: Driver, leases: Leases, alive: Process) -> None:
    driver.put(PATH, lease_of(alive))
    assert leases.acquire(PATH, "subject") is None
    assert leases.acquire(PATH, "another") is None


def test_the_dead_are_followed(driver: Driver, leases: Leases, dead: Process) -> None:
    driver.put(PATH, lease_of(dead))
    lease = leases.acquire(PATH, "another")
    assert lease is not None
    assert leases.holds(lease)
    assert not lease.inherited
    assert leases.acquire(PATH, "third") is None
    leases.release(lease)
    assert not driver.exists("images")


def test_a_line_of_dead(driver: Driver, leases: Leases, dead: Process) -> None:
    first, second = lease_of(dead, nonce="1"), lease_of(dead, nonce="2")
    driver.put(PATH, first)
    driver.put(paths.successor(PATH, first), second)
    lease = leases.acquire(PATH, "another")
    assert lease is not None
    assert driver.get(paths.successor(PATH, second)) == lease.content
    leases.release(lease)
    assert not driver.exists("images")


def test_strangers_are_followed_for_the_same_subject_only(driver: Driver, leases: Leases, elsewhere: Process) -> None:
    driver.put(PATH, lease_of(elsewhere))
    assert leases.acquire(PATH, "another") is None
    assert leases.acquire(PATH, "subject") is not None


def test_strangers_that_do_nothing_are_followed_in_the_end(
    driver: Driver, elsewhere: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    leases = Leases(driver, unknown_seconds=20)
    driver.put(PATH, lease_of(elsewhere, age=300))
    assert leases.acquire(PATH, "another") is None
    now[0] += 15
    driver.put(PATH, lease_of(elsewhere, nonce="renewed"))
    assert leases.acquire(PATH, "another") is None
    now[0] += 15
    assert leases.acquire(PATH, "another") is None
    now[0] += 15
    lease = leases.acquire(PATH, "another")
    assert lease is not None
    assert leases.holds(lease)


def test_the_living_are_not_followed_however_long_it_takes(driver: Driver, alive: Process) -> None:
    leases = Leases(driver, unknown_seconds=0)
    driver.put(PATH, lease_of(alive))
    for _ in range(3):
        assert leases.acquire(PATH, "another") is None


@pytest.mark.parametrize("age", [601, 10**9])
def test_everything_goes_stale(driver: Driver, leases: Leases, elsewhere: Process, alive: Process, age: int) -> None:
    for path, owner in (("a", elsewhere), ("b", alive)):
        driver.put(path, lease_of(owner, age=age))
        assert leases.acquire(path, "another") is not None


def test_recent_leases_of_strangers_are_not_stale(driver: Driver, leases: Leases, elsewhere: Process) -> None:
    driver.put(PATH, lease_of(elsewhere, age=500))
    assert leases.acquire(PATH, "another") is None
    assert Leases(driver, stale_seconds=400).acquire(PATH, "another") is not None


@pytest.mark.parametrize("mark", [b"true", b"", b"\xff\x00", b"[1]"])
def test_marks_that_are_no_leases_are_inherited(driver: Driver, leases: Leases, mark: bytes) -> None:
    driver.put(PATH, mark)
    lease = leases.acquire(PATH, "subject")
    assert lease is not None
    assert lease.inherited
    assert leases.holds(lease)
    assert driver.get(PATH) == mark
    assert leases.acquire(PATH, "subject") is None


def test_who_follows_an_heir_inherits_too(driver: Driver, leases: Leases, dead: Process) -> None:
    driver.put(PATH, b"true")
    driver.put(paths.successor(PATH, b"true"), lease_of(dead))
    lease = leases.acquire(PATH, "subject")
    assert lease is not None
    assert lease.inherited


def test_who_was_superseded_holds_no_more(driver: Driver, leases: Leases) -> None:
    lease = leases.acquire(PATH, "subject")
    assert lease is not None
    later = Leases(driver, stale_seconds=-1).acquire(PATH, "another")
    assert later is not None
    assert not leases.holds(lease)
    leases.release(lease)
    assert leases.holds(later)


@pytest.mark.parametrize("left", ["nothing", "dead", "mark"])
def test_one_of_many_takes_it(driver: Driver, leases: Leases, dead: Process, left: str) -> None:
    for round_ in range(10):
        path = f"leases/{round_}"
        if left != "nothing":
            driver.put(path, lease_of(dead) if left == "dead" else b"true")
        taken = together(8, lambda number, path=path: leases.acquire(path, str(number)))
        winners: list[Lease] = [lease for lease in taken if lease]
        assert len(winners) == 1
        assert leases.holds(winners[0])
