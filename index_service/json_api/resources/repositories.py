"""Repositories, their tags and the tag history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from index_service import registry_client
from index_service.images import pull_commands
from index_service.json_api.resources.comments import Comment
from index_service.json_api.resources.lists import Paging
from index_service.json_api.resources.summaries import RepositorySummary
from index_service.paging import Paging as Asked
from index_service.repositories.activity import DayOfPulls
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.search import totals
from index_service.search.finder import Hit, Query
from index_service.services.search import Highlights, SearchResults, excerpt
from index_service.services.social import Overview
from index_service.services.tags import TaggedImage as Tagged
from index_service.social.comments import CommentView


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryListItem:
    """A repository as lists name it. `layer_bytes` is null while no image was read; `annotation` warns of it."""

    full_name: str
    description: str
    is_private: bool
    star_count: int
    pull_count: int
    layer_bytes: int | None
    pushed_at: datetime | None
    annotation: str | None

    @classmethod
    def of(cls, hit: Hit, pinned: Iterable[CommentView] = ()) -> RepositoryListItem:
        """`pinned` are annotations in it, of which the first is shown."""
        return cls(
            full_name=str(hit.full_name),
            description=hit.description,
            is_private=hit.is_private,
            star_count=hit.star_count,
            pull_count=hit.pull_count,
            layer_bytes=hit.layer_bytes or None,
            pushed_at=hit.pushed_at,
            annotation=next(map(excerpt, pinned), None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A page of repositories; `is_more` where more match than are counted. `image_id` is the one image whose id begins
    with the query, where there is one."""

    query: str
    namespace: str
    official: bool
    starred: bool
    repositories: tuple[RepositoryListItem, ...]
    paging: Paging
    is_more: bool
    image_id: str | None

    @classmethod
    def of(cls, query: Query, found: SearchResults, asked: Asked, image_id: str | None) -> SearchResult:
        """Raises NotFound for a page behind the last."""
        hits = (RepositoryListItem.of(hit, found.annotations.get(hit.id, ())) for hit in found.page.hits)
        return cls(
            query=query.text,
            namespace=query.namespace,
            official=query.is_official,
            starred=query.starred_by is not None,
            repositories=tuple(hits),
            paging=Paging.of(asked.of(found.page.total)),
            is_more=found.page.is_more,
            image_id=image_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTotals:
    """Public repositories and their tags, the bytes of their layers, and their pulls in the last seven days."""

    repositories: int
    tags: int
    layer_bytes: int
    pulls: int

    @classmethod
    def of(cls, found: totals.Totals) -> PublicTotals:
        return cls(repositories=found.repositories, tags=found.tags, layer_bytes=found.layer_bytes, pulls=found.pulls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explore:
    """The first repositories in three orders, and how much there is. `host` is the index as docker is told it, and
    `is_secure` whether docker reaches it without being allowed to speak plain HTTP."""

    host: str
    is_secure: bool
    totals: PublicTotals
    recent: tuple[RepositoryListItem, ...]
    starred: tuple[RepositoryListItem, ...]
    pulled: tuple[RepositoryListItem, ...]

    @classmethod
    def of(cls, host: str, found: Highlights, *, is_secure: bool) -> Explore:
        return cls(
            host=host,
            is_secure=is_secure,
            totals=PublicTotals.of(found.totals),
            recent=tuple(map(RepositoryListItem.of, found.recent)),
            starred=tuple(map(RepositoryListItem.of, found.starred)),
            pulled=tuple(map(RepositoryListItem.of, found.pulled)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TagEvent:
    """A tag was set to an image or, where `image_id` is null, deleted. `person` is empty if unknown; `client` is the
    User-Agent, `program` its short form."""

    repository: str
    tag: str
    image_id: str | None
    previous_id: str | None
    person: str
    program: str
    client: str
    at: datetime

    @classmethod
    def of(cls, move: TagHistoryEvent) -> TagEvent:
        return cls(
            repository=str(move.repository),
            tag=move.tag,
            image_id=move.image_id,
            previous_id=move.previous_id,
            person=move.person,
            program=move.program,
            client=move.client,
            at=move.at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyPulls:
    """The number of pulls on one day, in UTC."""

    day: date
    count: int

    @classmethod
    def of(cls, day: DayOfPulls) -> DailyPulls:
        return cls(day=day.day, count=day.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest of an image: its digest, by which `/v2/` and today's clients name the image, and its own bytes."""

    digest: str
    media_type: str
    size: int

    @classmethod
    def of(cls, manifest: registry_client.Manifest) -> Manifest:
        return cls(digest=manifest.digest, media_type=manifest.media_type, size=manifest.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """An image as today's clients get it by `/v2/`. `digest`, `media_type` and `size` are of the manifest that most of
    them ask for, the first of `manifests`, and `pull_size` are the bytes of its config and all its layers; null while
    the registry has not computed them, and where `problem` says why it cannot."""

    digest: str | None
    media_type: str | None
    size: int | None
    pull_size: int | None
    manifests: tuple[Manifest, ...]
    problem: str | None

    @classmethod
    def of(cls, found: registry_client.Translation) -> Translation:
        manifests = tuple(map(Manifest.of, found.manifests))
        first = manifests[0] if manifests else None
        return cls(
            digest=first.digest if first else None,
            media_type=first.media_type if first else None,
            size=first.size if first else None,
            pull_size=found.size,
            manifests=manifests,
            problem=found.problem or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCommand:
    """A line for a shell, and the program that it runs."""

    program: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCommands:
    """What to type to pull a tag: `v1` with Docker up to 17.05, `current` with today's clients, none where these cannot
    have the image."""

    v1: str
    current: tuple[PullCommand, ...]

    @classmethod
    def of(cls, commands: pull_commands.PullCommands) -> PullCommands:
        lines = (PullCommand(program=each.program, line=each.line) for each in commands.current)
        return cls(v1=commands.v1, current=tuple(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository. `tag` is the one shown how to pull, `image_id` and `size` its image and the bytes of all its
    layers, null while they are not known, `translation` that image by `/v2/`, and `commands` what to type to pull it;
    `host` is the index as docker is told it."""

    head: RepositorySummary
    host: str
    readme: str
    source_url: str
    tags: tuple[str, ...]
    tag: str | None
    image_id: str | None
    size: int | None
    translation: Translation
    commands: PullCommands | None
    last_move: TagEvent | None
    pulls: tuple[DailyPulls, ...]
    annotations: tuple[Comment, ...]

    @classmethod
    def of(cls, host: str, found: Overview, *, is_secure: bool) -> Repository:
        commands = found.commands(host, is_secure=is_secure)
        return cls(
            head=RepositorySummary.of(found.head),
            host=host,
            readme=found.readme,
            source_url=found.source_url,
            tags=tuple(found.tags),
            tag=found.tag,
            image_id=found.image_id,
            size=found.size,
            translation=Translation.of(found.translation),
            commands=None if commands is None else PullCommands.of(commands),
            last_move=None if found.last_move is None else TagEvent.of(found.last_move),
            pulls=tuple(map(DailyPulls.of, found.days)),
            annotations=tuple(map(Comment.of, found.annotations)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag: since when it points where it does, who set it there and with which client, as far as that is kept."""

    name: str
    set_at: datetime | None
    person: str
    program: str
    client: str

    @classmethod
    def of(cls, name: str, move: TagHistoryEvent | None) -> Tag:
        if move is None:
            return cls(name=name, set_at=None, person="", program="", client="")
        return cls(name=name, set_at=move.at, person=move.person, program=move.program, client=move.client)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedImage:
    """An image and all tags of the repository that point at it; what is not known yet is null or empty. Of one that
    `is_apart` only the `translation` is told: the repository has content of its own under that id."""

    image_id: str
    tags: tuple[Tag, ...]
    set_at: datetime
    size: int | None
    total_size: int | None
    layers: int | None
    created_at: datetime | None
    platform: str
    docker_version: str
    is_apart: bool | None
    translation: Translation

    @classmethod
    def of(cls, tagged: Tagged) -> TaggedImage:
        return cls(
            image_id=tagged.image_id,
            tags=tuple(Tag.of(name, tagged.moves.get(name)) for name in tagged.tags),
            set_at=tagged.set_at,
            size=tagged.size,
            total_size=tagged.total_size,
            layers=tagged.layers,
            created_at=tagged.created_at,
            platform=tagged.platform,
            docker_version=tagged.docker_version,
            is_apart=tagged.is_apart,
            translation=Translation.of(tagged.translation),
        )
