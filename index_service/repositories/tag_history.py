"""The tag history: tags set and deleted, by one person or in one namespace.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.accounts.models import User
from index_service.repositories.models import Repository, TagHistoryRecord

TagHistoryQuery: TypeAlias = Select[str, str, str, str | None, str | None, str, str, datetime]
"""A query that `fetch` executes."""

_PROGRAM = re.compile(r"([A-Za-z][\w-]{0,30})/(\d[\w.-]{0,30})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TagHistoryEvent:
    """A tag that was set to an image, or deleted if `image_id` is None; `person` is empty if unknown."""

    repository: RepositoryName
    tag: str
    image_id: str | None
    previous_id: str | None
    person: str
    client: str
    at: datetime

    @property
    def program(self) -> str:
        return client_program(self.client)


def client_program(client: str) -> str:
    """A short form of a User-Agent, such as `docker 1.6.2`; unchanged if it names no program and version."""
    found = _PROGRAM.search(client)
    return f"{found[1]} {found[2]}" if found else client[:40]


def by_person(user_id: int) -> ColumnElement[bool]:
    return TagHistoryRecord.user_id == user_id


def in_namespace(namespace: str) -> ColumnElement[bool]:
    return Repository.namespace == namespace


def latest(
    session: Session, whose: ColumnElement[bool], visible: ColumnElement[bool], limit: int, offset: int
) -> list[TagHistoryEvent]:
    """The latest events in `visible` repositories, the newest first."""
    return fetch(session, query_latest(whose, visible).limit(limit).offset(offset))


def query_latest(*conditions: ColumnElement[bool]) -> TagHistoryQuery:
    """A query for `fetch`, the newest first."""
    return (
        select(*_COLUMNS)
        .join(Repository, Repository.id == TagHistoryRecord.repository_id)
        .outerjoin(User, User.id == TagHistoryRecord.user_id)
        .where(*conditions)
        .order_by(TagHistoryRecord.at.desc(), TagHistoryRecord.id.desc())
    )


def fetch(
    session: Session, statement: TagHistoryQuery, asked: Mapping[str, Any] | None = None
) -> list[TagHistoryEvent]:
    """The events that a query made by `query_latest` finds."""
    return [_event(*row) for row in session.execute(statement, asked)]


_COLUMNS = (
    Repository.namespace,
    Repository.name,
    TagHistoryRecord.tag,
    TagHistoryRecord.image_id,
    TagHistoryRecord.previous_id,
    User.name,
    TagHistoryRecord.client,
    TagHistoryRecord.at,
)


def _event(
    namespace: str,
    name: str,
    tag: str,
    image_id: str | None,
    previous_id: str | None,
    person: str | None,
    client: str,
    at: datetime,
) -> TagHistoryEvent:
    return TagHistoryEvent(
        repository=RepositoryName(namespace, name),
        tag=tag,
        image_id=image_id,
        previous_id=previous_id,
        person=person or "",
        client=client,
        at=at,
    )
