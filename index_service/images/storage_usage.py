"""Storage usage at the registries by namespace, and how much repositories save by sharing layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from index_service.images.models import ImageRecord
from index_service.repositories.models import HeldImage, Repository


@dataclass(frozen=True, slots=True)
class NamespaceStorage:
    """One namespace: `apart` is what its repositories' layers would take each for itself, `together` what they do."""

    namespace: str
    repositories: int
    images: int
    apart: int
    together: int

    @property
    def saved(self) -> int:
        return max(0, self.apart - self.together)


@dataclass(frozen=True, slots=True)
class StorageTotals:
    """All of it. `together` is less than the sum of the namespaces' where those share layers too."""

    namespaces: list[NamespaceStorage]
    repositories: int
    images: int
    apart: int
    together: int

    @property
    def saved(self) -> int:
        return max(0, self.apart - self.together)


_ORDERS: dict[str, Callable[[NamespaceStorage], tuple[int, str]]] = {
    "size": lambda row: (-row.together, row.namespace),
    "saved": lambda row: (-row.saved, row.namespace),
    "name": lambda row: (0, row.namespace),
}
STORAGE_SORTS = tuple(_ORDERS)


def ordered(rows: Iterable[NamespaceStorage], sort: str) -> list[NamespaceStorage]:
    """Sorted by one of `STORAGE_SORTS`."""
    return sorted(rows, key=_ORDERS[sort])


def measure(session: Session) -> StorageTotals:
    """Counts every image that is held shared once per namespace: a query of seconds for millions of images.

    Layers of unknown size count nothing.
    """
    apart = {name: (count, size) for name, count, size in session.execute(_apart())}
    kept: dict[str, tuple[int, int]] = {}
    for name, images, size in [*session.execute(_shared_once()), *session.execute(_own())]:
        before = kept.get(name, (0, 0))
        kept[name] = (before[0] + images, before[1] + int(size))
    (images, size), (own_images, own_size) = session.execute(_in_all()).one(), session.execute(_own_in_all()).one()
    rows = [
        NamespaceStorage(name, count, kept.get(name, (0, 0))[0], int(total), kept.get(name, (0, 0))[1])
        for name, (count, total) in apart.items()
    ]
    rows.sort(key=lambda row: (-row.together, row.namespace))
    repositories, in_sum = sum(row.repositories for row in rows), sum(row.apart for row in rows)
    return StorageTotals(rows, repositories, images + own_images, in_sum, int(size) + int(own_size))


def kept_by(session: Session, namespace: str) -> int:
    """The bytes of one namespace, counted as `measure` does: its `together`."""
    of_it = Repository.namespace == namespace
    return sum(int(size) for query in (_shared_once(of_it), _own(of_it)) for _, _, size in session.execute(query))


def _apart() -> Select[str, int, int]:
    size = func.coalesce(func.sum(Repository.layer_bytes), 0)
    return select(Repository.namespace, func.count(), size).group_by(Repository.namespace)


def _shared_once(*conditions: ColumnElement[bool]) -> Select[str, int, int]:
    """What repositories hold shared, by namespace: images and their bytes."""
    once = (
        select(Repository.namespace, HeldImage.image_id)
        .join(HeldImage, HeldImage.repository_id == Repository.id)
        .where(HeldImage.is_apart.is_(False), *conditions)
        .distinct()
        .subquery()
    )
    size = func.coalesce(func.sum(ImageRecord.size), 0)
    return (
        select(once.c.namespace, func.count(), size)
        .outerjoin(ImageRecord, ImageRecord.image_id == once.c.image_id)
        .group_by(once.c.namespace)
    )


def _own(*conditions: ColumnElement[bool]) -> Select[str, int, Any]:
    """The same of what they keep apart, each for itself."""
    return (
        select(Repository.namespace, func.count(), func.coalesce(func.sum(HeldImage.apart_size), 0))
        .join(HeldImage, HeldImage.repository_id == Repository.id)
        .where(HeldImage.is_apart, *conditions)
        .group_by(Repository.namespace)
    )


def _in_all() -> Select[int, int]:
    """Of what was deleted everywhere the facts stay; it does not count."""
    held = exists().where(HeldImage.image_id == ImageRecord.image_id, HeldImage.is_apart.is_(False))
    return select(func.count(), func.coalesce(func.sum(ImageRecord.size), 0)).where(held)


def _own_in_all() -> Select[int, Any]:
    return select(func.count(), func.coalesce(func.sum(HeldImage.apart_size), 0)).where(HeldImage.is_apart)
