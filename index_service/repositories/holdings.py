"""Which images repositories hold: possession opens an image, to have listed its id does not.

Every function takes the session of the caller's transaction. A repository holds what its registry said that one of its
tags reaches, either shared (the content that every repository has under this id) or apart (content of its own). The
registry has the truth; this is the record of it that lets a pull ask once. Nothing is recorded on the word of a client.

An id means something else in each store. What a repository holds, it holds in the store of its registry alone, and it
is told only to registries of that store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.orm import Session, aliased

from common import headers
from common.names import LIBRARY, ImageId, RepositoryName
from common.statements import LISTING_BYTES
from index_service.db import PREPARED_STATEMENT, insert_missing, upsert
from index_service.repositories.models import HeldImage, ListedImage, Repository


@dataclass(frozen=True, slots=True)
class AskedStore:
    """The store of a registry that asks, and what unknown stores are taken for: it, or another.

    A registry may name any store: what it is told opens nothing but in a registry, which names its own.
    """

    name: str
    unknown: str

    def has(self, repository: Repository) -> bool:
        """Whether what a repository holds is in this store."""
        return self.name in (headers.EVERY_STORE, repository.store or self.unknown)

    def values(self) -> dict[str, str]:
        """The values of `_IN_STORE`."""
        return {"store": self.name, "unknown_store": self.unknown}


EVERYWHERE = AskedStore(headers.EVERY_STORE, unknown="")


class Holding(StrEnum):
    """How a repository comes to an image: it holds it shared or apart, or an official repository lends it."""

    SHARED = "shared"
    APART = "apart"
    LENT = "lent"


def record(
    session: Session,
    repository_id: int,
    ancestry: Sequence[ImageId],
    apart: int,
    now: datetime,
    foreign: Collection[str] = (),
) -> None:
    """Record that a repository holds an image and its ancestors, the first `apart` of them apart; all are listed.

    Of the others, the `foreign` ones are shared within their store only.
    """
    of_it = [{"repository_id": repository_id, "image_id": image} for image in ancestry]
    held = []
    for place, row in enumerate(of_it):
        is_foreign = place >= apart and row["image_id"] in foreign
        held.append({**row, "is_apart": place < apart or is_foreign, "is_foreign": is_foreign, "held_at": now})
    upsert(session, HeldImage, held, key=("repository_id", "image_id"), changed=("is_apart", "is_foreign"))
    insert_missing(session, ListedImage, of_it[::-1])
    publish(session, repository_id, ListedImage.image_id.in_(ancestry))


def settle_store(session: Session, repository: Repository, store: str | None) -> bool:
    """Its registry says which store it has. Returns whether that is another than before: then all that the repository
    was known to hold is forgotten, because the ids mean something else there.
    """
    if store is None or store == repository.store:
        return False
    is_other = repository.store is not None
    if is_other:
        session.execute(delete(HeldImage).where(HeldImage.repository_id == repository.id))
    repository.store = store
    return is_other


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


def is_open_to(session: Session, repository_id: int, image_id: ImageId, asked: AskedStore) -> bool:
    """Whether this repository holds an image in the asked store, or a public one holds it shared (protocol §2.7)."""
    own = HeldImage.repository_id == repository_id
    public = and_(Repository.is_private.is_(False), or_(HeldImage.is_apart.is_(False), HeldImage.is_foreign))
    opening = (
        select(HeldImage.image_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id == image_id, or_(own, public), _IN_STORE)
    )
    return session.scalar(opening.limit(1), asked.values()) is not None


def listed_for_registry(
    session: Session, repository: Repository, asked: AskedStore, *, announced: bool
) -> list[tuple[str, str | None, Holding | None]]:
    """The listed images, oldest first, with their pushers' checksums and how the repository comes to each in the asked
    store.

    With `announced` also those that a push has only announced, each of which an official repository may lend.
    """
    # A repository in another store holds nothing in this one.
    values = {"repository": repository.id, "holder": repository.id if asked.has(repository) else 0}
    rows = session.execute(_TO_PUSH if announced else _TO_PULL, values | (asked.values() if announced else {}))
    return [(image_id, checksum, None if how is None else Holding(how)) for image_id, checksum, how in rows]


def digest(listed: Iterable[tuple[str, str | None, Holding | None]]) -> bytes:
    """A digest of a list for registries: the same as long as the same images come to the repository in the same way."""
    known = hashlib.blake2b(digest_size=LISTING_BYTES)
    for image_id, _, how in listed:
        known.update(f"{image_id} {how}\n".encode())
    return known.digest()


def _list(how: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    own = and_(HeldImage.repository_id == bindparam("holder"), HeldImage.image_id == ListedImage.image_id)
    return (
        select(ListedImage.image_id, ListedImage.checksum, how)
        .outerjoin(HeldImage, own)
        .where(ListedImage.repository_id == bindparam("repository"), *conditions)
        .order_by(ListedImage.id)
        .execution_options(**PREPARED_STATEMENT)
    )


_ASKED = bindparam("store", type_=String)
_IN_STORE = or_(
    _ASKED == headers.EVERY_STORE,
    func.coalesce(Repository.store, bindparam("unknown_store", type_=String)) == _ASKED,
)

# Found by their namespace: the index of public repositories, which SQLite would choose for a bare column, has them all.
_IS_PUBLIC = func.coalesce(Repository.is_private, true()).is_(False)
_OFFICIAL = select(Repository.id).where(Repository.namespace == LIBRARY, _IS_PUBLIC, _IN_STORE)
_LENDER = aliased(HeldImage)
_LENT = select(_LENDER.image_id).where(
    _LENDER.image_id == ListedImage.image_id,
    _LENDER.repository_id.in_(_OFFICIAL),
    or_(_LENDER.is_apart.is_(False), _LENDER.is_foreign),
)
_HELD: tuple[Any, ...] = (
    (HeldImage.is_foreign, literal(Holding.SHARED)),
    (HeldImage.is_apart.is_(True), literal(Holding.APART)),
    (HeldImage.is_apart.is_(False), literal(Holding.SHARED)),
)
_TO_PULL = _list(case(*_HELD), ListedImage.is_announced.is_(False))
_TO_PUSH = _list(case(*_HELD, (_LENT.exists(), literal(Holding.LENT))))
