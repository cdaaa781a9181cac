"""Repository summaries, the header of each of a repository's pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session, undefer_group

from common.names import RepositoryName
from index_service.accounts.actor import Actor
from index_service.database import Database
from index_service.db import PREPARED_STATEMENT
from index_service.repositories import catalogue
from index_service.repositories.models import Repository, TagRecord
from index_service.repositories.policy import Action, permits
from index_service.repositories.roles import AccessControl
from index_service.social.comments import on_tags_of
from index_service.social.models import Comment, Star


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySummary:
    """A summary of a repository, and what the actor may do with it: push and annotate, or manage it."""

    name: RepositoryName
    description: str
    is_private: bool
    is_starred: bool
    star_count: int
    pull_count: int
    tag_count: int
    comment_count: int
    layer_bytes: int
    pushed_at: datetime
    may_write: bool
    may_manage: bool


@dataclass(frozen=True, slots=True)
class Summarized:
    """A repository with its summary, and whether its tags or their images have annotations, visible or not."""

    repository: Repository
    head: RepositorySummary
    is_annotated: bool


class Summaries:
    """Loads summaries with a constant number of queries."""

    def __init__(self, database: Database, access_control: AccessControl) -> None:
        self._database = database
        self._access_control = access_control

    def of(self, actor: Actor | None, name: RepositoryName) -> RepositorySummary:
        """Raises as the policy does if the actor may not read it."""
        with self._database.reading() as session:
            return self.read(session, actor, name).head

    def read(self, session: Session, actor: Actor | None, name: RepositoryName) -> Summarized:
        """The same within the caller's transaction."""
        asked = {**catalogue.name_parameters(name), "reader": None if actor is None else actor.id}
        found = session.execute(_SUMMARY, asked).first()
        repository, tags, comments, is_starred, is_annotated = found or (None, 0, 0, False, False)
        repository = self._access_control.require(session, actor, name, repository, Action.READ)
        facts = self._access_control.policy_input(session, actor, name, repository)
        head = RepositorySummary(
            name=name,
            description=repository.description,
            is_private=repository.is_private,
            is_starred=bool(is_starred),
            star_count=repository.star_count,
            pull_count=repository.pull_count,
            tag_count=tags,
            comment_count=comments,
            layer_bytes=repository.layer_bytes,
            pushed_at=repository.pushed_at,
            may_write=permits(actor, facts, Action.WRITE),
            may_manage=permits(actor, facts, Action.MANAGE),
        )
        return Summarized(repository, head, bool(is_annotated))


_TAGS = select(func.count()).where(TagRecord.repository_id == Repository.id, TagRecord.image_id.is_not(None))
_COMMENTS = select(func.count()).where(Comment.repository_id == Repository.id, Comment.hidden_at.is_(None))
_STAR = select(Star.user_id).where(Star.repository_id == Repository.id, Star.user_id == bindparam("reader"))
_SUMMARY = (
    select(
        Repository,
        _TAGS.scalar_subquery(),
        _COMMENTS.scalar_subquery(),
        _STAR.exists(),
        on_tags_of(Repository.id).exists(),
    )
    .options(undefer_group("texts"))
    .where(catalogue.IS_NAMED)
    .execution_options(**PREPARED_STATEMENT)
)
