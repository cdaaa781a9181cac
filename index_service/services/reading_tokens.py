"""Tokens for reading, of v1 and of `/v2/`: while the database can only be read, those that anybody gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from index_service.accounts.actor import Actor
from index_service.database import UNWRITABLE, Database

T = TypeVar("T")


def issue(
    database: Database,
    actor: Actor | None,
    issue_to: Callable[[Session, Actor | None], T],
    is_public: Callable[[Session], bool],
) -> T:
    """What `issue_to` issues to the actor, which takes a row for somebody known. Where none can be written it is issued
    as to anybody, if all of it `is_public`; raises ReadOnly or Full otherwise.
    """
    if actor is not None:
        try:
            with database.writing() as session:
                return issue_to(session, actor)
        except UNWRITABLE:
            with database.reading() as session:
                if not is_public(session):
                    raise
    with database.reading() as session:
        return issue_to(session, None)
