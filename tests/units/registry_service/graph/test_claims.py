"""Claims: one at a time, of the living; the dead do not bar the way."""

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

from registry_service.graph.claims import Claim, Claims
from registry_service.graph.processes import Process
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from tests.conformance.drivers_contract import together

PATH = "images/a/_inprogress"


def claim_of(owner: Process, subject: str = "subject", age: float = 0, nonce: str = "n") -> bytes:
    claim = {"subject": subject, "owner": asdict(owner), "since": int(time.time() - age), "nonce": nonce}
    return json.dumps(claim).encode()


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
def claims(driver: Driver) -> Claims:
    return Claims(driver)


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


def test_claim_and_release(driver: Driver, claims: Claims) -> None:
    claim = claims.take(PATH, "subject")
    assert claim is not None
    assert claims.holds(claim)
    assert not claim.inherited
    assert claims.take(PATH, "subject") is None
    assert claims.take(PATH, "another") is None
    claims.release(claim)
    assert not driver.exists("images")
    assert not claims.holds(claim)
    claims.release(claim)
    assert claims.take(PATH, "another") is not None


def test_other_paths_are_other_claims(claims: Claims) -> None:
    assert claims.take(PATH, "subject")
    assert claims.take("images/b/_inprogress", "subject")


def test_the_living_are_waited_for(driver: Driver, claims: Claims, alive: Process) -> None:
    driver.put(PATH, claim_of(alive))
    assert claims.take(PATH, "subject") is None
    assert claims.take(PATH, "another") is None


def test_the_dead_are_followed(driver: Driver, claims: Claims, dead: Process) -> None:
    driver.put(PATH, claim_of(dead))
    claim = claims.take(PATH, "another")
    assert claim is not None
    assert claims.holds(claim)
    assert not claim.inherited
    assert claims.take(PATH, "third") is None
    claims.release(claim)
    assert not driver.exists("images")


def test_a_line_of_dead(driver: Driver, claims: Claims, dead: Process) -> None:
    first, second = claim_of(dead, nonce="1"), claim_of(dead, nonce="2")
    driver.put(PATH, first)
    driver.put(paths.successor(PATH, first), second)
    claim = claims.take(PATH, "another")
    assert claim is not None
    assert driver.get(paths.successor(PATH, second)) == claim.content
    claims.release(claim)
    assert not driver.exists("images")


def test_strangers_are_followed_for_the_same_subject_only(driver: Driver, claims: Claims, elsewhere: Process) -> None:
    driver.put(PATH, claim_of(elsewhere))
    assert claims.take(PATH, "another") is None
    assert claims.take(PATH, "subject") is not None


@pytest.mark.parametrize("age", [601, 10**9])
def test_everything_goes_stale(driver: Driver, claims: Claims, elsewhere: Process, alive: Process, age: int) -> None:
    for path, owner in (("a", elsewhere), ("b", alive)):
        driver.put(path, claim_of(owner, age=age))
        assert claims.take(path, "another") is not None


def test_recent_claims_of_strangers_are_not_stale(driver: Driver, claims: Claims, elsewhere: Process) -> None:
    driver.put(PATH, claim_of(elsewhere, age=500))
    assert claims.take(PATH, "another") is None
    assert Claims(driver, stale_seconds=400).take(PATH, "another") is not None


@pytest.mark.parametrize("mark", [b"true", b"", b"\xff\x00", b"[1]"])
def test_marks_that_are_no_claims_are_inherited(driver: Driver, claims: Claims, mark: bytes) -> None:
    driver.put(PATH, mark)
    claim = claims.take(PATH, "subject")
    assert claim is not None
    assert claim.inherited
    assert claims.holds(claim)
    assert driver.get(PATH) == mark
    assert claims.take(PATH, "subject") is None


def test_who_follows_an_heir_inherits_too(driver: Driver, claims: Claims, dead: Process) -> None:
    driver.put(PATH, b"true")
    driver.put(paths.successor(PATH, b"true"), claim_of(dead))
    claim = claims.take(PATH, "subject")
    assert claim is not None
    assert claim.inherited


def test_who_was_superseded_holds_no_more(driver: Driver, claims: Claims) -> None:
    claim = claims.take(PATH, "subject")
    assert claim is not None
    later = Claims(driver, stale_seconds=-1).take(PATH, "another")
    assert later is not None
    assert not claims.holds(claim)
    assert claims.holds(later)


@pytest.mark.parametrize("left", ["nothing", "dead", "mark"])
def test_one_of_many_takes_it(driver: Driver, claims: Claims, dead: Process, left: str) -> None:
    for round_ in range(10):
        path = f"claims/{round_}"
        if left != "nothing":
            driver.put(path, claim_of(dead) if left == "dead" else b"true")
        taken = together(8, lambda number, path=path: claims.take(path, str(number)))
        winners: list[Claim] = [claim for claim in taken if claim]
        assert len(winners) == 1
        assert claims.holds(winners[0])
