"""Comments, annotations, and what readers flagged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from index_service.json_api.resources.summaries import RepositorySummary
from index_service.services.social import CommentHistory
from index_service.social.comments import CommentView, ReportedComment


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment, in Markdown; with `tag` or `image_id` it is an annotation. `author` is empty where the account is
    gone; `is_moderated`: an administrator of the index has hidden it."""

    id: int
    repository: str
    author: str
    body: str
    tag: str | None
    image_id: str | None
    created_at: datetime
    edited_at: datetime | None
    is_hidden: bool
    is_moderated: bool
    is_flagged: bool

    @classmethod
    def of(cls, view: CommentView) -> Comment:
        return cls(
            id=view.id,
            repository=str(view.repository),
            author=view.author,
            body=view.body,
            tag=view.tag,
            image_id=view.image_id,
            created_at=view.created_at,
            edited_at=view.edited_at,
            is_hidden=view.is_hidden,
            is_moderated=view.is_moderated,
            is_flagged=view.is_flagged,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A comment that is pinned to a `tag` of its repository, or to an image wherever that appears."""

    id: int
    repository: str
    author: str
    body: str
    tag: str | None
    image_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, view: CommentView) -> Annotation:
        return cls(
            id=view.id,
            repository=str(view.repository),
            author=view.author,
            body=view.body,
            tag=view.tag,
            image_id=view.image_id,
            created_at=view.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentVersion:
    """What a comment said, and until when."""

    body: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentDetail:
    """A comment with its earlier versions, the latest first."""

    head: RepositorySummary
    comment: Comment
    versions: tuple[CommentVersion, ...]

    @classmethod
    def of(cls, found: CommentHistory) -> CommentDetail:
        return cls(
            head=RepositorySummary.of(found.head),
            comment=Comment.of(found.view),
            versions=tuple(CommentVersion(body=body, until=until) for body, until in found.versions),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggedComment:
    """A comment, how many readers flagged it, and the reasons that they gave."""

    comment: Comment
    flags: int
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, reported: ReportedComment) -> FlaggedComment:
        return cls(comment=Comment.of(reported.view), flags=reported.flags, reasons=reported.reasons)
