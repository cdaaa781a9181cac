"""The tags of a repository with the images they point at, as lists show them, in SQL.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, select
from sqlalchemy.orm import Session

from index_service.db import PREPARED_STATEMENT
from index_service.images.models import ImageRecord
from index_service.repositories.models import HeldImage, TagRecord

MAX_TAGS = 5000
"""Of a repository with more tags the ones set last are looked at."""


def latest(session: Session, repository_id: int) -> Sequence[Row[str, str | None, datetime, int | None, bool | None]]:
    """The tags set last, one more than `MAX_TAGS` where there are more: name, image, when it was set, bytes in all, and
    whether the repository keeps the image apart; the last two are None as long as it is not known to hold it."""
    return session.execute(_LATEST, {"repository": repository_id}).all()


_HELD_AS_TAGGED = and_(HeldImage.repository_id == TagRecord.repository_id, HeldImage.image_id == TagRecord.image_id)
_DESCRIBES = and_(ImageRecord.image_id == HeldImage.image_id, HeldImage.is_apart.is_(False))
"""Metadata is by id: it describes the image that a repository holds shared, and none that it keeps apart."""

_LATEST = (
    select(TagRecord.name, TagRecord.image_id, TagRecord.updated_at, ImageRecord.total_size, HeldImage.is_apart)
    .outerjoin(HeldImage, _HELD_AS_TAGGED)
    .outerjoin(ImageRecord, _DESCRIBES)
    .where(TagRecord.repository_id == bindparam("repository"), TagRecord.image_id.is_not(None))
    .order_by(TagRecord.updated_at.desc(), TagRecord.name)
    .limit(MAX_TAGS + 1)
    .execution_options(**PREPARED_STATEMENT)
)


def described(session: Session, repository_id: int, image_ids: Collection[str]) -> dict[str, Any]:
    """What lists show of a repository's images, by id; those that no registry has described yet are missing, and those
    that the repository keeps apart."""
    rows = session.execute(_DESCRIBED, {"repository": repository_id, "images": list(image_ids)})
    return {record.image_id: record for record in rows}


def holding(session: Session, repository_id: int, image_id: str) -> tuple[bool | None, int | None]:
    """Whether a repository keeps an image apart, None as long as it is not known to hold it; and the bytes of the image
    and its ancestors, as far as `described` knows it."""
    row = session.execute(_HOLDING, {"repository": repository_id, "images": [image_id]}).first()
    return (None, None) if row is None else (row.is_apart, row.total_size)


_OF_REPOSITORY = (
    HeldImage.repository_id == bindparam("repository"),
    HeldImage.image_id.in_(bindparam("images", expanding=True)),
)
_HOLDING = (
    select(HeldImage.is_apart, ImageRecord.total_size)
    .outerjoin(ImageRecord, _DESCRIBES)
    .where(*_OF_REPOSITORY)
    .execution_options(**PREPARED_STATEMENT)
)
_DESCRIBED = (
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
    .join(HeldImage, _DESCRIBES)
    .where(*_OF_REPOSITORY)
    .execution_options(**PREPARED_STATEMENT)
)
