"""Images that repositories of several namespaces hold, for an operator who looks for one that a stranger pushed first.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.repositories.models import HeldImage, ListedImage, Repository

BATCH_SIZE = 500

MAX_HOLDERS = 5
"""So many repositories are named of each image."""


@dataclass(frozen=True, slots=True)
class SharedImage:
    """An image, the repository that listed it first of those that still exist, and `count` that hold it shared, of
    which `holders` are the first by name."""

    image_id: str
    first: RepositoryName | None
    holders: list[RepositoryName]
    count: int


def after(session: Session, image_id: str) -> list[SharedImage]:
    """The next ones in the order of their ids; call again after the last until the list is empty."""
    several = (
        select(HeldImage.image_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id > image_id, HeldImage.is_apart.is_(False))
        .group_by(HeldImage.image_id)
        .having(func.min(Repository.namespace) != func.max(Repository.namespace))
        .order_by(HeldImage.image_id)
        .limit(BATCH_SIZE)
    )
    ids = list(session.scalars(several))
    first, holders, counts = _first(session, ids), *_holders(session, ids)
    return [SharedImage(id_, first.get(id_), holders[id_], counts[id_]) for id_ in ids]


def _first(session: Session, ids: Sequence[str]) -> dict[str, RepositoryName]:
    """By image, the repository whose list has had it for longest."""
    oldest = select(func.min(ListedImage.id)).where(ListedImage.image_id.in_(ids)).group_by(ListedImage.image_id)
    rows = session.execute(
        select(ListedImage.image_id, Repository.namespace, Repository.name)
        .join(Repository, Repository.id == ListedImage.repository_id)
        .where(ListedImage.id.in_(oldest))
    )
    return {image_id: RepositoryName(namespace, name) for image_id, namespace, name in rows}


def _holders(session: Session, ids: Sequence[str]) -> tuple[dict[str, list[RepositoryName]], dict[str, int]]:
    """By image, the first repositories that hold it, and how many do: the base of all may be held by thousands."""
    place = func.row_number().over(partition_by=HeldImage.image_id, order_by=(Repository.namespace, Repository.name))
    ranked = (
        select(
            HeldImage.image_id,
            Repository.namespace,
            Repository.name,
            place.label("place"),
            func.count().over(partition_by=HeldImage.image_id).label("count"),
        )
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id.in_(ids), HeldImage.is_apart.is_(False))
        .subquery()
    )
    names: dict[str, list[RepositoryName]] = {}
    counts: dict[str, int] = {}
    rows = session.execute(
        select(ranked).where(ranked.c.place <= MAX_HOLDERS).order_by(ranked.c.image_id, ranked.c.place)
    )
    for image_id, namespace, name, _, count in rows:
        names.setdefault(image_id, []).append(RepositoryName(namespace, name))
        counts[image_id] = count
    return names, counts
