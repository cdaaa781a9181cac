"""The wire contract, row by row, against every set-up; and the table's own command line."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from tests.conformance.wire import Outcome, Run
from tests.conformance.wire_rows import ROWS, Row
from tests.servers.services import ADMIN, ROOT
from tests.servers.setups import ALL, STANDALONE, SetUp, SetUps

CASES = [
    pytest.param(setup, row, id=f"{setup}-{row.rule}-{row.says}-{row.ask.split()[0]}")
    for setup in ALL
    for row in ROWS
    if row.only in ("", "library", "standalone" if setup in STANDALONE else "index")
]


@pytest.fixture(scope="module")
def outcomes_of(setups: SetUps) -> object:
    """The whole table, run once against each set-up."""

    @cache
    def run(name: str) -> dict[int, Outcome]:
        setup = setups[name]
        table = Run(setup.index, setup.registry, ADMIN.name, ADMIN.password)
        return {id(outcome.row): outcome for outcome in table.outcomes()}

    return run


@pytest.mark.parametrize(("name", "row"), CASES)
def test_row(outcomes_of: object, name: str, row: Row) -> None:
    assert callable(outcomes_of)
    outcome = outcomes_of(name)[id(row)]
    assert not outcome.complaint, str(outcome)


def run_table(setup: SetUp, registry: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.conformance.wire", "--index", setup.index.url, "--registry", registry]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_table_can_be_pointed_at_a_url(split: SetUp) -> None:
    done = run_table(split, split.registry.url)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith(" 0 failed\n")


def test_the_table_fails_where_the_contract_is_broken(split: SetUp) -> None:
    """An index in the registry's place knows no image."""
    done = run_table(split, split.index.url)
    assert done.returncode == 1
    assert "FAIL 0.12" in done.stdout
