"""Statistics of repositories.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from index_service.repositories.models import ListedImage, Repository, TagRecord


@dataclass(frozen=True, slots=True)
class RepositoryStats:
    """What a repository contains, and a deletion would remove. `layer_bytes` counts known sizes."""

    tags: int
    images: int
    stars: int
    pulls: int
    layer_bytes: int


def repository_stats(session: Session, repository: Repository) -> RepositoryStats:
    tags = select(func.count()).where(TagRecord.repository_id == repository.id, TagRecord.image_id.is_not(None))
    images = select(func.count()).where(ListedImage.repository_id == repository.id)
    return RepositoryStats(
        session.scalar(tags) or 0,
        session.scalar(images) or 0,
        repository.star_count,
        repository.pull_count,
        repository.layer_bytes,
    )


def by_endpoint(session: Session) -> dict[str, int]:
    """The number of repositories on each registry."""
    rows = session.execute(select(Repository.endpoint, func.count()).group_by(Repository.endpoint))
    return dict(rows.all())


def count_repositories(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Repository)) or 0
