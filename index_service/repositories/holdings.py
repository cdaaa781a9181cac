"""Which images repositories hold: possession opens an image, to have listed its id does not.

Every function takes the session of the caller's transaction. A repository holds what its registry said that one of its
tags reaches, either shared (the content that every repository has under this id) or apart (content of its own). The
registry has the truth; this is the record of it that lets a pull ask once. Nothing is recorded on the word of a client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, literal, or_, select, true, tuple_, update
from sqlalchemy.orm import Session, aliased

from common.names import LIBRARY, ImageId, RepositoryName
from common.statements import LISTING_BYTES
from index_service.db import PREPARED_STATEMENT, insert_missing, upsert
from index_service.repositories.models import HeldImage, ListedImage, Repository


class Holding(StrEnum):
    """How a repository comes to an image: it holds it shared or apart, or an official repository lends it."""

    SHARED = "shared"
    APART = "apart"
    LENT = "lent"


def record(session: Session, repository_id: int, ancestry: Sequence[ImageId], apart: int, now: datetime) -> None:
    """Record that a repository holds an image and its ancestors, the first `apart` of them apart; all are listed."""
    of_it = [{"repository_id": repository_id, "image_id": image} for image in ancestry]
    held = [{**row, "is_apart": place < apart, "held_at": now} for place, row in enumerate(of_it)]
    upsert(session, HeldImage, held, key=("repository_id", "image_id"), changed=("is_apart",))
    insert_missing(session, ListedImage, of_it[::-1])
    publish(session, repository_id, ListedImage.image_id.in_(ancestry))


def publish(session: Session, repository_id: int, *which: ColumnElement[bool]) -> None:
    """These listed images are no longer merely announced: readers see them."""
    announced = (ListedImage.repository_id == repository_id, ListedImage.is_announced, *which)
    session.execute(
        update(ListedImage).where(*announced).values(is_announced=False).execution_options(synchronize_session=False)
    )


def held(session: Session, repository_id: int, image_ids: Collection[str], *, is_shared: bool = False) -> set[str]:
    """Those of some images that a repository holds, or with `is_shared` holds shared."""
    of_it = select(HeldImage.image_id).where(
        HeldImage.repository_id == repository_id, HeldImage.image_id.in_(image_ids)
    )
    return set(session.scalars(of_it.where(HeldImage.is_apart.is_(False)) if is_shared else of_it))


def shared_by_name(
    session: Session, places: Iterable[tuple[RepositoryName, str | None]]
) -> set[tuple[RepositoryName, str]]:
    """Those of some images, each with a repository's name, that the repository holds shared: these have a page."""
    wanted = {(name.namespace, name.name, image) for name, image in places if image is not None}
    key = tuple_(Repository.namespace, Repository.name, HeldImage.image_id)
    rows = session.execute(
        select(Repository.namespace, Repository.name, HeldImage.image_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(key.in_(wanted), HeldImage.is_apart.is_(False))
    )
    return {(RepositoryName(namespace, name), image) for namespace, name, image in rows}


def is_open_to(session: Session, repository_id: int, image_id: ImageId) -> bool:
    """Whether this repository holds an image, or a public one holds it shared (protocol §2.7)."""
    own = HeldImage.repository_id == repository_id
    public = and_(Repository.is_private.is_(False), HeldImage.is_apart.is_(False))
    opening = (
        select(HeldImage.image_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id == image_id, or_(own, public))
    )
    return session.scalar(opening.limit(1)) is not None


def listed_for_registry(
    session: Session, repository_id: int, *, announced: bool
) -> list[tuple[str, str | None, Holding | None]]:
    """The listed images, oldest first, with their pushers' checksums and how the repository comes to each.

    With `announced` also those that a push has only announced, each of which an official repository may lend.
    """
    rows = session.execute(_TO_PUSH if announced else _TO_PULL, {"repository": repository_id})
    return [(image_id, checksum, None if how is None else Holding(how)) for image_id, checksum, how in rows]


def digest(listed: Iterable[tuple[str, str | None, Holding | None]]) -> bytes:
    """A digest of a list for registries: the same as long as the same images come to the repository in the same way."""
    known = hashlib.blake2b(digest_size=LISTING_BYTES)
    for image_id, _, how in listed:
        known.update(f"{image_id} {how}\n".encode())
    return known.digest()


def _list(how: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    own = and_(HeldImage.repository_id == ListedImage.repository_id, HeldImage.image_id == ListedImage.image_id)
    return (
        select(ListedImage.image_id, ListedImage.checksum, how)
        .outerjoin(HeldImage, own)
        .where(ListedImage.repository_id == bindparam("repository"), *conditions)
        .order_by(ListedImage.id)
        .execution_options(**PREPARED_STATEMENT)
    )


# Found by their namespace: the index of public repositories, which SQLite would choose for a bare column, has them all.
_IS_PUBLIC = func.coalesce(Repository.is_private, true()).is_(False)
_OFFICIAL = select(Repository.id).where(Repository.namespace == LIBRARY, _IS_PUBLIC)
_LENDER = aliased(HeldImage)
_LENT = select(_LENDER.image_id).where(
    _LENDER.image_id == ListedImage.image_id, _LENDER.repository_id.in_(_OFFICIAL), _LENDER.is_apart.is_(False)
)
_HELD: tuple[Any, ...] = (
    (HeldImage.is_apart.is_(True), literal(Holding.APART)),
    (HeldImage.is_apart.is_(False), literal(Holding.SHARED)),
)
_TO_PULL = _list(case(*_HELD), ListedImage.is_announced.is_(False))
_TO_PUSH = _list(case(*_HELD, (_LENT.exists(), literal(Holding.LENT))))
