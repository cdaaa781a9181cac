"""What search knows of a repository, written in the transaction of whatever changed it.

Whoever changes a repository's name, description or README, or an annotation in it, calls `refresh`; what is deleted is
forgotten by the database itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from index_service.repositories.models import Repository
from index_service.search import words
from index_service.search.engines import engine_of
from index_service.social.models import Comment

AT_ONCE = 500


def refresh(session: Session, *repository_ids: int) -> None:
    """Know these repositories as they are now; what the session has changed and not yet written is written first."""
    session.flush()
    annotations = _annotations(session, repository_ids)
    columns = (Repository.id, Repository.namespace, Repository.name, Repository.description, Repository.readme)
    rows = session.execute(select(*columns).where(Repository.id.in_(repository_ids)))
    bags = {
        number: words.of_repository(namespace, name, [description, readme, *annotations.get(number, ())])
        for number, namespace, name, description, readme in rows
    }
    engine_of(session).put(session, bags)


def refresh_after(session: Session, last: int, limit: int = AT_ONCE) -> int | None:
    """Refresh the repositories that follow number `last`; returns the last of them, None where none follows."""
    following = select(Repository.id).where(Repository.id > last).order_by(Repository.id).limit(limit)
    numbers = list(session.scalars(following))
    refresh(session, *numbers)
    return numbers[-1] if numbers else None


def _annotations(session: Session, repository_ids: Sequence[int]) -> dict[int, list[str]]:
    """What is pinned in each of the repositories and not hidden, the newest first."""
    found: dict[int, list[str]] = {}
    pinned = or_(Comment.tag.is_not(None), Comment.image_id.is_not(None))
    rows = session.execute(
        select(Comment.repository_id, Comment.body)
        .where(Comment.repository_id.in_(repository_ids), pinned, Comment.hidden_at.is_(None))
        .order_by(Comment.id.desc())
    )
    for number, body in rows:
        found.setdefault(number, []).append(body)
    return found
