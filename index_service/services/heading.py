"""What stands at the head of every page of a repository."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.accounts.people import Actor
from index_service.repositories.models import Repository, TagRecord
from index_service.repositories.policy import Action
from index_service.repositories.roles import Gate
from index_service.social.models import Comment, Star


@dataclass(frozen=True, slots=True)
class Heading:
    """A repository, how many tags and comments it has, and what who asks may do with it.

    `layer_bytes` is what all its layers take, as far as they are known.
    """

    full_name: RepositoryName
    description: str
    is_private: bool
    is_official: bool
    star_count: int
    is_starred: bool
    pull_count: int
    layer_bytes: int
    created_at: datetime
    pushed_at: datetime
    tags: int
    comments: int
    may_write: bool
    may_manage: bool


def of(session: Session, gate: Gate, actor: Actor | None, repository: Repository) -> Heading:
    """The heading for who may read the repository; hidden comments are not counted."""
    tags, comments, is_starred = _counts(session, actor, repository.id)
    return Heading(
        full_name=repository.full_name,
        description=repository.description,
        is_private=repository.is_private,
        is_official=repository.full_name.is_library,
        star_count=repository.star_count,
        is_starred=is_starred,
        pull_count=repository.pull_count,
        layer_bytes=repository.layer_bytes,
        created_at=repository.created_at,
        pushed_at=repository.pushed_at,
        tags=tags,
        comments=comments,
        may_write=gate.permits(session, actor, repository, Action.WRITE),
        may_manage=gate.permits(session, actor, repository, Action.MANAGE),
    )


def _counts(session: Session, actor: Actor | None, repository_id: int) -> tuple[int, int, bool]:
    tagged = (TagRecord.repository_id == repository_id, TagRecord.image_id.is_not(None))
    shown = (Comment.repository_id == repository_id, Comment.hidden_at.is_(None))
    mine = (Star.repository_id == repository_id, Star.user_id == (None if actor is None else actor.id))
    tags, comments, stars = (
        select(func.count()).select_from(model).where(*of_it).scalar_subquery()
        for model, of_it in ((TagRecord, tagged), (Comment, shown), (Star, mine))
    )
    found = session.execute(select(tags, comments, stars)).one()
    return found[0], found[1], bool(found[2])
