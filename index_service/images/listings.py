"""The repositories that list an image, and the checksums they have for it.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.repositories.models import ListedImage, Repository

MAX_REPOSITORIES = 50
MAX_CHECKSUMS = 5


def is_listed(session: Session, image_id: str, visible: ColumnElement[bool]) -> bool:
    """Whether a visible repository lists the image."""
    listing = (
        select(ListedImage.id)
        .join(Repository, Repository.id == ListedImage.repository_id)
        .where(ListedImage.image_id == image_id, visible)
    )
    return session.scalar(listing.limit(1)) is not None


def repositories(session: Session, image_id: str, visible: ColumnElement[bool]) -> list[RepositoryName]:
    """The repositories that list an image, the most pulled first, up to `MAX_REPOSITORIES`."""
    rows = session.execute(
        select(Repository.namespace, Repository.name)
        .join(ListedImage, ListedImage.repository_id == Repository.id)
        .where(ListedImage.image_id == image_id, visible)
        .order_by(Repository.pull_count.desc(), Repository.namespace, Repository.name)
        .limit(MAX_REPOSITORIES)
    )
    return [RepositoryName(namespace, name) for namespace, name in rows]


def checksums(session: Session, image_id: str, visible: ColumnElement[bool]) -> list[str]:
    """The image's checksums, the most frequent first, up to `MAX_CHECKSUMS`."""
    rows = session.scalars(
        select(ListedImage.checksum)
        .join(Repository, Repository.id == ListedImage.repository_id)
        .where(ListedImage.image_id == image_id, ListedImage.checksum.is_not(None), visible)
        .group_by(ListedImage.checksum)
        .order_by(func.count().desc(), ListedImage.checksum)
        .limit(MAX_CHECKSUMS)
    )
    return [checksum for checksum in rows if checksum]
