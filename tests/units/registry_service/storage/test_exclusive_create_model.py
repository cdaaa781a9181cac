"""That exclusive creation excludes: every interleaving of two processes, and schedules of more drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.units.registry_service.storage.exclusive_create_model import PATIENCE, Run, explore


def by_number(number: int, _turn: int) -> int:
    """The first process has the least name whenever it comes."""
    return number


def by_turns(number: int, turn: int) -> int:
    """Whoever came back comes before whom it met."""
    return (number + turn) % 2


def in_vain(_number: int, turn: int) -> int:
    """Whoever comes later stands in front."""
    return -turn


ranks = pytest.mark.parametrize("ranks", [by_number, by_turns, in_vain], ids=lambda ranks: ranks.__name__)
Ranks = Callable[[int, int], int]


def creators(run: Run) -> list[int]:
    return [number for number, outcome in enumerate(run.outcomes()) if outcome is True]


def check_exclusive(run: Run) -> None:
    """Whatever was killed and however late it was, nobody is told that it created what another created."""
    assert len(creators(run)) <= 1
    assert run.content is not None or "killed" in run.outcomes()


def check_settled(run: Run) -> None:
    """Where nobody died and nobody was late, one created the path, all others know, and nothing is left."""
    assert sorted(map(str, run.outcomes())) == ["False"] * (len(run.processes) - 1) + ["True"]
    assert run.content == str(creators(run)[0]).encode()
    assert run.candidates == {}
    assert run.time < PATIENCE


@ranks
def test_every_interleaving_of_two(ranks: Ranks) -> None:
    runs = list(explore(lambda: Run(2, ranks)))
    for run in runs:
        check_settled(run)
    assert {creators(run)[0] for run in runs} == {0, 1}


@ranks
def test_either_of_two_may_be_killed_anywhere(ranks: Ranks) -> None:
    """The other waits until the dead one's candidate is too old, and then creates the path or finds it there."""
    runs = list(explore(lambda: Run(2, ranks, kills=1)))
    assert len(runs) > 50
    for run in runs:
        check_exclusive(run)
        assert "failed" not in run.outcomes()
        assert run.content is not None


@ranks
def test_either_may_be_late_by_more_than_a_lifetime(ranks: Ranks) -> None:
    """It is taken for dead, or the other gives up: one of them may fail, and still they do not both succeed."""
    runs = list(explore(lambda: Run(2, ranks, lapses=1)))
    assert any("failed" in run.outcomes() for run in runs)
    for run in runs:
        check_exclusive(run)
        assert run.candidates == {}


def test_one_late_and_one_killed() -> None:
    for run in explore(lambda: Run(2, by_turns, kills=1, lapses=1)):
        check_exclusive(run)


@settings(max_examples=100, deadline=None)
@given(
    processes=st.integers(3, 5),
    turns=st.lists(st.integers(0, 10**6), max_size=100),
    drawn=st.lists(st.integers(0, 9), min_size=10, max_size=10),
    kills=st.integers(0, 2),
    lapses=st.integers(0, 2),
)
def test_any_schedule_of_many(processes: int, turns: list[int], drawn: list[int], kills: int, lapses: int) -> None:
    """Names are drawn at first and by number later, for without luck two may withdraw from each other for ever."""
    # When the drawn ones are used up, everybody's turn comes.
    dice = random.Random(len(turns))
    left = chain(turns, iter(lambda: dice.randrange(10**6), None))
    run = Run(processes, lambda n, turn: drawn[n + turn] if turn < 4 else 10 + n, kills=kills, lapses=lapses)
    assert run.play(lambda options: next(left) % options)
    check_exclusive(run)
    if "killed" not in run.outcomes() and run.lapses == lapses:
        check_settled(run)
