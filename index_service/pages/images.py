"""The pages about a repository's tags and what was done with them, and about one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.names import RepositoryName
from index_service.images.dockerfile_steps import word_of
from index_service.images.image_metadata import Config, platform
from index_service.images.lineage import Node, Place, is_empty
from index_service.pages.annotations import Annotation, Pinned
from index_service.paging import Paging
from index_service.repositories.activity import DayOfPulls, client_program
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.services.deletion import DeletionPreview
from index_service.services.images import Image
from index_service.services.summaries import RepositorySummary
from index_service.services.tags import Activity, TaggedImage, TagList


@dataclass(frozen=True, slots=True)
class TagCell:
    """One tag: since when it points where it does, who set it there and with which program, as far as that is kept."""

    name: str
    set_at: datetime | None
    person: str
    program: str
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRow:
    """An image and all tags that point at it; its metadata is None while unknown."""

    image_id: str
    tags: list[TagCell]
    set_at: datetime
    size: int | None
    total_size: int | None
    layers: int | None
    created_at: datetime | None
    platform: str
    docker_version: str

    @classmethod
    def of(cls, tagged: TaggedImage) -> TagRow:
        cells = [_cell(tag, tagged.moves.get(tag)) for tag in tagged.tags]
        return cls(
            image_id=tagged.image_id,
            tags=cells,
            set_at=tagged.set_at,
            size=tagged.size,
            total_size=tagged.total_size,
            layers=tagged.layers,
            created_at=tagged.created_at,
            platform=platform(tagged.os, tagged.architecture),
            docker_version=tagged.docker_version,
        )

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
    annotations: list[Annotation]
    paging: Paging
    largest: int = 0

    @classmethod
    def of(cls, tags: TagList, paging: Paging) -> TagsPage:
        rows = [TagRow.of(tagged) for tagged in tags.images]
        largest = max((row.total_size or 0 for row in rows), default=0)
        pinned = Annotation.all(tags.annotations)
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

    @classmethod
    def of(cls, head: RepositorySummary, preview: DeletionPreview) -> DeleteTagsPage:
        return cls(head, [str(tag) for tag in preview.tags], [str(image) for image in preview.untagged])


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """A tag set to an image or, where `image_id` is None, deleted."""

    tag: str
    image_id: str | None
    previous_id: str | None
    person: str
    program: str
    client: str
    at: datetime

    @classmethod
    def of(cls, move: TagHistoryEvent) -> MoveRow:
        return cls(
            tag=move.tag,
            image_id=move.image_id,
            previous_id=move.previous_id,
            person=move.person,
            program=client_program(move.client),
            client=move.client,
            at=move.at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPage:
    """What was done to a repository, with all its tags or with `tag`; and how often it was pulled, day by day."""

    head: RepositorySummary
    tag: str
    moves: list[MoveRow]
    days: list[DayOfPulls]
    recent_pulls: int
    pulls: int
    paging: Paging

    @classmethod
    def of(cls, activity: Activity, tag: str, paging: Paging) -> ActivityPage:
        rows = [MoveRow.of(move) for move in activity.moves]
        recent = sum(day.count for day in activity.days)
        return cls(
            head=activity.head,
            tag=tag,
            moves=rows,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """One image; `steps` begin with the base. Metadata is missing while `is_known` is false."""

    image_id: str
    is_known: bool
    parent_id: str | None
    size: int
    total_size: int
    created_at: datetime | None
    author: str
    docker_version: str
    platform: str
    config: Config
    steps: list[Step]
    checksums: list[str]
    places: list[Place]
    repositories: list[RepositoryName]
    uses: int
    children: int
    annotations: list[Annotation]
    raw: str

    @classmethod
    def of(cls, image: Image) -> ImagePage:
        return cls(
            image_id=image.image_id,
            is_known=image.is_known,
            parent_id=image.parent_id,
            size=image.size,
            total_size=image.total_size,
            created_at=image.created_at,
            author=image.author,
            docker_version=image.docker_version,
            platform=platform(image.os, image.architecture),
            config=image.config,
            steps=steps(image.layers, image.places),
            checksums=image.checksums,
            places=image.places.get(image.image_id, []),
            repositories=image.repositories,
            uses=image.uses,
            children=image.children,
            annotations=Annotation.all(image.annotations),
            raw=image.raw,
        )

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
    return TagCell(tag, move.at, move.person, client_program(move.client), move.client)
