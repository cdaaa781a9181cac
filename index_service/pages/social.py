"""The first page of a repository, its comments, and what moderators look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from index_service import markdown
from index_service.images.pull_commands import PullCommands
from index_service.pages.forms import EMPTY, FormState
from index_service.paging import Paging
from index_service.registry_client import Translation
from index_service.repositories.activity import DayOfPulls
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.services.social import CommentHistory, Overview, Thread
from index_service.services.summaries import RepositorySummary
from index_service.social.comments import CommentView, ReportedComment

SPARK_HEIGHT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewPage:
    """A repository; `tag`, `image_id`, `is_apart`, `size` and `translation` are of the tag shown, as far as they are
    known, and `commands` pull it."""

    head: RepositorySummary
    readme: str
    tags: tuple[str, ...]
    tag: str | None
    image_id: str | None
    is_apart: bool | None
    size: int | None
    translation: Translation
    commands: PullCommands | None
    last_move: TagHistoryEvent | None
    pulls: tuple[DayOfPulls, ...]
    annotations: tuple[CommentView, ...]
    readme_html: Markup
    source_url: str

    @classmethod
    def of(cls, host: str, overview: Overview, *, is_secure: bool) -> OverviewPage:
        return cls(
            head=overview.head,
            readme=overview.readme,
            tags=tuple(overview.tags),
            tag=overview.tag,
            image_id=overview.image_id,
            is_apart=overview.is_apart,
            size=overview.size,
            translation=overview.translation,
            commands=overview.commands(host, is_secure=is_secure),
            last_move=overview.last_move,
            pulls=tuple(overview.days),
            annotations=tuple(overview.annotations),
            readme_html=overview.readme_html,
            source_url=overview.source_url,
        )

    @property
    def headings(self) -> list[markdown.Heading]:
        """Of the README, for its table of contents."""
        return markdown.headings(self.readme_html)

    @property
    def recent_pulls(self) -> int:
        return sum(day.count for day in self.pulls)

    @property
    def spark(self) -> str:
        """The pulls of each day as the points of a line, one apart, in a field of `SPARK_HEIGHT`."""
        most = max((day.count for day in self.pulls), default=0) or 1
        heights = (SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * day.count / most for day in self.pulls)
        return " ".join(f"{number},{height:.1f}" for number, height in enumerate(heights))


@dataclass(frozen=True, slots=True)
class CommentsPage:
    """One page of a repository's comments; `tags` are what the viewer may pin to, if permitted."""

    head: RepositorySummary
    comments: tuple[CommentView, ...]
    paging: Paging
    tags: tuple[str, ...] = ()
    form: FormState = EMPTY

    @classmethod
    def of(cls, thread: Thread, paging: Paging, form: FormState = EMPTY) -> CommentsPage:
        """Raises NotFound for a page behind the last."""
        shown = tuple(thread.views)
        return cls(thread.head, shown, paging.of(thread.total), tuple(thread.tags), form)


@dataclass(frozen=True, slots=True)
class Version:
    """What a comment said, and until when."""

    body: str
    until: datetime


@dataclass(frozen=True, slots=True)
class CommentPage:
    """One comment with what it said before, the latest first."""

    head: RepositorySummary
    comment: CommentView
    versions: tuple[Version, ...]
    tags: tuple[str, ...] = ()
    form: FormState = EMPTY

    @classmethod
    def of(cls, detail: CommentHistory, form: FormState = EMPTY) -> CommentPage:
        versions = tuple(Version(body, until) for body, until in detail.versions)
        return cls(detail.head, detail.view, versions, tuple(detail.tags), form)


@dataclass(frozen=True, slots=True)
class DeleteCommentPage:
    """A comment of one's own that is to be deleted."""

    head: RepositorySummary
    comment: CommentView

    @classmethod
    def of(cls, head: RepositorySummary, view: CommentView) -> DeleteCommentPage:
        return cls(head, view)


@dataclass(frozen=True, slots=True)
class ModerationPage:
    """What readers flagged, the most flagged first."""

    comments: tuple[ReportedComment, ...]
    paging: Paging

    @classmethod
    def of(cls, reported: Sequence[ReportedComment], paging: Paging) -> ModerationPage:
        return cls(tuple(reported), paging)
