"""The rows of the OCI distribution specification, against every set-up; and their command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.clients.generations import NEWEST
from tests.conformance.distribution import Run, Session
from tests.journeys.test_generations import chain_for, daemon_of
from tests.servers.services import ROOT
from tests.servers.setups import ALICE, ALL, SetUp


@pytest.mark.parametrize("setup", ALL, indirect=True)
def test_rows(setup: SetUp) -> None:
    name, chain = setup.fresh_name("rows"), chain_for(NEWEST)
    daemon = daemon_of(NEWEST, setup)
    for tag in ("one", "latest", "Two"):
        daemon.push(name, chain, tag)
    failed = [str(each) for each in Run(Session(setup.index, ALICE), name, "one").outcomes() if each.complaint]
    assert not failed, "\n".join(failed)


def test_the_rows_can_be_pointed_at_a_url(split: SetUp) -> None:
    name = split.fresh_name("rows")
    daemon_of(NEWEST, split).push(name, chain_for(NEWEST))
    command = [sys.executable, "-m", "tests.conformance.distribution", "--url", split.index.url, "--name", name]
    for tag, status in (("latest", 0), ("absent", 1)):
        done = subprocess.run([*command, "--tag", tag], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == status, done.stdout
        assert ("FAIL" in done.stdout) is bool(status)
