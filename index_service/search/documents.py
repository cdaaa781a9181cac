"""Search documents: what the index of words stores of a repository, updated in the transaction that changes it.

Every change of a repository's name, description or README, or of an annotation in it, calls `refresh`; the database
removes the documents of deleted repositories itself. A repository records the version of its document (`terms`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from index_service.repositories.models import Repository
from index_service.search import terms
from index_service.search.engines import engine_of
from index_service.social.models import Comment

AT_ONCE = 500


def refresh(session: Session, *repository_ids: int) -> None:
    """Update the documents of these repositories; the session's pending changes are flushed first."""
    session.flush()
    annotations = _annotations(session, repository_ids)
    columns = (Repository.id, Repository.namespace, Repository.name, Repository.description, Repository.readme)
    rows = session.execute(select(*columns).where(Repository.id.in_(repository_ids)))
    bags = {
        number: terms.bag_of_words(namespace, name, [description, readme, *annotations.get(number, ())])
        for number, namespace, name, description, readme in rows
    }
    engine_of(session).put(session, bags)
    outdated = Repository.id.in_(repository_ids), Repository.search_version != terms.VERSION
    session.execute(
        update(Repository).where(*outdated).values(search_version=terms.VERSION),
        execution_options={"synchronize_session": False},
    )


def refresh_outdated(session: Session, after: int, limit: int = AT_ONCE) -> int | None:
    """Write the documents of repositories that have none or one of another version, and follow number `after`.

    At most `limit` of them; returns the number of the last one, None where no document is outdated.
    """
    engine = engine_of(session)
    has_document = select(engine.key).where(engine.key == Repository.id).correlate(Repository).exists()
    is_outdated = or_(Repository.search_version != terms.VERSION, ~has_document)
    outdated = select(Repository.id).where(Repository.id > after, is_outdated).order_by(Repository.id).limit(limit)
    # Nobody may change or delete one of them before its document is written.
    numbers = list(session.scalars(outdated.with_for_update()))
    refresh(session, *numbers)
    return numbers[-1] if numbers else None


def _annotations(session: Session, repository_ids: Sequence[int]) -> dict[int, list[str]]:
    """The annotations in each of the repositories that are not hidden, the newest first."""
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
