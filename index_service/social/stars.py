"""Stars; a repository's count is updated in the transaction that adds or removes one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from index_service.db import insert_missing
from index_service.repositories.models import Repository
from index_service.social.models import Star


def add(session: Session, user_id: int, repository_id: int, now: datetime) -> None:
    """Star a repository; once starred, it stays as it is."""
    if not has(session, user_id, repository_id):
        _lock(session, repository_id)
        insert_missing(session, Star, [{"user_id": user_id, "repository_id": repository_id, "created_at": now}])
        _recount(session, repository_id)


def remove(session: Session, user_id: int, repository_id: int) -> None:
    _lock(session, repository_id)
    gone = session.execute(delete(Star).where(Star.user_id == user_id, Star.repository_id == repository_id))
    if cast("CursorResult[Any]", gone).rowcount:
        _recount(session, repository_id)


def has(session: Session, user_id: int, repository_id: int) -> bool:
    given = select(Star.user_id).where(Star.user_id == user_id, Star.repository_id == repository_id)
    return session.scalar(given) is not None


def _lock(session: Session, repository_id: int) -> None:
    """Lock the repository's stars until the transaction ends."""
    session.execute(select(Repository.id).where(Repository.id == repository_id).with_for_update(key_share=True))


def _recount(session: Session, repository_id: int) -> None:
    stars = select(func.count()).select_from(Star).where(Star.repository_id == repository_id).scalar_subquery()
    session.execute(update(Repository).where(Repository.id == repository_id).values(star_count=stars))
