"""What tagged images are by `/v2/`, as their registry translated them, in SQL.

By repository and image: what a repository keeps apart has digests of its own, and a tag that moves takes those of its
new image. Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from common.names import ImageId
from index_service.db import PREPARED_STATEMENT, upsert
from index_service.images.models import TranslationRecord
from index_service.registry_client import Manifest, Translation
from index_service.repositories.models import HeldImage, TagRecord

MAX_PROBLEM = 500

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


UNKNOWN = Translation()
"""Of an image that its registry has told nothing of yet."""


def known(session: Session, repository_id: int, image_ids: Collection[str]) -> dict[str, Translation]:
    """What is recorded of these images, by id."""
    rows = session.execute(_KNOWN, {"repository": repository_id, "images": list(image_ids)})
    return {row.image_id: Translation(_decoded(row.manifests), row.size, row.problem) for row in rows}


def wanted(session: Session, repository_id: int, limit: int) -> list[ImageId]:
    """Images that the repository holds and a tag points at, and was set to since they were read; the one set last
    first."""
    latest = func.max(TagRecord.updated_at)
    found = (
        _tagged(select(TagRecord.image_id))
        .where(TagRecord.repository_id == repository_id)
        .group_by(TagRecord.image_id, TranslationRecord.read_at)
        .having(or_(TranslationRecord.read_at.is_(None), TranslationRecord.read_at < latest))
        .order_by(latest.desc(), TagRecord.image_id)
        .limit(limit)
    )
    return [ImageId(image_id) for image_id in session.scalars(found)]


def record(session: Session, repository_id: int, found: Mapping[ImageId, Translation], read_at: datetime) -> None:
    """Record what was asked for at `read_at`."""
    rows = [
        {
            "repository_id": repository_id,
            "image_id": image_id,
            "manifests": _encoded(translation.manifests),
            "size": translation.size,
            "problem": translation.problem[:MAX_PROBLEM],
            "read_at": read_at,
        }
        for image_id, translation in found.items()
    ]
    key = ("repository_id", "image_id")
    upsert(session, TranslationRecord, rows, key=key, changed=("manifests", "size", "problem", "read_at"))


def read_anew(session: Session, repository_id: int) -> None:
    """Everything of a repository is wanted again; until then it stays as it is."""
    session.execute(
        update(TranslationRecord).where(TranslationRecord.repository_id == repository_id).values(read_at=_NEVER)
    )


def forget_untagged(session: Session, repository_id: int) -> None:
    """Forget the images that no tag of the repository points at any more."""
    own = TranslationRecord.repository_id == repository_id
    tagged = select(TagRecord.image_id).where(
        TagRecord.repository_id == repository_id, TagRecord.image_id == TranslationRecord.image_id
    )
    session.execute(delete(TranslationRecord).where(own, ~tagged.exists()).execution_options(synchronize_session=False))


def _tagged(columns: Select[Any]) -> Select[Any]:
    held = and_(HeldImage.repository_id == TagRecord.repository_id, HeldImage.image_id == TagRecord.image_id)
    own = (
        TranslationRecord.repository_id == TagRecord.repository_id,
        TranslationRecord.image_id == TagRecord.image_id,
    )
    return columns.select_from(TagRecord).join(HeldImage, held).outerjoin(TranslationRecord, and_(*own))


_KNOWN = (
    select(TranslationRecord.image_id, TranslationRecord.manifests, TranslationRecord.size, TranslationRecord.problem)
    .where(
        TranslationRecord.repository_id == bindparam("repository"),
        TranslationRecord.image_id.in_(bindparam("images", expanding=True)),
    )
    .execution_options(**PREPARED_STATEMENT)
)


def _encoded(manifests: Sequence[Manifest]) -> str:
    return json.dumps([[each.media_type, each.digest, each.size] for each in manifests])


def _decoded(text: str) -> tuple[Manifest, ...]:
    return tuple(Manifest(*each) for each in json.loads(text))
