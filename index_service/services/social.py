"""Social features of repositories: stars, comments, annotations, and the overview page.

Each method is one request, served within short transactions or refused. An access token without write access to the
repository cannot star or comment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from sqlalchemy.orm import Session

from common.errors import Forbidden
from common.names import RepositoryName
from index_service import markdown
from index_service.accounts.actor import Actor
from index_service.accounts.privileges import is_administrator
from index_service.audit.log import AuditContext
from index_service.database import Database
from index_service.db import Clock
from index_service.images import tagged_images, translations, versions
from index_service.images.pull_commands import PullCommands
from index_service.registry_client import Translation
from index_service.repositories import activity, catalogue
from index_service.repositories.activity import DayOfPulls
from index_service.repositories.models import Repository
from index_service.repositories.policy import Action
from index_service.repositories.roles import AccessControl
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.search import documents
from index_service.services.summaries import RepositorySummary, Summaries, Summarized
from index_service.social import comments, stars
from index_service.social.comment_rate_limit import CommentRateLimit
from index_service.social.comments import CommentTarget, CommentView, ReportedComment, Viewer

PULL_DAYS = 90
MAX_ANNOTATIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The overview of a repository: README, tags in their natural order, the last event, and the annotations of its
    tags and their images. `size`, `image_id`, whether the image is kept apart and what it is by `/v2/` are of the tag
    shown, as far as they are known."""

    head: RepositorySummary
    readme: str
    readme_html: Markup
    source_url: str
    tags: list[str]
    tag: str | None
    image_id: str | None
    is_apart: bool | None
    size: int | None
    translation: Translation
    last_move: TagHistoryEvent | None
    days: list[DayOfPulls]
    annotations: list[CommentView]

    def commands(self, host: str, *, is_secure: bool) -> PullCommands | None:
        """What to type to pull the tag shown; None without one."""
        if self.tag is None:
            return None
        return PullCommands.of(host, self.head.name, self.tag, self.translation, is_secure=is_secure)


@dataclass(frozen=True, slots=True)
class Thread:
    """One page of a repository's comments, and the tags that the viewer may pin them to."""

    head: RepositorySummary
    views: list[CommentView]
    total: int
    tags: list[str]


@dataclass(frozen=True, slots=True)
class CommentHistory:
    """One comment and its earlier versions, the latest first."""

    head: RepositorySummary
    view: CommentView
    versions: list[tuple[str, datetime]]
    tags: list[str]


class Social:
    """The requests of readers."""

    def __init__(
        self,
        database: Database,
        access_control: AccessControl,
        summaries: Summaries,
        pace: CommentRateLimit,
        clock: Clock,
        *,
        confirmed: bool,
    ) -> None:
        """`confirmed`: whether commenting requires a confirmed email address."""
        self._database = database
        self._access_control = access_control
        self._summaries = summaries
        self._pace = pace
        self._clock = clock
        self._confirmed = confirmed

    def overview(self, actor: Actor | None, name: RepositoryName, tag: str | None = None) -> Overview:
        """With the metadata of one tag, by default the first in the natural order; an unknown tag counts as none.

        Raises as the policy does.
        """
        with self._database.reading() as session:
            found = self._summaries.read(session, actor, name)
            repository = found.repository
            tags = {str(each): str(image) for each, image in catalogue.tags(session, repository.id).items()}
            names = versions.newest_first(tags)
            chosen = tag if tag in tags else next(iter(names), None)
            image_id = None if chosen is None else tags[chosen]
            is_apart, size = (
                (None, None) if image_id is None else tagged_images.holding(session, repository.id, image_id)
            )
            of_image = translations.known(session, repository.id, [image_id] if image_id else [])
            return Overview(
                head=found.head,
                readme=repository.readme,
                readme_html=_rendered(repository),
                source_url=repository.source_url,
                tags=names,
                tag=chosen,
                image_id=image_id,
                is_apart=is_apart,
                size=size,
                translation=of_image.get(image_id or "", translations.UNKNOWN),
                last_move=activity.latest(session, repository.id),
                days=activity.daily_pulls(session, repository.id, self._clock().date(), PULL_DAYS),
                annotations=self._pinned(session, actor, found),
            )

    def _pinned(self, session: Session, actor: Actor | None, found: Summarized) -> list[CommentView]:
        if not found.is_annotated:
            return []
        visible = self._access_control.visible(actor)
        return comments.pinned_to_tags_of(session, visible, found.repository.id, MAX_ANNOTATIONS)

    def set_starred(self, actor: Actor, name: RepositoryName, *, is_starred: bool) -> None:
        """Raises as the policy does, and Forbidden."""
        with self._database.writing() as session:
            repository = self._readable(session, actor, name)
            _require_write_token(actor, name)
            if is_starred:
                stars.add(session, actor.id, repository.id, self._clock())
            else:
                stars.remove(session, actor.id, repository.id)

    def annotations(
        self, actor: Actor | None, name: RepositoryName | None, tags: Collection[str], image_ids: Collection[str]
    ) -> list[CommentView]:
        """The annotations of tags of one repository and of images anywhere that `actor` may see."""
        with self._database.reading() as session:
            repository = None if name is None else self._readable(session, actor, name)
            pairs = [] if repository is None else [(repository.id, tag) for tag in tags]
            return comments.pinned_to(session, self._access_control.visible(actor), tags=pairs, shared=image_ids)

    def thread(self, actor: Actor | None, name: RepositoryName, limit: int, offset: int) -> Thread:
        """Raises as the policy does."""
        with self._database.reading() as session:
            found, viewer = self._shown(session, actor, name)
            return Thread(
                found.head,
                comments.listed(session, found.repository.id, viewer, limit, offset),
                comments.count(session, found.repository.id, viewer),
                _tags(session, found.repository) if viewer.may_pin else [],
            )

    def comment(self, actor: Actor | None, name: RepositoryName, number: int) -> CommentHistory:
        """Raises as the policy does, and CommentNotFound."""
        with self._database.reading() as session:
            found, viewer = self._shown(session, actor, name)
            view = comments.find(session, found.repository.id, number, viewer)
            return CommentHistory(
                found.head,
                view,
                comments.versions(session, view),
                _tags(session, found.repository) if viewer.may_pin else [],
            )

    def write(self, actor: Actor, name: RepositoryName, body: object, target: CommentTarget = None) -> int:
        """Write a comment, pinned to `target` if the author has write access to the repository.

        Raises as the policy does, Forbidden, Invalid or TooMany.
        """
        with self._database.writing() as session:
            repository, viewer = self._open_to_comments(session, actor, name)
            if target is not None:
                _require_pin(viewer)
            number = comments.write(session, repository.id, actor.id, body, target, self._clock())
            if target is not None:
                documents.refresh(session, repository.id)
        return number

    def edit(self, actor: Actor, name: RepositoryName, number: int, body: object) -> None:
        """Raises as `write` does, and CommentNotFound."""
        with self._database.writing() as session:
            repository, viewer = self._open_to_comments(session, actor, name)
            view = comments.find(session, repository.id, number, viewer)
            comments.edit(session, view, viewer, body, self._clock())
            if view.is_pinned:
                documents.refresh(session, repository.id)

    def deletable(self, actor: Actor, name: RepositoryName, number: int) -> tuple[RepositorySummary, CommentView]:
        """A comment of the actor's, before it is deleted. Raises as the policy does, CommentNotFound or Forbidden."""
        with self._database.reading() as session:
            found, viewer = self._shown(session, actor, name)
            view = comments.find(session, found.repository.id, number, viewer)
            comments.require_deletable(view, viewer)
            return found.head, view

    def delete(self, actor: Actor, name: RepositoryName, number: int) -> None:
        """Delete a comment as its author, with its versions and flags. Raises as `deletable` does."""
        with self._changing(actor, name, number) as (session, view, viewer):
            _require_write_token(actor, name)
            comments.remove(session, view, viewer)

    def pin(self, actor: Actor, name: RepositoryName, number: int, target: CommentTarget) -> None:
        """Pin a comment or, with None, unpin it, which requires write access to the repository.

        Raises as the policy does, CommentNotFound, Forbidden or Invalid.
        """
        with self._changing(actor, name, number) as (session, view, viewer):
            _require_pin(viewer)
            comments.pin(session, view, target)

    def set_hidden(self, actor: Actor, client_ip: str, name: RepositoryName, number: int, *, is_hidden: bool) -> None:
        """Hide or show a comment as an administrator of the repository, or of the index if one of these hid it.

        Raises as the policy does, CommentNotFound or Forbidden.
        """
        with self._changing(actor, name, number) as (session, view, viewer):
            context = AuditContext(actor, client_ip, self._clock())
            comments.set_hidden(session, context, view, viewer, is_hidden=is_hidden)

    def flag(self, actor: Actor, name: RepositoryName, number: int, reason: object) -> None:
        """Flag a comment for moderation. Raises as `edit` does."""
        with self._database.writing() as session:
            repository, viewer = self._open_to_comments(session, actor, name, confirmed=False)
            view = comments.find(session, repository.id, number, viewer)
            if view.author_id == actor.id:
                raise Forbidden("You cannot flag your own comment; edit or delete it")
            comments.flag(session, view, actor.id, reason, self._clock())

    def unflag(self, actor: Actor, name: RepositoryName, number: int) -> None:
        """Raises as the policy does, and CommentNotFound."""
        with self._database.writing() as session:
            repository, viewer = self._read(session, actor, name)
            comments.unflag(session, comments.find(session, repository.id, number, viewer), actor.id)

    def reported(self, actor: Actor, limit: int, offset: int) -> tuple[list[ReportedComment], int]:
        """The flagged comments and their total, for administrators. Raises Forbidden."""
        _require_moderator(actor)
        with self._database.reading() as session:
            return comments.reported(session, limit, offset), comments.count_reported(session)

    def moderate(self, actor: Actor, client_ip: str, number: int, *, hide: bool) -> None:
        """Hide a flagged comment, or dismiss its flags, which shows it again if an administrator hid it.

        Raises Forbidden or CommentNotFound.
        """
        _require_moderator(actor)
        context, moderator = (
            AuditContext(actor, client_ip, self._clock()),
            Viewer(actor.id, may_manage=True, may_moderate=True),
        )
        with self._database.writing() as session:
            view = comments.find_reported(session, number)
            if not hide:
                comments.dismiss_flags(session, context, view)
            if hide or view.is_moderated:
                comments.set_hidden(session, context, view, moderator, is_hidden=hide)
            if view.is_pinned:
                documents.refresh(session, view.repository_id)

    @contextmanager
    def _changing(
        self, actor: Actor, name: RepositoryName, number: int
    ) -> Iterator[tuple[Session, CommentView, Viewer]]:
        """A transaction that changes a comment, and refreshes the search document."""
        with self._database.writing() as session:
            repository, viewer = self._read(session, actor, name)
            yield session, comments.find(session, repository.id, number, viewer), viewer
            documents.refresh(session, repository.id)

    def _open_to_comments(
        self, session: Session, actor: Actor, name: RepositoryName, *, confirmed: bool = True
    ) -> tuple[Repository, Viewer]:
        """The repository, if the actor may comment and is below the rate limit."""
        repository, viewer = self._read(session, actor, name)
        _require_write_token(actor, name)
        if self._confirmed and confirmed:
            comments.require_confirmed(session, actor.id)
        self._pace.take(actor.id)
        return repository, viewer

    def _shown(self, session: Session, actor: Actor | None, name: RepositoryName) -> tuple[Summarized, Viewer]:
        """For a page."""
        found = self._summaries.read(session, actor, name)
        return found, _reader(actor, may_pin=found.head.may_write, may_manage=found.head.may_manage)

    def _read(self, session: Session, actor: Actor | None, name: RepositoryName) -> tuple[Repository, Viewer]:
        repository = self._readable(session, actor, name)
        may_pin, may_manage = (
            self._access_control.permits(session, actor, repository, action) for action in (Action.WRITE, Action.MANAGE)
        )
        return repository, _reader(actor, may_pin=may_pin, may_manage=may_manage)

    def _readable(self, session: Session, actor: Actor | None, name: RepositoryName) -> Repository:
        return self._access_control.require(session, actor, name, catalogue.find(session, name), Action.READ)


def _rendered(repository: Repository) -> Markup:
    if repository.rendered_by == markdown.readme.version:
        return Markup(repository.readme_html)  # noqa: S704 - sanitised when it was written
    return markdown.readme(repository.readme, repository.source_url)


def _reader(actor: Actor | None, *, may_pin: bool, may_manage: bool) -> Viewer:
    number, may_moderate = (None, False) if actor is None else (actor.id, is_administrator(actor))
    return Viewer(number, may_pin, may_manage, may_moderate)


def _tags(session: Session, repository: Repository) -> list[str]:
    return versions.newest_first(catalogue.tags(session, repository.id))


def _require_write_token(actor: Actor, name: RepositoryName) -> None:
    limits = actor.limits
    if limits is not None and not (limits.can_write and limits.opens(str(name))):
        raise Forbidden("This access token does not permit that")


def _require_pin(viewer: Viewer) -> None:
    if not viewer.may_pin:
        raise Forbidden("Pinning a comment requires write access to the repository")


def _require_moderator(actor: Actor) -> None:
    if not is_administrator(actor):
        raise Forbidden("Only administrators can do this")
