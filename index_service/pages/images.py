"""The pages about a repository's tags and what was done with them, and about one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from index_service.images.dockerfile_steps import word_of
from index_service.images.lineage import Node, Place, is_empty
from index_service.pages.annotations import Pinned
from index_service.paging import Paging
from index_service.repositories.activity import DayOfPulls
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.services.deletion import DeletionPreview
from index_service.services.images import Image
from index_service.services.summaries import RepositorySummary
from index_service.services.tags import Activity, TaggedImage, TagList
from index_service.social.comments import CommentView


@dataclass(frozen=True, slots=True)
class TagCell:
    """One tag: since when it points where it does, who set it there and with which program, as far as that is kept."""

    name: str
    set_at: datetime | None
    person: str
    program: str
    client: str


@dataclass(frozen=True, slots=True)
class TagRow:
    """An image and all tags that point at it."""

    image: TaggedImage
    tags: list[TagCell]

    @classmethod
    def of(cls, tagged: TaggedImage) -> TagRow:
        return cls(tagged, [_cell(tag, tagged.moves.get(tag)) for tag in tagged.tags])

    @property
    def last(self) -> TagCell:
        """The tag that was set last."""
        return max(self.tags, key=lambda tag: tag.set_at.timestamp() if tag.set_at else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagsPage(Pinned):
    """A repository's tags, one row for each image; `largest` is the most bytes of any row."""

    head: RepositorySummary
    images: list[TagRow]
    tag_count: int
    is_cut: bool
    may_delete: bool
    annotations: list[CommentView]
    paging: Paging
    largest: int = 0

    @classmethod
    def of(cls, tags: TagList, paging: Paging) -> TagsPage:
        rows = [TagRow.of(tagged) for tagged in tags.images]
        largest = max((row.image.total_size or 0 for row in rows), default=0)
        pinned = tags.annotations
        head = tags.head
        return cls(
            head=head,
            images=rows,
            tag_count=tags.tags,
            is_cut=tags.is_cut,
            may_delete=head.may_write,
            annotations=pinned,
            paging=paging.of(tags.total),
            largest=largest,
        )


@dataclass(frozen=True, slots=True)
class DeleteTagsPage:
    """What is about to be deleted, and what no tag will point at then."""

    head: RepositorySummary
    tags: list[str]
    untagged: list[str]
    shared: set[str]

    @classmethod
    def of(cls, head: RepositorySummary, preview: DeletionPreview) -> DeleteTagsPage:
        untagged = [str(image) for image in preview.untagged]
        return cls(head, [str(tag) for tag in preview.tags], untagged, preview.shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPage:
    """What was done to a repository, with all its tags or with `tag`; and how often it was pulled, day by day. Only
    images that it holds `shared` have a page."""

    head: RepositorySummary
    tag: str
    moves: list[TagHistoryEvent]
    shared: set[str]
    days: list[DayOfPulls]
    recent_pulls: int
    pulls: int
    paging: Paging

    @classmethod
    def of(cls, activity: Activity, tag: str, paging: Paging) -> ActivityPage:
        recent = sum(day.count for day in activity.days)
        return cls(
            head=activity.head,
            tag=tag,
            moves=activity.moves,
            shared=activity.shared,
            days=activity.days,
            recent_pulls=recent,
            pulls=activity.head.pull_count,
            paging=paging.of(activity.total),
        )

    @property
    def busiest(self) -> int:
        return max((day.count for day in self.days), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One layer as a step of a Dockerfile: `word` is its instruction, `rest` what follows it, `places` tags at it."""

    image_id: str
    text: str
    size: int
    total_size: int
    created_at: datetime | None
    places: list[Place]

    @property
    def is_empty(self) -> bool:
        return is_empty(self.size)

    @property
    def word(self) -> str:
        return word_of(self.text)

    @property
    def rest(self) -> str:
        return self.text[len(self.word) :].lstrip(" ")


@dataclass(frozen=True, slots=True)
class ImagePage:
    """One image; `steps` begin with the base."""

    image: Image
    steps: list[Step]

    @classmethod
    def of(cls, image: Image) -> ImagePage:
        return cls(image, steps(image.layers, image.places))

    @property
    def places(self) -> list[Place]:
        """The tags that point at it."""
        return self.image.places.get(self.image.image_id, [])

    @property
    def dockerfile(self) -> str:
        """All steps one under the other."""
        return "\n".join(step.text or "# …" for step in self.steps)


def steps(layers: Sequence[Node], places: Mapping[str, list[Place]]) -> list[Step]:
    """The layers as steps, the base first."""
    return [
        Step(
            image_id=node.image_id,
            text=node.command,
            size=node.size,
            total_size=node.total_size,
            created_at=node.created_at,
            places=places.get(node.image_id, []),
        )
        for node in reversed(layers)
    ]


def _cell(tag: str, move: TagHistoryEvent | None) -> TagCell:
    if move is None:
        return TagCell(tag, None, "", "", "")
    return TagCell(tag, move.at, move.person, move.program, move.client)
