"""The image store: image metadata in SQL, which of it is missing, and the sums that lists are sorted by.

Every function takes the session of the caller's transaction. Nothing here deletes metadata: what a registry does not
answer, or no longer has, stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ScalarSelect, case, cast, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from common.names import ImageId
from index_service.db import upsert
from index_service.images.image_metadata import ImageMetadata
from index_service.images.jobs import READ
from index_service.images.models import ImageRecord, Job
from index_service.repositories.models import HeldImage, ListedImage, Repository

BATCH_SIZE = 200
"""Images are read and recorded in batches, so that no transaction is long."""

MAX_NOT_READ = 3
"""Repositories that are asked about in a request that waits."""

MAX_GENERATIONS = 1000

_PAYLOAD = "sha256:"
"""Begins a checksum of all bytes of an image's JSON and layer."""

_COLUMNS = tuple(column.key for column in ImageRecord.__mapper__.columns if column.key != "image_id")


def unknown(session: Session, repository_id: int, *, after: str = "", everything: bool = False) -> list[str]:
    """The next images that a repository holds shared and whose metadata is to be read, in the order of their ids.

    Images without metadata, or with `everything` all; call again after the last id until the list is empty. What is
    kept apart has none: metadata is by id, and that id means another image elsewhere.
    """
    shared = select(HeldImage.image_id).where(
        HeldImage.repository_id == repository_id, HeldImage.image_id > after, HeldImage.is_apart.is_(False)
    )
    if not everything:
        known = select(ImageRecord.image_id).where(ImageRecord.image_id == HeldImage.image_id)
        shared = shared.where(~known.exists())
    return list(session.scalars(shared.order_by(HeldImage.image_id).limit(BATCH_SIZE)))


def unsized(session: Session, repository_id: int, *, after: str = "", everything: bool = False) -> list[str]:
    """The same of what the repository keeps apart, of which only the bytes are to be read."""
    apart = select(HeldImage.image_id).where(
        HeldImage.repository_id == repository_id, HeldImage.image_id > after, HeldImage.is_apart
    )
    if not everything:
        apart = apart.where(HeldImage.apart_size.is_(None))
    return list(session.scalars(apart.order_by(HeldImage.image_id).limit(BATCH_SIZE)))


def record_sizes(session: Session, repository_id: int, sizes: Mapping[str, int]) -> None:
    """Record the bytes of what the repository keeps apart."""
    for image_id, size in sizes.items():
        of_it = (HeldImage.repository_id == repository_id, HeldImage.image_id == image_id, HeldImage.is_apart)
        session.execute(update(HeldImage).where(*of_it).values(apart_size=size))


def foreign(session: Session, image_ids: Sequence[str], store: str | None) -> set[str]:
    """Those of some ids that are known to mean another store's image, in what is described or else held shared."""
    if store is None:
        return set()
    held = (
        select(HeldImage.image_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id.in_(image_ids), HeldImage.is_apart.is_(False), Repository.store != store)
    )
    return _described_elsewhere(session, image_ids, store) | set(session.scalars(held))


def _described_elsewhere(session: Session, image_ids: Sequence[str], store: str | None) -> set[str]:
    if store is None:
        return set()
    of_it = (ImageRecord.image_id.in_(image_ids), ImageRecord.store != store)
    return set(session.scalars(select(ImageRecord.image_id).where(*of_it)))


def recognise(session: Session, repository_id: int, facts: Sequence[ImageMetadata]) -> None:
    """Those foreign images of a repository that are the described ones, byte for byte, are shared by all."""
    told: dict[str, set[str]] = {fact.image_id: set(map(str, fact.checksums)) for fact in facts}
    rows = session.execute(select(ImageRecord.image_id, ImageRecord.checksums).where(ImageRecord.image_id.in_(told)))
    same = [
        image_id
        for image_id, checksums in rows
        if any(each.startswith(_PAYLOAD) for each in told[image_id] & set(checksums.split()))
    ]
    of_it = (HeldImage.repository_id == repository_id, HeldImage.image_id.in_(same), HeldImage.is_foreign)
    session.execute(update(HeldImage).where(*of_it).values(is_apart=False, is_foreign=False, apart_size=None))


def record(session: Session, facts: Sequence[ImageMetadata], now: datetime, store: str | None = None) -> None:
    """Insert or update metadata, and the sums that depend on it: of descendants and of repositories.

    What is another store's image stays it.
    """
    others = _described_elsewhere(session, [fact.image_id for fact in facts], store)
    facts = [fact for fact in facts if fact.image_id not in others]
    if not facts:
        return
    before = _sizes(session, [fact.image_id for fact in facts])
    totals = _totals(session, facts)
    ordered = sorted(facts, key=lambda fact: fact.image_id)
    rows = [{**_row(fact, *totals[fact.image_id], now), "store": store} for fact in ordered]
    upsert(session, ImageRecord, rows, key=("image_id",), changed=_COLUMNS)
    _settle(session, {fact.image_id for fact in facts})
    changed = [fact.image_id for fact in facts if before.get(fact.image_id) != fact.size]
    sum_layers(session, _holders(session, changed))


def sum_layers(session: Session, repository_ids: Iterable[int]) -> None:
    """Sum the bytes of all layers that each of these repositories holds, as far as they are known."""
    ids = sorted(set(repository_ids))
    # In one order, so that two transactions cannot deadlock.
    own = select(Repository.id).where(Repository.id.in_(ids)).order_by(Repository.id)
    held = list(session.scalars(own.with_for_update(key_share=True)))
    if held:
        session.execute(
            update(Repository)
            .where(Repository.id.in_(held))
            .values(layer_bytes=_layer_bytes())
            .execution_options(synchronize_session=False)
        )


def _layer_bytes() -> ScalarSelect[int]:
    size = case((HeldImage.is_apart, HeldImage.apart_size), else_=ImageRecord.size)
    return (
        select(cast(func.coalesce(func.sum(size), 0), Repository.layer_bytes.type))
        .select_from(HeldImage)
        .outerjoin(ImageRecord, ImageRecord.image_id == HeldImage.image_id)
        .where(HeldImage.repository_id == Repository.id)
        .correlate(Repository)
        .scalar_subquery()
    )


def _holders(session: Session, ids: list[ImageId]) -> list[int]:
    """The repositories that hold any of these images shared."""
    if not ids:
        return []
    shared = (HeldImage.image_id.in_(ids), HeldImage.is_apart.is_(False))
    return list(session.scalars(select(HeldImage.repository_id).where(*shared).distinct()))


def _sizes(session: Session, ids: Iterable[str]) -> dict[str, int]:
    rows = session.execute(select(ImageRecord.image_id, ImageRecord.size).where(ImageRecord.image_id.in_(list(ids))))
    return {row.image_id: row.size for row in rows}


def _totals(session: Session, facts: Sequence[ImageMetadata]) -> dict[str, tuple[int, int]]:
    """The bytes of the whole ancestry and the number of ancestors, by image; an unknown parent counts nothing."""
    by_id: dict[str, ImageMetadata] = {fact.image_id: fact for fact in facts}
    outside = {fact.parent_id for fact in facts if fact.parent_id is not None} - by_id.keys()
    totals = _known_totals(session, outside)
    for fact in facts:
        for image in _chain(fact, by_id, totals):
            total, depth = totals.get(image.parent_id or "", (0, -1))
            totals[image.image_id] = (total + image.size, depth + 1)
    return totals


def _chain(
    fact: ImageMetadata, by_id: Mapping[str, ImageMetadata], totals: Mapping[str, tuple[int, int]]
) -> list[ImageMetadata]:
    """The image and those of its ancestors whose totals are missing, the base first."""
    chain: list[ImageMetadata] = []
    at: ImageMetadata | None = fact
    seen: set[str] = set()
    while at is not None and at.image_id not in totals and at.image_id not in seen:
        chain.append(at)
        seen.add(at.image_id)
        at = by_id.get(at.parent_id or "")
    return chain[::-1]


def _known_totals(session: Session, ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    rows = session.execute(
        select(ImageRecord.image_id, ImageRecord.total_size, ImageRecord.depth).where(
            ImageRecord.image_id.in_(list(ids))
        )
    )
    return {id_: (total, depth) for id_, total, depth in rows}


def _settle(session: Session, ids: set[str]) -> None:
    """Recompute the totals of images that were stored before their ancestors, generation by generation."""
    parent, child = aliased(ImageRecord), aliased(ImageRecord)
    generation = ids
    for _ in range(MAX_GENERATIONS):
        rows = session.execute(
            select(child.image_id, parent.total_size + child.size, parent.depth + 1)
            .join(parent, parent.image_id == child.parent_id)
            .where(parent.image_id.in_(generation))
            .where(or_(child.total_size != parent.total_size + child.size, child.depth != parent.depth + 1))
        ).all()
        for id_, total, depth in rows:
            own = update(ImageRecord).where(ImageRecord.image_id == id_)
            session.execute(own.values(total_size=total, depth=depth))
        generation = {id_ for id_, _, _ in rows}
        if not generation:
            return


def _row(fact: ImageMetadata, total: int, depth: int, now: datetime) -> dict[str, object]:
    return {
        "image_id": fact.image_id,
        "parent_id": fact.parent_id,
        "size": fact.size,
        "total_size": total,
        "depth": depth,
        "created_at": fact.created_at,
        "command": fact.command,
        "author": fact.author,
        "docker_version": fact.docker_version,
        "os": fact.os,
        "architecture": fact.architecture,
        "config": fact.config,
        "checksums": " ".join(fact.checksums),
        "read_at": now,
    }


def not_read_yet(session: Session, repository_id: int, image_id: ImageId) -> list[Repository]:
    """Repositories that list an image and that the index has still to read at their registry: this one or public ones,
    those pushed last, at most MAX_NOT_READ."""
    found = (
        select(Repository)
        .join(ListedImage, ListedImage.repository_id == Repository.id)
        .join(Job, Job.repository_id == Repository.id)
        .where(
            ListedImage.image_id == image_id,
            Job.kind == READ,
            or_(Repository.id == repository_id, Repository.is_private.is_(False)),
        )
        .order_by(Repository.pushed_at.desc())
        .limit(MAX_NOT_READ)
    )
    return list(session.scalars(found))
