"""Who is an administrator, and how long a password that was given counts: decided once, for every door."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.errors import Forbidden, Unauthenticated
from index_service.accounts.actor import Actor, Limits
from index_service.accounts.privileges import (
    REAUTHENTICATION_LASTS,
    is_administrator,
    is_reauthenticated,
    require_administrator,
)
from index_service.json_api import openapi

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2015, 6, 8, 12, tzinfo=UTC)
ROOT_ITSELF = Actor(1, "root", True)
ROOTS_TOKEN = Actor(1, "root", True, Limits(1, "*", True))
ANN = Actor(2, "ann", False)


def test_an_access_token_is_never_an_administrator():
    assert [is_administrator(each) for each in (ROOT_ITSELF, ROOTS_TOKEN, ANN, None)] == [True, False, False, False]


@pytest.mark.parametrize(("actor", "refusal"), [(None, Unauthenticated), (ANN, Forbidden), (ROOTS_TOKEN, Forbidden)])
def test_who_is_no_administrator_is_refused(actor, refusal):
    with pytest.raises(refusal):
        require_administrator(actor)


def test_an_administrator_goes_on():
    assert require_administrator(ROOT_ITSELF) is ROOT_ITSELF


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (timedelta(), True),
        (REAUTHENTICATION_LASTS, True),
        (REAUTHENTICATION_LASTS + timedelta(microseconds=1), False),
        (timedelta(1), False),
    ],
)
def test_a_password_counts_for_a_while(ago, counts):
    assert is_reauthenticated(NOW - ago, NOW) is counts


def test_the_api_says_for_how_long():
    assert "in the last 15 minutes" in " ".join(words for _, _, words in openapi._WHO.values())


def test_nobody_else_decides_it():
    """Whether an actor is an administrator is asked of the policy, and of the roles in `library`."""
    deciding = {
        path.relative_to(ROOT / "index_service").as_posix()
        for path in (ROOT / "index_service").rglob("*.py")
        if re.search(r"(actor|found)\.is_admin\b|timedelta\(minutes=15\)", path.read_text(encoding="utf-8"))
    }
    assert deciding == {"accounts/privileges.py", "repositories/roles.py"}
