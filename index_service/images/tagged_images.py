"""The tags of a repository with the images they point at, as lists show them, in SQL.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from index_service.db import PREPARED_STATEMENT
from index_service.images.models import ImageRecord
from index_service.repositories.models import TagRecord

MAX_TAGS = 5000
"""Of a repository with more tags the ones set last are looked at."""


def latest(session: Session, repository_id: int) -> Sequence[Row[str, str | None, datetime, int | None]]:
    """The tags set last, one more than `MAX_TAGS` where there are more: name, image, when it was set, bytes in all."""
    return session.execute(_LATEST, {"repository": repository_id}).all()


_LATEST = (
    select(TagRecord.name, TagRecord.image_id, TagRecord.updated_at, ImageRecord.total_size)
    .outerjoin(ImageRecord, ImageRecord.image_id == TagRecord.image_id)
    .where(TagRecord.repository_id == bindparam("repository"), TagRecord.image_id.is_not(None))
    .order_by(TagRecord.updated_at.desc(), TagRecord.name)
    .limit(MAX_TAGS + 1)
    .execution_options(**PREPARED_STATEMENT)
)


def described(session: Session, image_ids: Collection[str]) -> dict[str, Any]:
    """What lists show of images, by id; those that no registry has described yet are missing."""
    return {record.image_id: record for record in session.execute(_DESCRIBED, {"images": list(image_ids)})}


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
    .where(ImageRecord.image_id.in_(bindparam("images", expanding=True)))
    .execution_options(**PREPARED_STATEMENT)
)
