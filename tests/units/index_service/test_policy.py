"""The policy, case by case: it is a pure function, so it is tested as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import Forbidden, NotFound, Unauthenticated
from common.names import RepositoryName
from index_service.accounts.actor import Actor, Limits
from index_service.repositories.policy import Action, PolicyInput, Role, permits, require

ANN = Actor(1, "ann", False)
APP = RepositoryName("acme", "app")
PUBLIC, PRIVATE, ABSENT = PolicyInput(APP, True), PolicyInput(APP, True, is_private=True), PolicyInput(APP)
WRITES = (Action.CREATE, Action.WRITE)
RULES = (Action.DELETE, Action.MANAGE)


def allowed(facts, actor=ANN):
    return {action for action in Action if permits(actor, facts, action)}


@pytest.mark.parametrize(
    ("role", "allows"),
    [
        (None, set()),
        (Role.READ, {Action.READ}),
        (Role.WRITE, {Action.READ, *WRITES}),
        (Role.ADMIN, {*Action}),
    ],
)
def test_what_each_role_allows(role, allows):
    assert allowed(replace(PRIVATE, role=role)) == allows
    assert allowed(replace(PUBLIC, role=role)) == allows | {Action.READ}
    assert allowed(replace(PUBLIC, role=role, login_only=True)) == allows | {Action.READ}


def test_without_a_login():
    assert allowed(PUBLIC, None) == {Action.READ}
    assert allowed(PRIVATE, None) == allowed(ABSENT, None) == allowed(replace(PUBLIC, login_only=True), None) == set()


@pytest.mark.parametrize(
    ("pattern", "can_write", "allows"),
    [
        ("*", False, {Action.READ}),
        ("acme/*", True, {Action.READ, *WRITES}),
        ("acme/app", True, {Action.READ, *WRITES}),
        ("acme/ap", True, set()),
        ("other/*", True, set()),
        ("acme/a.p", True, set()),
    ],
)
def test_an_access_token_opens_no_more_than_it_was_made_for(pattern, can_write, allows):
    limited = replace(ANN, limits=Limits(1, pattern, can_write))
    assert allowed(replace(PRIVATE, role=Role.ADMIN), limited) == allows
    assert allowed(replace(PUBLIC, role=Role.ADMIN), limited) == allows | {Action.READ}
    assert allowed(replace(PUBLIC, login_only=True), limited) == allows - {*WRITES}


def refusal(actor, facts, action):
    try:
        require(actor, facts, action)
    except (Forbidden, NotFound, Unauthenticated) as failure:
        return type(failure), failure.message
    return None


@pytest.mark.parametrize("actor", [None, ANN])
@pytest.mark.parametrize("login_only", [False, True])
def test_hidden_and_absent_are_refused_in_the_same_words(actor, login_only):
    hidden, absent, shown = (replace(facts, login_only=login_only) for facts in (PRIVATE, ABSENT, PUBLIC))
    for action in Action:
        assert refusal(actor, hidden, action) == refusal(actor, absent, action) is not None
    for action in (*WRITES, *RULES):
        assert refusal(actor, shown, action) == refusal(actor, absent, action)


def test_where_nobody_reads_without_a_login_that_is_all_that_is_said():
    for facts in (PUBLIC, PRIVATE, ABSENT):
        assert refusal(None, replace(facts, login_only=True), Action.READ) == (
            Unauthenticated,
            "Requires authorization",
        )


def test_who_may_is_told_that_a_repository_does_not_exist():
    own = replace(ABSENT, role=Role.ADMIN)
    assert refusal(ANN, own, Action.CREATE) is None
    for action in (Action.READ, Action.WRITE, *RULES):
        assert issubclass(refusal(ANN, own, action)[0], NotFound)


@pytest.mark.parametrize(
    ("pattern", "name", "opens"),
    [
        ("acme/app", "acme/app", True),
        ("acme/app", "acme/apps", False),
        ("*", "acme/app", True),
        ("acme/*", "acme/", True),
        ("*/app", "acme/app", True),
        ("a*e/*p", "acme/app", True),
        ("acme/ab*ba", "acme/aba", False),
        ("acme/ab*ba", "acme/abba", True),
        ("acme/*a*b*", "acme/xbxa", False),
        ("**acme**", "acme/app", True),
        ("acme/a.p", "acme/app", False),
    ],
)
def test_a_pattern_matches_all_of_a_name(pattern, name, opens):
    assert Limits(1, pattern, can_write=False).opens(name) is opens


def test_no_pattern_makes_matching_go_back_and_forth():
    """With a regular expression this would not end."""
    assert not Limits(1, "alice/" + "*a" * 60 + "*b", can_write=False).opens("alice/" + "a" * 240)
