"""What somebody did lately: tags set and deleted, by one person or in one namespace.

Every function takes the session of the transaction it is part of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.accounts.models import User
from index_service.repositories.models import Repository, TagMove


@dataclass(frozen=True, slots=True)
class Move:
    """A tag that was set to an image, or deleted where `image_id` is None; `person` is empty where nobody knows."""

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
    """Of what is `visible`, the newest first."""
    rows = session.execute(
        select(TagMove, Repository.namespace, Repository.name, User.name)
        .join(Repository, Repository.id == TagMove.repository_id)
        .outerjoin(User, User.id == TagMove.user_id)
        .where(whose, visible)
        .order_by(TagMove.at.desc(), TagMove.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return [_move(*row) for row in rows]


def _move(move: TagMove, namespace: str, name: str, person: str | None) -> Move:
    return Move(
        RepositoryName(namespace, name), move.tag, move.image_id, move.previous_id, person or "", move.client, move.at
    )
