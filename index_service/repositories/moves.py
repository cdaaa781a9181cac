"""The tag history: tags set and deleted, by one person or in one namespace.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.accounts.models import User
from index_service.repositories.models import Repository, TagMove

Moves: TypeAlias = Select[str, str, str, str | None, str | None, str, str, datetime]
"""What `found` asks."""


@dataclass(frozen=True, slots=True)
class Move:
    """A tag that was set to an image, or deleted if `image_id` is None; `person` is empty if unknown."""

    repository: RepositoryName
    tag: str
    image_id: str | None
    previous_id: str | None
    person: str
    client: str
    at: datetime


def by_person(user_id: int) -> ColumnElement[bool]:
    return TagMove.user_id == user_id


def in_namespace(namespace: str) -> ColumnElement[bool]:
    return Repository.namespace == namespace


def latest(
    session: Session, whose: ColumnElement[bool], visible: ColumnElement[bool], limit: int, offset: int
) -> list[Move]:
    """The latest events in `visible` repositories, the newest first."""
    return found(session, latest_of(whose, visible).limit(limit).offset(offset))


def latest_of(*conditions: ColumnElement[bool]) -> Moves:
    """A query for `found`, the newest first."""
    return (
        select(*_COLUMNS)
        .join(Repository, Repository.id == TagMove.repository_id)
        .outerjoin(User, User.id == TagMove.user_id)
        .where(*conditions)
        .order_by(TagMove.at.desc(), TagMove.id.desc())
    )


def found(session: Session, statement: Moves, asked: Mapping[str, Any] | None = None) -> list[Move]:
    """The events that a query made by `latest_of` finds."""
    return [_move(*row) for row in session.execute(statement, asked)]


_COLUMNS = (
    Repository.namespace,
    Repository.name,
    TagMove.tag,
    TagMove.image_id,
    TagMove.previous_id,
    User.name,
    TagMove.client,
    TagMove.at,
)


def _move(
    namespace: str,
    name: str,
    tag: str,
    image_id: str | None,
    previous_id: str | None,
    person: str | None,
    client: str,
    at: datetime,
) -> Move:
    return Move(RepositoryName(namespace, name), tag, image_id, previous_id, person or "", client, at)
