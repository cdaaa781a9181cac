"""Comments: written, edited, deleted, hidden, flagged, and pinned to a tag or an image as an annotation.

A hidden comment looks absent to everybody but its author and the repository's administrators, who may show it again.
One hidden by an administrator of the index is visible to these too, and only they may show it again, even if the one
who hid it has lost the rights. Earlier versions are visible to everybody who may read the comment. A pinned one is
shown wherever its tag or its image appears; so an author who edits it without the right to pin unpins it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    true,
    tuple_,
    union,
)
from sqlalchemy.orm import Session, aliased

from common.errors import Forbidden, Invalid, NotFound
from common.names import ImageId, RepositoryName, Tag
from index_service.accounts.models import Email, User
from index_service.accounts.validators import validate_text
from index_service.audit.log import AuditContext, Change
from index_service.db import PREPARED_STATEMENT, insert_missing
from index_service.repositories.models import HeldImage, ListedImage, Repository, TagRecord
from index_service.social.models import Comment, CommentVersion, Flag

MAX_BODY = 10_000
MAX_REASON = 255
MAX_VERSIONS = 100

CommentTarget = Tag | ImageId | None
"""What a comment is pinned to."""


class CommentNotFound(NotFound):
    """Absent, hidden, or of another repository."""

    def __init__(self) -> None:
        super().__init__("Comment not found")


@dataclass(frozen=True, slots=True)
class Viewer:
    """The viewer of a repository's comments; `id` is None without a login, `may_moderate` is for the index's
    administrators."""

    id: int | None
    may_pin: bool = False
    may_manage: bool = False
    may_moderate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentView:
    """A comment as a viewer sees it; `author` is empty if the account is deleted. `repository` is its full name.

    `is_shared`: the repository holds the image that it is pinned to as others do, so that this image has a page.
    `is_moderated`: it was hidden by an administrator of the index.
    """

    id: int
    repository: RepositoryName
    repository_id: int
    author: str
    author_id: int | None
    body: str
    tag: str | None
    image_id: str | None
    created_at: datetime
    edited_at: datetime | None
    is_shared: bool
    is_hidden: bool
    is_moderated: bool = False
    is_flagged: bool = False

    @property
    def is_pinned(self) -> bool:
        return self.tag is not None or self.image_id is not None


@dataclass(frozen=True, slots=True)
class ReportedComment:
    """A flagged comment, the number of flags, and the reasons given."""

    view: CommentView
    flags: int
    reasons: tuple[str, ...]


def find(session: Session, repository_id: int, comment_id: int, viewer: Viewer) -> CommentView:
    """Raises CommentNotFound, also for one that this viewer may not see."""
    found = _views(viewer.id).where(Comment.id == comment_id, Comment.repository_id == repository_id, _seen_by(viewer))
    row = session.execute(found).first()
    if row is None:
        raise CommentNotFound
    return _view(*row)


def listed(session: Session, repository_id: int, viewer: Viewer, limit: int, offset: int = 0) -> list[CommentView]:
    """The comments of a repository, the newest first."""
    of_it = _views(viewer.id).where(Comment.repository_id == repository_id, _seen_by(viewer))
    newest = of_it.order_by(Comment.created_at.desc(), Comment.id.desc()).limit(limit).offset(offset)
    return [_view(*row) for row in session.execute(newest)]


def count(session: Session, repository_id: int, viewer: Viewer) -> int:
    """The number of comments that `listed` lists."""
    of_it = (Comment.repository_id == repository_id, _seen_by(viewer))
    return session.scalar(select(func.count()).select_from(Comment).where(*of_it)) or 0


def write(
    session: Session, repository_id: int, author_id: int, body: object, target: CommentTarget, now: datetime
) -> int:
    """Write a comment; returns its id. Raises Invalid, also for a target that the repository does not have."""
    tag, image_id = _anchored(session, repository_id, target)
    comment = Comment(
        repository_id=repository_id,
        author_id=author_id,
        body=_checked(body),
        tag=tag,
        image_id=image_id,
        created_at=now,
    )
    session.add(comment)
    session.flush()
    return comment.id


def edit(session: Session, view: CommentView, editor: Viewer, body: object, now: datetime) -> None:
    """Edit a comment as its author; the old version is stored. Raises Forbidden or Invalid."""
    if not _is_author(view, editor):
        raise Forbidden("Only the author of a comment can edit it")
    text = _checked(body)
    comment = _locked(session, view)
    if text == comment.body:
        return
    _keep_version(session, comment, now)
    comment.body, comment.edited_at = text, now
    if not editor.may_pin:
        comment.tag = comment.image_id = None


def require_deletable(view: CommentView, by: Viewer) -> None:
    """Raises Forbidden unless `by` is the author."""
    if not _is_author(view, by):
        raise Forbidden("Only the author of a comment can delete it")


def remove(session: Session, view: CommentView, by: Viewer) -> None:
    """Delete a comment as its author, with its versions and flags. Raises Forbidden."""
    require_deletable(view, by)
    session.execute(delete(Comment).where(Comment.id == view.id))


def pin(session: Session, view: CommentView, target: CommentTarget) -> None:
    """Pin a comment to a tag or an image of the repository or, with None, unpin it."""
    comment = _locked(session, view)
    comment.tag, comment.image_id = _anchored(session, comment.repository_id, target)


def set_hidden(session: Session, context: AuditContext, view: CommentView, by: Viewer, *, is_hidden: bool) -> None:
    """Hide a comment or show it again; one that an administrator of the index hid is theirs alone. Raises Forbidden."""
    comment = _locked(session, view)
    was_hidden = comment.hidden_at is not None
    if comment.is_moderated:
        if not by.may_moderate:
            raise Forbidden("An administrator of the index has hidden this comment")
    elif not by.may_manage:
        raise Forbidden("Only an administrator of the repository can hide a comment")
    comment.hidden_at, comment.hidden_by = (context.at, by.id) if is_hidden else (None, None)
    comment.is_moderated = is_hidden and by.may_moderate
    if is_hidden is not was_hidden:
        _record(session, context, Change.COMMENT_HIDDEN if is_hidden else Change.COMMENT_SHOWN, view)


def flag(session: Session, view: CommentView, user_id: int, reason: object, now: datetime) -> None:
    """Flag a comment for moderation; flagging again changes nothing. Raises Invalid."""
    text = validate_text(reason, MAX_REASON)
    row = {"comment_id": view.id, "user_id": user_id, "reason": text, "created_at": now}
    insert_missing(session, Flag, [row])


def unflag(session: Session, view: CommentView, user_id: int) -> None:
    """Remove a person's flag."""
    session.execute(delete(Flag).where(Flag.comment_id == view.id, Flag.user_id == user_id))


def dismiss_flags(session: Session, context: AuditContext, view: CommentView) -> None:
    """Remove everybody's flags, as a moderator who finds nothing wrong."""
    session.execute(delete(Flag).where(Flag.comment_id == view.id))
    _record(session, context, Change.COMMENT_FLAGS_DISMISSED, view)


def versions(session: Session, view: CommentView) -> list[tuple[str, datetime]]:
    """Earlier versions and when each was replaced, the latest first."""
    latest = select(CommentVersion.body, CommentVersion.replaced_at).where(CommentVersion.comment_id == view.id)
    return [(body, at) for body, at in session.execute(latest.order_by(CommentVersion.id.desc()))]


def pinned_to(
    session: Session,
    visible: ColumnElement[bool],
    *,
    tags: Collection[tuple[int, str]] = (),
    own: Collection[tuple[int, str]] = (),
    shared: Collection[str] = (),
    limit: int = 200,
) -> list[CommentView]:
    """The annotations of tags, each a repository's id and a name, and of images, in `visible` repositories.

    In one query, the newest first. An image in `own`, a repository's id and the image's, has that repository's
    annotations; one in `shared` those of every repository that holds it shared.
    """
    ways: list[ColumnElement[bool]] = []
    if tags:
        ways.append(tuple_(Comment.repository_id, Comment.tag).in_(list(tags)))
    if own:
        ways.append(tuple_(Comment.repository_id, Comment.image_id).in_(list(own)))
    if shared:
        ways.append(Comment.image_id.in_(shared) & _OF_SHARED_IMAGE)
    return _pinned(session, visible, or_(*ways), limit) if ways else []


def pinned_to_tags_of(
    session: Session, visible: ColumnElement[bool], repository_id: int, limit: int = 200
) -> list[CommentView]:
    """The annotations of a repository's tags and of their images, the newest first; of an image that it holds shared
    also those of other repositories that do so."""
    return _pinned(session, visible, Comment.id.in_(on_tags_of(repository_id)), limit)


def on_tags_of(repository_id: int | SQLColumnExpression[int]) -> CompoundSelect[int]:
    """The ids of these, for every viewer, including hidden ones."""
    tagged = (TagRecord.repository_id == repository_id, TagRecord.image_id.is_not(None))
    names, images = (
        select(column).where(*tagged).correlate(Repository) for column in (TagRecord.name, TagRecord.image_id)
    )
    held = and_(HeldImage.repository_id == TagRecord.repository_id, HeldImage.image_id == TagRecord.image_id)
    shared = select(HeldImage.image_id).join(TagRecord, held).where(*tagged, HeldImage.is_apart.is_(False))
    own = Comment.repository_id == repository_id
    # A union, not one query with "or", which would scan the comments of all repositories.
    return union(
        select(Comment.id).where(own, Comment.tag.in_(names)),
        select(Comment.id).where(own, Comment.image_id.in_(images)),
        select(Comment.id).where(Comment.image_id.in_(shared.correlate(Repository)), _OF_SHARED_IMAGE),
    )


def pinned_in(session: Session, repository_ids: Collection[int], limit: int = 200) -> list[CommentView]:
    """The annotations in these repositories, all of which the viewer may see; the newest first."""
    if not repository_ids:
        return []
    rows = session.execute(_PINNED_IN, {"repositories": list(repository_ids), "limit": limit})
    return [_view(*row) for row in rows]


def reported(session: Session, limit: int, offset: int = 0) -> list[ReportedComment]:
    """Flagged comments that are neither hidden nor dismissed, the most flagged first."""
    flags = select(Flag.comment_id, func.count().label("flags")).group_by(Flag.comment_id).subquery()
    rows = session.execute(
        _views(None)
        .add_columns(flags.c.flags)
        .join(flags, flags.c.comment_id == Comment.id)
        .where(Comment.hidden_at.is_(None))
        .order_by(flags.c.flags.desc(), Comment.id.desc())
        .limit(limit)
        .offset(offset)
    ).all()
    found = [(_view(*row[:-1]), row[-1]) for row in rows]
    reasons = _reasons(session, [view.id for view, _ in found])
    return [ReportedComment(view, flags, tuple(reasons.get(view.id, ()))) for view, flags in found]


def count_reported(session: Session) -> int:
    open_flags = select(Flag.comment_id).join(Comment, Comment.id == Flag.comment_id)
    flagged = open_flags.where(Comment.hidden_at.is_(None)).distinct().subquery()
    return session.scalar(select(func.count()).select_from(flagged)) or 0


def find_reported(session: Session, comment_id: int) -> CommentView:
    """A flagged comment, for a moderator. Raises CommentNotFound."""
    flagged = select(Flag.user_id).where(Flag.comment_id == Comment.id).exists()
    row = session.execute(_views(None).where(Comment.id == comment_id, flagged)).first()
    if row is None:
        raise CommentNotFound
    return _view(*row)


def require_confirmed(session: Session, user_id: int) -> None:
    """Raises Forbidden without a confirmed email address."""
    confirmed = select(Email.id).where(Email.user_id == user_id, Email.confirmed_at.is_not(None))
    if session.scalar(confirmed.limit(1)) is None:
        raise Forbidden("Confirm your e-mail address first")


_HOLDER = aliased(HeldImage)
_OF_SHARED_IMAGE = (
    select(_HOLDER.image_id)
    .where(
        _HOLDER.repository_id == Comment.repository_id,
        _HOLDER.image_id == Comment.image_id,
        _HOLDER.is_apart.is_(False),
    )
    .correlate(Comment)
    .exists()
)
"""Whether the repository of an annotation holds its image shared: to have listed the id is not enough."""

_ARE_PINNED = (or_(Comment.tag.is_not(None), Comment.image_id.is_not(None)), Comment.hidden_at.is_(None))


def _views(reader_id: int | None) -> Select[Comment, str, str, str | None, bool, bool]:
    own_flag = select(Flag.user_id).where(Flag.comment_id == Comment.id, Flag.user_id == reader_id).exists()
    return (
        select(Comment, Repository.namespace, Repository.name, User.name, own_flag, _OF_SHARED_IMAGE)
        .join(Repository, Repository.id == Comment.repository_id)
        .outerjoin(User, User.id == Comment.author_id)
    )


_NEWEST = (Comment.created_at.desc(), Comment.id.desc())

_PINNED_IN = (
    _views(None)
    .where(Comment.repository_id.in_(bindparam("repositories", expanding=True)), *_ARE_PINNED)
    .order_by(*_NEWEST)
    .limit(bindparam("limit"))
    .execution_options(**PREPARED_STATEMENT)
)


def _view(
    comment: Comment, namespace: str, name: str, author: str | None, is_flagged: bool, is_shared: bool
) -> CommentView:
    return CommentView(
        id=comment.id,
        repository=RepositoryName(namespace, name),
        repository_id=comment.repository_id,
        author=author or "",
        author_id=comment.author_id,
        body=comment.body,
        tag=comment.tag,
        image_id=comment.image_id,
        created_at=comment.created_at,
        edited_at=comment.edited_at,
        is_shared=is_shared,
        is_hidden=comment.hidden_at is not None,
        is_moderated=comment.is_moderated,
        is_flagged=is_flagged,
    )


def _record(session: Session, context: AuditContext, change: Change, view: CommentView) -> None:
    context.record(session, change, str(view.repository), comment=view.id, person=view.author)


def _is_author(view: CommentView, viewer: Viewer) -> bool:
    return viewer.id is not None and viewer.id == view.author_id


def _seen_by(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.may_manage:
        return true()
    seen: list[ColumnElement[bool]] = [Comment.hidden_at.is_(None)]
    if viewer.id is not None:
        seen.append(Comment.author_id == viewer.id)
    if viewer.may_moderate:
        seen.append(Comment.is_moderated.is_(True))
    return or_(*seen)


def _pinned(
    session: Session, visible: ColumnElement[bool], where: ColumnElement[bool], limit: int
) -> list[CommentView]:
    rows = session.execute(_views(None).where(where, *_ARE_PINNED, visible).order_by(*_NEWEST).limit(limit))
    return [_view(*row) for row in rows]


def _reasons(session: Session, comment_ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    given = select(Flag.comment_id, Flag.reason).where(Flag.comment_id.in_(comment_ids), Flag.reason != "")
    for number, reason in session.execute(given.order_by(Flag.created_at)):
        found.setdefault(number, []).append(reason)
    return found


def _locked(session: Session, view: CommentView) -> Comment:
    """The stored comment, its row locked until the transaction ends. Raises CommentNotFound."""
    held = select(Comment).where(Comment.id == view.id).with_for_update().execution_options(populate_existing=True)
    comment = session.scalar(held)
    if comment is None:
        raise CommentNotFound
    return comment


def _keep_version(session: Session, comment: Comment, now: datetime) -> None:
    """Store the current version; the oldest are dropped beyond the limit."""
    session.add(CommentVersion(comment_id=comment.id, body=comment.body, replaced_at=now))
    session.flush()
    of_it = CommentVersion.comment_id == comment.id
    kept = select(CommentVersion.id).where(of_it).order_by(CommentVersion.id.desc()).limit(MAX_VERSIONS)
    session.execute(delete(CommentVersion).where(of_it, CommentVersion.id.not_in(kept)))


def _checked(body: object) -> str:
    text = validate_text(body, MAX_BODY, lines=True)
    if not text:
        raise Invalid("A comment cannot be empty")
    return text


def _anchored(session: Session, repository_id: int, target: CommentTarget) -> tuple[str | None, str | None]:
    """The tag, or the image, or neither. Raises Invalid for what the repository does not have."""
    if target is None:
        return None, None
    if isinstance(target, Tag):
        of_it = (TagRecord.repository_id == repository_id, TagRecord.name == target, TagRecord.image_id.is_not(None))
        if session.scalar(select(TagRecord.name).where(*of_it)) is None:
            raise Invalid("The repository has no such tag")
        return str(target), None
    listed_here = (ListedImage.repository_id == repository_id, ListedImage.image_id == target)
    if session.scalar(select(ListedImage.id).where(*listed_here)) is None:
        raise Invalid("The repository has no such image")
    return None, str(target)
