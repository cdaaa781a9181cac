"""The repositories that hold an image, as every repository shares it.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.repositories.models import HeldImage, Repository

MAX_REPOSITORIES = 50


def is_shown(session: Session, image_id: str, visible: ColumnElement[bool]) -> bool:
    """Whether a visible repository holds the image shared."""
    holder = (
        select(HeldImage.repository_id)
        .join(Repository, Repository.id == HeldImage.repository_id)
        .where(HeldImage.image_id == image_id, HeldImage.is_apart.is_(False), visible)
    )
    return session.scalar(holder.limit(1)) is not None


def repositories(session: Session, image_id: str, visible: ColumnElement[bool]) -> list[RepositoryName]:
    """The repositories that hold an image shared, the most pulled first, up to `MAX_REPOSITORIES`."""
    rows = session.execute(
        select(Repository.namespace, Repository.name)
        .join(HeldImage, HeldImage.repository_id == Repository.id)
        .where(HeldImage.image_id == image_id, HeldImage.is_apart.is_(False), visible)
        .order_by(Repository.pull_count.desc(), Repository.namespace, Repository.name)
        .limit(MAX_REPOSITORIES)
    )
    return [RepositoryName(namespace, name) for namespace, name in rows]
