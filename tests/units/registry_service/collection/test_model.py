"""That a collection loses nothing, at every interleaving with those who push, tag, delete and pull; and that the order
of its steps and theirs is needed for it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.units.registry_service.collection.model import (
    BASE,
    COLLECT,
    TOP,
    Actor,
    Program,
    World,
    collected,
    explore,
    is_at_rest,
    push,
    tag,
)

CONDEMNED = frozenset({(BASE, "old"), (TOP, "old")})

UNTAG: Program = (("untag", "old"),)
PULL: Program = (("read tags", ""), ("pull", ""))


def together(*programs: Program, stones: frozenset[tuple[str, str]] = CONDEMNED, **world: object) -> World:
    """Actors beside a collector, over a store whose images were condemned a grace ago."""
    actors = tuple(Actor(f"{number}", program) for number, program in enumerate(programs))
    return World(actors=(Actor("collector", COLLECT), *actors), stones=stones)._replace(**world)


WORLDS: dict[str, Callable[[], World]] = {
    "a push": lambda: together(push(TOP)),
    "a push into an empty store": lambda: together(
        push(TOP), layers=frozenset(), rests=frozenset(), stones=frozenset()
    ),
    "a push, while days pass": lambda: together(push(TOP), graces=2),
    "a push, and the collector is killed": lambda: together(COLLECT, push(TOP), deaths=1),
    "two who tag": lambda: together(tag(TOP), tag(BASE)),
    "two who tag, and any is killed": lambda: together(tag(TOP), tag(BASE), COLLECT, deaths=1),
    "one who tags, while days pass": lambda: together(tag(TOP), COLLECT, graces=2),
    "a tag moved from one name to another": lambda: together(
        tag(TOP) + UNTAG, PULL, tags=frozenset({("old", TOP)}), stones=frozenset(), graces=1
    ),
    "a tag deleted and set again": lambda: together(
        UNTAG, tag(BASE), COLLECT, tags=frozenset({("old", TOP)}), stones=frozenset(), graces=2
    ),
    "pulls": lambda: together(UNTAG, PULL, COLLECT, tags=frozenset({("old", TOP)}), stones=frozenset(), graces=2),
}


@pytest.mark.parametrize("start", WORLDS.values(), ids=WORLDS.keys())
def test_nothing_is_lost_and_nothing_stays(start: Callable[[], World]) -> None:
    ends = 0
    for world in explore(start()):
        assert world.faults() == []
        if is_at_rest(world):
            ends += 1
            last = collected(world)
            assert last.rests == last.reached() | last.intended() & last.rests
    assert ends > 1


def test_a_collection_takes_what_was_condemned() -> None:
    (end,) = (world for world in explore(together()) if is_at_rest(world))
    assert end.rests == frozenset()


def test_nothing_is_taken_before_it_was_condemned_for_a_grace() -> None:
    assert all(BASE in world.layers for world in explore(together(COLLECT, stones=frozenset())))
    assert any(BASE not in world.layers for world in explore(together(COLLECT, stones=frozenset(), graces=1)))


def swapped(program: Program, first: str, second: str) -> Program:
    """The same with the first two steps of these names in each other's place."""
    steps = list(program)
    here, there = ([verb for verb, _ in steps].index(verb) for verb in (first, second))
    steps[here], steps[there] = steps[there], steps[here]
    return tuple(steps)


def instead(program: Program, verb: str, other: str) -> Program:
    return tuple((other if each == verb else each, subject) for each, subject in program)


def without(program: Program, verb: str) -> Program:
    return tuple(step for step in program if step[0] != verb)


WRONG: dict[str, Callable[[], World]] = {
    "tags before intents": lambda: collecting(
        swapped(COLLECT, "spare what is intended", "spare what is tagged"), tag(TOP)
    ),
    "no look at the intents": lambda: collecting(without(COLLECT, "spare what is intended"), tag(TOP)),
    "no look at the tags": lambda: collecting(without(COLLECT, "spare what is tagged"), tag(TOP)),
    "no look at the stones": lambda: collecting(without(COLLECT, "spare the rescued"), push(TOP)),
    "any stone counts": lambda: collecting(
        instead(COLLECT, "spare the rescued", "spare what is condemned at all"), push(TOP)
    ),
    "intents before the announcement": lambda: collecting(
        swapped(COLLECT, "announce", "spare what is intended"), tag(TOP)
    ),
    "stones before the announcement": lambda: collecting(swapped(COLLECT, "announce", "spare the rescued"), push(TOP)),
    "layers before the announcement": lambda: collecting(swapped(COLLECT, "announce", "delete the layer"), tag(TOP)),
    "a tag before its check": lambda: collecting(COLLECT, swapped(tag(TOP), "check", "tag")),
    "a check before the intent": lambda: collecting(COLLECT, swapped(tag(TOP), "intend", "check")),
    "an announcement not awaited": lambda: collecting(COLLECT, without(tag(TOP), "await the announcement")),
    "an intent dropped before the tag": lambda: collecting(COLLECT, swapped(tag(TOP), "tag", "forget")),
    "an intent of the top alone": lambda: collecting(COLLECT, instead(tag(TOP), "intend", "intend the top alone")),
    "no rescue": lambda: collecting(COLLECT, without(push(TOP), "rescue")),
    "a rescue after the look": lambda: collecting(COLLECT, swapped(push(TOP), "rescue", "look")),
    "an announcement not heeded": lambda: collecting(COLLECT, without(push(TOP), "heed the announcement")),
    "no claims": lambda: collecting(without(COLLECT, "claim"), push(TOP)),
}


def collecting(collect: Program, other: Program) -> World:
    return World(actors=(Actor("collector", collect), Actor("other", other)), stones=CONDEMNED, graces=1)


@pytest.mark.parametrize("start", WRONG.values(), ids=WRONG.keys())
def test_each_step_is_needed_where_it_is(start: Callable[[], World]) -> None:
    assert any(world.faults() for world in explore(start()))
