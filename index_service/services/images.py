"""What people ask about tags and images: what there is, what it is made of, what is based on it; and to delete it.

Each method is one question, answered within a short transaction; no answer takes more questions to the database where
there is more to tell. To delete is the registry's matter, which is asked between transactions and then tells the index.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, true
from sqlalchemy.orm import Session

from common.errors import NotFound, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access
from index_service.accounts.people import Actor
from index_service.audit.log import Change, Deed
from index_service.db import PLANNED_ONCE, Clock, Database
from index_service.images import lanes, lineage, trees, versions
from index_service.images.facts import Config, config_of, pretty
from index_service.images.lanes import Chart
from index_service.images.lineage import Node, Place
from index_service.images.models import ImageRecord
from index_service.images.trees import Branch
from index_service.registry_client import RegistryClient
from index_service.repositories import catalogue, history, moves
from index_service.repositories.catalogue import Pusher
from index_service.repositories.endpoints import Endpoints
from index_service.repositories.history import Day
from index_service.repositories.models import ListedImage, Repository, TagRecord
from index_service.repositories.moves import Move
from index_service.repositories.policy import Action
from index_service.repositories.roles import Gate
from index_service.search import finder
from index_service.search.finder import MAX_PAGE_SIZE, Query
from index_service.services.heads import Head, Heads
from index_service.services.work import OldNames
from index_service.social import comments
from index_service.social.comments import Remark
from index_service.tokens import passes
from index_service.tokens.passes import Tokens

MAX_TAGS = 5000
"""Of a repository with more tags the ones set last are looked at."""

TAGS_AT_ONCE = 25
LANES_AT_ONCE = 12
ROOTS_AT_ONCE = 10
MOVES_AT_ONCE = 25
PULL_DAYS = 90
MAX_PLACES = 50
MAX_PINNED = 50

SHORTEST_ID, LONGEST_ID = 12, 64
"""Digits of an image's id: as many as Docker shows, and all."""

_DIGITS = re.compile(r"[0-9a-f]{4,64}")
"""What search takes for the beginning of an id."""

BY_VERSION, BY_PUSH, BY_SIZE = "version", "pushed", "size"

logger = logging.getLogger(__name__)


class RegistryAway(Unavailable):
    """The registry that has to do it does not answer, or does not believe this index; the log says which."""

    def __init__(self) -> None:
        super().__init__("The registry does not answer now, so nothing more was deleted; try again later")


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """An image and all tags of one repository that point at it; facts are None while nobody knows them.

    `moves` are the tags' last moves as far as they are kept, by tag; `set_at` is when the last of the tags was set.
    """

    image_id: str
    tags: list[str]
    moves: dict[str, Move]
    set_at: datetime
    size: int | None = None
    total_size: int | None = None
    layers: int | None = None
    created_at: datetime | None = None
    os: str = ""
    architecture: str = ""
    docker_version: str = ""


@dataclass(frozen=True, slots=True)
class TagList:
    """One page of a repository's tagged images; `total` of these, `tags` in all, `is_cut` where some were left out."""

    head: Head
    images: list[TaggedImage]
    total: int
    tags: int
    is_cut: bool
    annotations: list[Remark]


@dataclass(frozen=True, slots=True)
class Activity:
    """What was done to a repository, the last first, and how often it was pulled on each day."""

    head: Head
    moves: list[Move]
    total: int
    days: list[Day]


@dataclass(frozen=True, slots=True)
class Image:
    """All there is to say of an image. `layers` begin with its own; facts are missing while `is_known` is false.

    `places` are the tags at it and at those it is based on, by image.
    """

    image_id: str
    is_known: bool
    parent_id: str | None
    size: int
    total_size: int
    created_at: datetime | None
    command: str
    author: str
    docker_version: str
    os: str
    architecture: str
    config: Config
    raw: str
    layers: list[Node]
    checksums: list[str]
    places: dict[str, list[Place]]
    repositories: list[RepositoryName]
    uses: int
    children: int
    annotations: list[Remark]


@dataclass(frozen=True, slots=True)
class Doomed:
    """Tags that exist and are to be deleted, and the images that no tag of the repository will point at then."""

    tags: list[Tag]
    untagged: list[ImageId]


@dataclass(frozen=True, slots=True)
class Lanes:
    """One page of a repository's tagged images side by side.

    `elsewhere` are the tags of other repositories at the same images, `stored` the bytes of all layers shown and
    `counted` what they would be if every lane had its own.
    """

    head: Head
    chart: Chart
    elsewhere: dict[str, list[Place]]
    stored: int
    counted: int
    total: int
    is_cut: bool
    annotations: list[Remark]


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees of images with the tags that point at them, and how many repositories use each of their images."""

    trees: list[Branch]
    places: dict[str, list[Place]]
    uses: dict[str, int]
    images: int
    stored: int
    total: int
    is_cut: bool
    annotations: list[Remark]


@dataclass(frozen=True, slots=True)
class Descent:
    """An image, what it is based on (its base last), and the tree of what was made from it."""

    image_id: str
    ancestors: list[Node]
    forest: Forest


class Images:
    """The questions of the pages about tags and images, and those of who deletes."""

    def __init__(
        self,
        database: Database,
        gate: Gate,
        heads: Heads,
        tokens: Tokens,
        endpoints: Endpoints,
        registries: RegistryClient,
        clock: Clock,
    ) -> None:
        self._database = database
        self._gate = gate
        self._heads = heads
        self._tokens = tokens
        self._endpoints = endpoints
        self._registries = registries
        self._clock = clock
        self._old_names = OldNames(database, tokens, registries, clock)

    def tags(self, actor: Actor | None, name: RepositoryName, sort: str, offset: int) -> TagList:
        """A page of the tags. Raises as the policy does."""
        with self._database.reading() as session:
            found = self._heads.read(session, actor, name)
            repository = found.repository
            groups, count, is_cut = _tagged(session, repository.id, sort)
            shown = _described(session, repository.id, groups[offset : offset + TAGS_AT_ONCE])
            pinned: list[Remark] = []
            if found.is_annotated:
                tags = [(repository.id, tag) for image in shown for tag in image.tags]
                ids = [image.image_id for image in shown]
                pinned = comments.pinned_to(session, self._gate.visible(actor), tags=tags, image_ids=ids)
        return TagList(found.head, shown, len(groups), count, is_cut, pinned)

    def activity(self, actor: Actor | None, name: RepositoryName, tag: Tag | None, offset: int) -> Activity:
        """A page of what was done, with all tags or with one. Raises as the policy does."""
        with self._database.reading() as session:
            known = self._heads.read(session, actor, name)
            repository = known.repository
            whose = history.of_repository(repository.id, tag)
            found = moves.latest(session, whose, true(), MOVES_AT_ONCE, offset)
            days = history.days(session, repository.id, self._clock().date(), PULL_DAYS)
            return Activity(known.head, found, history.count(session, whose), days)

    def whole(self, actor: Actor | None, beginning: str) -> ImageId:
        """The id that this is, or of which it is the beginning, `SHORTEST_ID` digits at least.

        Raises NotFound where the actor may see no such image, or several; Unauthenticated where a login is needed.
        """
        if len(beginning) == LONGEST_ID:
            return ImageId(beginning)
        self._require_login(actor)
        found = self.only(actor, beginning) if len(beginning) >= SHORTEST_ID else None
        if found is None:
            raise NotFound("Image not found")
        return found

    def only(self, actor: Actor | None, beginning: str) -> ImageId | None:
        """The image whose id is this or begins so; None unless the actor may see just one."""
        digits = beginning.strip().lower()
        if _DIGITS.fullmatch(digits) is None:
            return None
        with self._database.reading() as session:
            found = lineage.beginning_with(session, digits, self._gate.visible(actor))
        return ImageId(found[0]) if found and (found[0] == digits or len(found) == 1) else None

    def image(self, actor: Actor | None, image_id: ImageId) -> Image:
        """Raises NotFound for an image in no repository that may be read, Unauthenticated where a login is needed."""
        visible = self._gate.visible(actor)
        with self._database.reading() as session:
            self._require_shown(session, actor, image_id)
            record = session.get(ImageRecord, image_id)
            layers = lineage.ancestry(session, image_id, visible)
            related = {image_id, *(node.image_id for node in layers)}
            places = lineage.places(session, related, visible)
            listing = _listing(session, image_id, visible)
            uses = lineage.uses(session, [image_id], visible).get(image_id, len(listing))
            children = lineage.count_children(session, image_id, visible)
            checksums = _checksums(session, image_id, visible)
            pinned = _pinned(session, visible, related, {image_id: places.get(image_id, [])})
        return _image(image_id, record, layers, places, listing, uses, children, checksums, pinned)

    def lanes(self, actor: Actor | None, name: RepositoryName, offset: int) -> Lanes:
        """A page of a repository's tagged images with all they are based on. Raises as the policy does."""
        visible = self._gate.visible(actor)
        with self._database.reading() as session:
            found = self._heads.read(session, actor, name)
            repository = found.repository
            groups, _, is_cut = _tagged(session, repository.id, BY_VERSION)
            tags = {group.image_id: group.tags for group in groups[offset : offset + LANES_AT_ONCE]}
            family = lineage.merged_ancestries(session, tags.keys(), visible)
            ids = [node.image_id for node in family.nodes]
            others = lineage.places(session, ids, visible & (Repository.id != repository.id))
            named = [(repository.id, tag) for group in tags.values() for tag in group]
            pinned = comments.pinned_to(session, visible, tags=named, image_ids=ids)
        chart = lanes.chart(family.nodes, tags)
        counted = sum(lane.total_size for lane in chart.lanes)
        stored = sum(node.size for node in family.nodes)
        return Lanes(found.head, chart, others, stored, counted, len(groups), is_cut or family.is_cut, pinned)

    def forest(self, actor: Actor | None, offset: int, words: str = "") -> Forest:
        """All images the actor may see, by what they are based on: of the latest bases those with most users first.

        With `words`, those of the repositories that a search for them finds, the best `MAX_PAGE_SIZE` of these.
        """
        self._require_login(actor)
        visible = self._gate.visible(actor)
        with self._database.reading() as session:
            among, is_more = self._found(session, actor, words) if words.strip() else (None, False)
            roots, is_cut = lineage.roots(session, visible, among)
            page = roots[offset : offset + ROOTS_AT_ONCE]
            return _forest(session, page, visible, len(roots), among, is_cut=is_cut or is_more)

    def _found(self, session: Session, actor: Actor | None, words: str) -> tuple[list[int], bool]:
        """The numbers of repositories that hold the words, and whether more do."""
        found = finder.search(session, Query(words, 1, MAX_PAGE_SIZE), self._gate, actor)
        return [hit.id for hit in found.hits], found.total > len(found.hits)

    def descent(self, actor: Actor | None, image_id: ImageId) -> Descent:
        """What was made from an image, and what it is made from. Raises as `image` does."""
        visible = self._gate.visible(actor)
        with self._database.reading() as session:
            self._require_shown(session, actor, image_id)
            ancestors = lineage.ancestry(session, image_id, visible)[1:]
            return Descent(image_id, ancestors, _forest(session, [image_id], visible, 1))

    def doomed(self, actor: Actor, name: RepositoryName, tags: Sequence[Tag]) -> Doomed:
        """What deleting these would do. Raises as the policy does for who may not delete them."""
        with self._database.reading() as session:
            repository = self._gate.require(session, actor, name, catalogue.find(session, name), Action.WRITE)
            known = catalogue.tags(session, repository.id)
        doomed = [tag for tag in versions.newest_first(set(tags)) if tag in known]
        left = {image for tag, image in known.items() if tag not in doomed}
        untagged = dict.fromkeys(known[Tag(tag)] for tag in doomed if known[Tag(tag)] not in left)
        return Doomed([Tag(tag) for tag in doomed], list(untagged))

    def delete_tags(self, actor: Actor, name: RepositoryName, tags: Sequence[Tag]) -> None:
        """Delete tags at the registry, and so here. Raises as the policy does, and Unavailable: what was deleted until
        then stays deleted, all others stay."""
        repository, endpoint = self._deletable(actor, name, Action.WRITE)
        with self._database.writing() as session:
            before = catalogue.tags(session, repository.id)
            token = self._tokens.issue_own(session, name, Access.DELETE, self._clock(), actor, repository.id)
        for tag in tags:
            try:
                self._registries.delete_tag(endpoint, token, name, tag)
            except NotFound:
                logger.info("the registry had no tag %s:%s to delete", name, tag)
            except Unavailable as failure:
                raise RegistryAway from failure
            self._drop_tag(repository.id, name, tag, before.get(tag), actor)

    def delete_repository(self, actor: Actor, name: RepositoryName, address: str) -> None:
        """Delete a repository at its registry, and so here. Raises as the policy does, and Unavailable: nothing is
        deleted then."""
        repository, endpoint = self._deletable(actor, name, Action.DELETE)
        try:
            self._old_names.leave_pending(endpoint, repository)
        except Unavailable as failure:
            raise RegistryAway from failure
        with self._database.writing() as session:
            token = self._tokens.issue(session, actor, repository, Access.DELETE, self._clock())
        try:
            self._registries.delete_repository(endpoint, token, name)
        except NotFound:
            self._drop(actor, repository.id, name, address)
        except Unavailable as failure:
            if self._exists(repository.id):
                raise RegistryAway from failure
            self._delete_again(endpoint, name)
        with self._database.writing() as session:
            passes.forget_consumed(session, actor.id, name, self._clock())

    def _delete_again(self, endpoint: str, name: RepositoryName) -> None:
        """The registry had the index forget the repository, and then did not delete it, or did not say so."""
        with self._database.writing() as session:
            token = self._tokens.issue_own(session, name, Access.DELETE, self._clock())
        try:
            self._registries.delete_repository(endpoint, token, name)
        except NotFound:
            logger.info("the registry %s had deleted %s after all", endpoint, name)
        except Unavailable as failure:
            logger.error("%s is deleted here, its tags may be left at %s: %s", name, endpoint, failure.message)

    def _drop(self, actor: Actor, repository_id: int, name: RepositoryName, address: str) -> None:
        """The registry never had it: a push began and nothing came."""
        with self._database.writing() as session:
            repository = catalogue.hold(session, name)
            if repository is not None and repository.id == repository_id:
                catalogue.drop(session, repository.id)
                Deed(actor, address, self._clock()).record(session, Change.REPOSITORY_DELETED, str(name))

    def _drop_tag(
        self, repository_id: int, name: RepositoryName, tag: Tag, image_id: ImageId | None, actor: Actor
    ) -> None:
        """The registry tells of a deleted tag once; where that did not arrive, it goes all the same."""
        with self._database.writing() as session:
            repository = catalogue.hold(session, name)
            if repository is None or repository.id != repository_id:
                return
            if catalogue.tags(session, repository_id).get(tag) == image_id:
                catalogue.delete_tag(session, repository, tag, Pusher(actor.id), self._clock())

    def _deletable(self, actor: Actor, name: RepositoryName, action: Action) -> tuple[Repository, str]:
        with self._database.reading() as session:
            repository = self._gate.require(session, actor, name, catalogue.find(session, name), action)
        return repository, self._endpoints.announced(repository.endpoint)

    def _exists(self, repository_id: int) -> bool:
        with self._database.reading() as session:
            return session.get(Repository, repository_id) is not None

    def _require_login(self, actor: Actor | None) -> None:
        if actor is None and self._gate.login_only:
            raise Unauthenticated("Requires authorization")

    def _require_shown(self, session: Session, actor: Actor | None, image_id: ImageId) -> None:
        self._require_login(actor)
        listing = (
            select(ListedImage.id)
            .join(Repository, Repository.id == ListedImage.repository_id)
            .where(ListedImage.image_id == image_id, self._gate.visible(actor))
        )
        if session.scalar(listing.limit(1)) is None:
            raise NotFound("Image not found")


def _tagged(session: Session, repository_id: int, sort: str) -> tuple[list[TaggedImage], int, bool]:
    """All images that tags point at, in the order asked for; how many tags, and whether there were too many."""
    rows = session.execute(_LATEST_TAGS, {"repository": repository_id}).all()
    kept = {name: (image_id or "", at, total) for name, image_id, at, total in rows[:MAX_TAGS]}
    grouped: dict[str, list[str]] = {}
    for name in versions.newest_first(kept):
        grouped.setdefault(kept[name][0], []).append(name)
    groups = [
        TaggedImage(image_id, names, {}, max(kept[name][1] for name in names), total_size=kept[names[0]][2])
        for image_id, names in grouped.items()
    ]
    return _sorted(groups, sort), len(kept), len(rows) > MAX_TAGS


_LATEST_TAGS = (
    select(TagRecord.name, TagRecord.image_id, TagRecord.updated_at, ImageRecord.total_size)
    .outerjoin(ImageRecord, ImageRecord.image_id == TagRecord.image_id)
    .where(TagRecord.repository_id == bindparam("repository"), TagRecord.image_id.is_not(None))
    .order_by(TagRecord.updated_at.desc(), TagRecord.name)
    .limit(MAX_TAGS + 1)
    .execution_options(**PLANNED_ONCE)
)


def _sorted(groups: list[TaggedImage], sort: str) -> list[TaggedImage]:
    if sort == BY_PUSH:
        return sorted(groups, key=lambda group: group.set_at, reverse=True)
    if sort == BY_SIZE:
        return sorted(groups, key=lambda group: group.total_size or 0, reverse=True)
    return groups


def _described(session: Session, repository_id: int, groups: Sequence[TaggedImage]) -> list[TaggedImage]:
    """The same with the images' facts and the tags' last moves."""
    records = _records(session, [group.image_id for group in groups])
    last = history.last_of_each(session, repository_id, [tag for group in groups for tag in group.tags])
    return [_with_facts(group, records.get(group.image_id), last) for group in groups]


def _with_facts(group: TaggedImage, record: Any, last: dict[str, Move]) -> TaggedImage:
    own = {tag: last[tag] for tag in group.tags if tag in last and last[tag].image_id == group.image_id}
    if record is None:
        return TaggedImage(group.image_id, group.tags, own, group.set_at)
    return TaggedImage(
        group.image_id,
        group.tags,
        own,
        group.set_at,
        record.size,
        record.total_size,
        record.depth + 1,
        record.created_at,
        record.os,
        record.architecture,
        record.docker_version,
    )


def _records(session: Session, image_ids: Collection[str]) -> dict[str, Any]:
    """What lists show of images."""
    return {record.image_id: record for record in session.execute(_RECORDS, {"images": list(image_ids)})}


_RECORDS = (
    select(
        ImageRecord.image_id,
        ImageRecord.size,
        ImageRecord.total_size,
        ImageRecord.depth,
        ImageRecord.created_at,
        ImageRecord.os,
        ImageRecord.architecture,
        ImageRecord.docker_version,
    )
    .where(ImageRecord.image_id.in_(bindparam("images", expanding=True)))
    .execution_options(**PLANNED_ONCE)
)


def _listing(session: Session, image_id: str, visible: ColumnElement[bool]) -> list[RepositoryName]:
    """The repositories that list an image, the most pulled first, up to `MAX_PLACES`."""
    rows = session.execute(
        select(Repository.namespace, Repository.name)
        .join(ListedImage, ListedImage.repository_id == Repository.id)
        .where(ListedImage.image_id == image_id, visible)
        .order_by(Repository.pull_count.desc(), Repository.namespace, Repository.name)
        .limit(MAX_PLACES)
    )
    return [RepositoryName(namespace, name) for namespace, name in rows]


def _checksums(session: Session, image_id: str, visible: ColumnElement[bool]) -> list[str]:
    rows = session.scalars(
        select(ListedImage.checksum)
        .join(Repository, Repository.id == ListedImage.repository_id)
        .where(ListedImage.image_id == image_id, ListedImage.checksum.is_not(None), visible)
        .group_by(ListedImage.checksum)
        .order_by(func.count().desc(), ListedImage.checksum)
        .limit(5)
    )
    return [checksum for checksum in rows if checksum]


def _forest(
    session: Session,
    roots: Sequence[str],
    visible: ColumnElement[bool],
    total: int,
    among: Collection[int] | None = None,
    *,
    is_cut: bool = False,
) -> Forest:
    family = lineage.descendants(session, roots, visible, among)
    places = lineage.places(session, [node.image_id for node in family.nodes], visible)
    if among is not None:
        for found in places.values():
            found.sort(key=lambda place: place.repository_id not in among)
    grown = trees.grow(family.nodes, {*places, *roots})
    order = {image_id: number for number, image_id in enumerate(roots)}
    grown.sort(key=lambda tree: order.get(tree.node.image_id, len(order)))
    shown = [branch.node.image_id for tree in grown for _, branch in tree.walk()]
    uses = lineage.uses(session, shown, visible)
    stored = sum(node.size for node in family.nodes)
    pinned = _pinned(session, visible, places.keys() | set(shown), places)
    return Forest(grown, places, uses, len(family.nodes), stored, total, is_cut or family.is_cut, pinned)


def _pinned(
    session: Session, visible: ColumnElement[bool], image_ids: Collection[str], places: dict[str, list[Place]]
) -> list[Remark]:
    """What is pinned to these images, and to these tags."""
    tags = {(place.repository_id, place.tag) for found in places.values() for place in found}
    return comments.pinned_to(session, visible, tags=tags, image_ids=image_ids, limit=MAX_PINNED)


def _image(
    image_id: ImageId,
    record: ImageRecord | None,
    layers: list[Node],
    places: dict[str, list[Place]],
    listing: list[RepositoryName],
    uses: int,
    children: int,
    checksums: list[str],
    annotations: list[Remark],
) -> Image:
    known = record or ImageRecord(
        parent_id=None,
        size=0,
        total_size=0,
        created_at=None,
        command="",
        author="",
        docker_version="",
        os="",
        architecture="",
        config="{}",
    )
    return Image(
        image_id=image_id,
        is_known=record is not None,
        parent_id=layers[1].image_id if len(layers) > 1 else None,
        size=known.size,
        total_size=known.total_size,
        created_at=known.created_at,
        command=known.command,
        author=known.author,
        docker_version=known.docker_version,
        os=known.os,
        architecture=known.architecture,
        config=config_of(known.config),
        raw=pretty(known.config),
        layers=layers,
        checksums=checksums,
        places=places,
        repositories=listing,
        uses=uses,
        children=children,
        annotations=annotations,
    )
