"""The image graph in SQL: ancestries, descendants and roots.

An image is visible to everybody who may read a repository that holds it shared; one that is not visible hides its place
among its relatives too. What repositories keep apart has no place here: an id means the shared image. Every query is
bounded: a chain up to `MAX_DEPTH`, a family up to `MAX_FAMILY` images, the nearest first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, and_, func, literal, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.attributes import InstrumentedAttribute

from common.names import RepositoryName
from index_service.images.models import ImageRecord
from index_service.repositories.models import HeldImage, Repository, TagRecord

MAX_DEPTH = 1000
MAX_FAMILY = 1000
MAX_TAGS = 2000
MAX_ROOTS, MAX_WEIGHED = 500, 30
MAX_USES = 100
"""The limit up to which repositories that hold an image are counted."""

MAX_SHOWN_PLACES = 20
"""The limit of tags shown per image in a graph."""


_IS_SHARED = HeldImage.is_apart.is_(False)

PACKED_NOTHING, PLAIN_NOTHING = 64, 1024
"""The size of an archive without entries: at most this when compressed by gzip or xz, exactly this when not."""


def is_empty(size: int) -> bool:
    """Whether an archive of this size contains no file."""
    return size <= PACKED_NOTHING or size == PLAIN_NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One image among its relatives: `size` is its own layer's, `total_size` its whole ancestry's, both in bytes."""

    image_id: str
    parent_id: str | None
    size: int
    total_size: int
    depth: int
    created_at: datetime | None
    command: str

    @property
    def is_empty(self) -> bool:
        """Whether its layer is an archive of nothing, which has some bytes all the same."""
        return is_empty(self.size)


@dataclass(frozen=True, slots=True)
class Place:
    """A tag of a repository, of which this is the number, that points at an image."""

    repository: RepositoryName
    tag: str
    repository_id: int

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def short(self) -> str:
        """As people say it, without `library/`."""
        return f"{self.repository.name}:{self.tag}" if self.repository.is_library else str(self)


@dataclass(frozen=True, slots=True)
class Family:
    """Related images; `is_cut` if there are more than the limit."""

    nodes: list[Node]
    is_cut: bool = False


def is_shown(
    image_id: ColumnElement[str] | InstrumentedAttribute[str],
    visible: ColumnElement[bool],
    among: Collection[int] | None = None,
) -> Any:
    """The condition that a visible repository holds the image.

    It is evaluated per image: a planner that turned it into a join would read all that repositories hold. If only a few
    of them count, whose ids are `among`, what these hold is read at once instead.
    """
    if among is not None:
        return image_id.in_(select(HeldImage.image_id).where(HeldImage.repository_id.in_(among), _IS_SHARED))
    holder = (
        select(HeldImage.repository_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id == image_id, _IS_SHARED, visible)
        .limit(1)
    )
    return holder.scalar_subquery().is_not(None)


def beginning_with(session: Session, digits: str, visible: ColumnElement[bool]) -> list[str]:
    """The first two visible images whose ids begin with these digits."""
    found: list[str] = []
    while len(found) < 2 and (after := _first_held(session, digits, found, visible)) is not None:
        found.append(after)
    return found


def _first_held(session: Session, digits: str, after: Sequence[str], visible: ColumnElement[bool]) -> str | None:
    # "g" comes after every hexadecimal digit.
    rest = HeldImage.image_id > after[-1] if after else HeldImage.image_id >= digits
    # Evaluated per image, as in `is_shown`.
    holder = select(Repository.id).where(Repository.id == HeldImage.repository_id, visible).scalar_subquery()
    return session.scalar(
        select(HeldImage.image_id)
        .where(rest, HeldImage.image_id < digits + "g", _IS_SHARED, holder.is_not(None))
        .order_by(HeldImage.image_id)
        .limit(1)
    )


def ancestry(session: Session, image_id: str, visible: ColumnElement[bool]) -> list[Node]:
    """The image first, its base last, as far as they are known and shown."""
    start = select(ImageRecord.image_id, literal(0).label("step")).where(ImageRecord.image_id == image_id)
    above = start.cte("above", recursive=True)
    parent = (
        select(ImageRecord.parent_id, above.c.step + 1)
        .join(above, ImageRecord.image_id == above.c.image_id)
        .where(ImageRecord.parent_id.is_not(None), above.c.step < MAX_DEPTH)
    )
    above = above.union(parent)
    rows = session.execute(_nodes(above).where(is_shown(ImageRecord.image_id, visible)).order_by(above.c.step))
    return _until_broken([_node(*row) for row in rows])


def merged_ancestries(session: Session, image_ids: Collection[str], visible: ColumnElement[bool]) -> Family:
    """These images and all they are based on, each once; the base first."""
    start = select(ImageRecord.image_id).where(ImageRecord.image_id.in_(image_ids))
    above = start.cte("above", recursive=True)
    parent = (
        select(ImageRecord.parent_id)
        .join(above, ImageRecord.image_id == above.c.image_id)
        .where(ImageRecord.parent_id.is_not(None))
    )
    return _family(session, above.union(parent), visible)


def descendants(
    session: Session,
    image_ids: Collection[str],
    visible: ColumnElement[bool],
    among: Collection[int] | None = None,
) -> Family:
    """These images and what was made from them, the nearest first; `among` as `is_shown` takes it."""
    known = ImageRecord.image_id.in_(image_ids)
    start = select(ImageRecord.image_id).where(known, is_shown(ImageRecord.image_id, visible, among))
    below = start.cte("below", recursive=True)
    child = aliased(ImageRecord)
    made = (
        select(child.image_id)
        .join(below, child.parent_id == below.c.image_id)
        .where(is_shown(child.image_id, visible, among))
    )
    return _family(session, below.union(made))


def roots(
    session: Session, visible: ColumnElement[bool], among: Collection[int] | None = None
) -> tuple[list[str], bool]:
    """Images without a parent, those that most repositories use first; and whether there are more.

    Considers the `MAX_ROOTS` read last, and up to `MAX_WEIGHED` repositories of each.
    """
    near = (
        select(ImageRecord.image_id)
        .where(ImageRecord.parent_id.is_(None), is_shown(ImageRecord.image_id, visible, among))
        .order_by(ImageRecord.read_at.desc(), ImageRecord.image_id)
        .limit(MAX_ROOTS + 1)
        .subquery()
    )
    weight = _count_uses(near, near.c.image_id, visible, MAX_WEIGHED).label("weight")
    rows = session.execute(select(near.c.image_id, weight)).all()
    ordered = sorted(rows[:MAX_ROOTS], key=lambda row: (-row.weight, row.image_id))
    return [row.image_id for row in ordered], len(rows) > MAX_ROOTS


def places(
    session: Session, image_ids: Collection[str], visible: ColumnElement[bool], *, limit: int = MAX_TAGS
) -> dict[str, list[Place]]:
    """The tags that point at each image, in the order of their repositories' names."""
    rows = session.execute(
        select(TagRecord.image_id, Repository.namespace, Repository.name, TagRecord.name, Repository.id)
        .join(Repository, Repository.id == TagRecord.repository_id)
        .join(
            HeldImage,
            and_(HeldImage.repository_id == TagRecord.repository_id, HeldImage.image_id == TagRecord.image_id),
        )
        .where(TagRecord.image_id.in_(image_ids), _IS_SHARED, visible)
        .order_by(Repository.namespace, Repository.name, TagRecord.name)
        .limit(limit)
    )
    found: dict[str, list[Place]] = {}
    for image_id, namespace, name, tag, number in rows:
        found.setdefault(image_id or "", []).append(Place(RepositoryName(namespace, name), tag, number))
    return found


def uses(session: Session, image_ids: Collection[str], visible: ColumnElement[bool]) -> dict[str, int]:
    """How many visible repositories hold each image, counted up to `MAX_USES`."""
    counted = _count_uses(ImageRecord, ImageRecord.image_id, visible, MAX_USES)
    rows = session.execute(select(ImageRecord.image_id, counted).where(ImageRecord.image_id.in_(image_ids)))
    return dict(rows.all())


def count_children(session: Session, image_id: str, visible: ColumnElement[bool]) -> int:
    """How many shown images were made from this one directly."""
    child = select(func.count()).where(ImageRecord.parent_id == image_id, is_shown(ImageRecord.image_id, visible))
    return session.scalar(child) or 0


def _count_uses(source: Any, image_id: Any, visible: ColumnElement[bool], most: int) -> Any:
    """How many visible repositories hold the image, counted up to `most`, as a column beside those of `source`."""
    holders = (
        select(HeldImage.repository_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id == image_id, _IS_SHARED, visible)
        .correlate(source)
        .limit(most)
        .subquery()
    )
    return select(func.count()).select_from(holders).scalar_subquery()


def _family(session: Session, related: CTE, visible: ColumnElement[bool] | None = None) -> Family:
    """The related images, without those that are not visible unless they were filtered before."""
    # The recursion stops when no more rows are fetched.
    near = select(related.c.image_id).limit(MAX_FAMILY + 1).subquery()
    found = _nodes(near) if visible is None else _nodes(near).where(is_shown(ImageRecord.image_id, visible))
    ordered = found.order_by(ImageRecord.depth, ImageRecord.created_at, ImageRecord.image_id)
    rows = session.execute(ordered).all()
    return Family([_node(*row) for row in rows[:MAX_FAMILY]], len(rows) > MAX_FAMILY)


def _node(
    image_id: str,
    parent_id: str | None,
    size: int,
    total_size: int,
    depth: int,
    created_at: datetime | None,
    command: str,
) -> Node:
    return Node(
        image_id=image_id,
        parent_id=parent_id,
        size=size,
        total_size=total_size,
        depth=depth,
        created_at=created_at,
        command=command,
    )


def _nodes(related: Any) -> Select[Any]:
    columns: tuple[Any, ...] = (
        ImageRecord.image_id,
        ImageRecord.parent_id,
        ImageRecord.size,
        ImageRecord.total_size,
        ImageRecord.depth,
        ImageRecord.created_at,
        ImageRecord.command,
    )
    return select(*columns).join(related, related.c.image_id == ImageRecord.image_id)


def _until_broken(nodes: Sequence[Node]) -> list[Node]:
    """Up to the first image that is not visible, which hides how the rest is related."""
    chain: list[Node] = []
    for node in nodes:
        if chain and chain[-1].parent_id != node.image_id:
            break
        chain.append(node)
    return chain
