"""The policy, case by case: it is a pure function, so it is tested as one."""

from __future__ import annotations

import pytest

from common.errors import Forbidden, NotFound, Unauthenticated
from common.names import RepositoryName
from index_service.accounts.people import Actor
from index_service.repositories.policy import Action, Facts, permits, require

ALICE, BOB, ROOT = Actor(1, "alice", False), Actor(2, "bob", False), Actor(3, "root", True)
EVERYBODY = (None, ALICE, BOB, ROOT)
APP, OFFICIAL = RepositoryName("alice", "app"), RepositoryName("library", "app")
PUBLIC, PRIVATE, ABSENT = Facts(APP, ALICE.id), Facts(APP, ALICE.id, is_private=True), Facts(APP)
WRITES = (Action.CREATE, Action.WRITE, Action.DELETE)


def allowed(facts, action):
    return [actor for actor in EVERYBODY if permits(actor, facts, action)]


@pytest.mark.parametrize(
    ("facts", "readers", "writers"),
    [
        (PUBLIC, [*EVERYBODY], [ALICE]),
        (PRIVATE, [ALICE], [ALICE]),
        (Facts(OFFICIAL, ALICE.id), [*EVERYBODY], [ROOT]),
        (Facts(OFFICIAL, ROOT.id, is_private=True), [ROOT], [ROOT]),
    ],
)
def test_who_may_do_what_with_what_exists(facts, readers, writers):
    assert allowed(facts, Action.READ) == readers
    for action in WRITES:
        assert allowed(facts, action) == writers


def test_who_may_take_a_name():
    assert allowed(ABSENT, Action.CREATE) == [ALICE]
    assert allowed(Facts(OFFICIAL), Action.CREATE) == [ROOT]
    assert allowed(Facts(RepositoryName("library", "alice")), Action.CREATE) == [ROOT]


def refusal(actor, facts, action):
    try:
        require(actor, facts, action)
    except (Forbidden, NotFound, Unauthenticated) as failure:
        return type(failure), failure.message
    return None


@pytest.mark.parametrize("actor", [None, BOB, ROOT])
def test_hidden_and_absent_are_refused_in_the_same_words(actor):
    for action in Action:
        assert refusal(actor, PRIVATE, action) == refusal(actor, ABSENT, action) is not None
    for action in WRITES:
        assert refusal(actor, PUBLIC, action) == refusal(actor, ABSENT, action)


def test_its_owner_is_told_that_a_repository_does_not_exist():
    assert refusal(ALICE, ABSENT, Action.CREATE) is None
    for action in (Action.READ, Action.WRITE, Action.DELETE):
        assert issubclass(refusal(ALICE, ABSENT, action)[0], NotFound)
