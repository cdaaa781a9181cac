"""Tokens for reading, of v1 and of `/v2/`: to what anybody may read they are those that anybody gets, and no row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from index_service.accounts.actor import Actor
from index_service.database import Database

T = TypeVar("T")


def issue(
    database: Database,
    actor: Actor | None,
    issue_to: Callable[[Session, Actor | None], T],
    is_public: Callable[[Session], bool],
) -> T:
    """What `issue_to` issues to the actor, or to anybody if all of it `is_public`.

    Only what is private takes a row, by which it can be revoked.
    """
    with database.reading() as session:
        if actor is None or is_public(session):
            return issue_to(session, None)
    with database.writing(is_lasting=False) as session:
        return issue_to(session, actor)
