"""Totals of the whole index for everybody, counted periodically and not per request.

Private repositories do not count: repeated totals would reveal when they grow, and by how much. Images are not counted
at all: finding the public ones takes a database seconds if repositories list millions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from index_service.repositories.models import PullCount, Repository, TagRecord


@dataclass(frozen=True, slots=True)
class Totals:
    """Public repositories and their tags, the bytes of their layers, and their pulls of seven days.

    Layers count in each repository that has them, as far as their sizes are known.
    """

    repositories: int
    tags: int
    layer_bytes: int
    pulls: int


def count(session: Session, since: date) -> Totals:
    """`since` is the first day whose pulls count."""
    is_public = Repository.is_private.is_(False)
    shown = select(func.count(), func.sum(Repository.layer_bytes)).where(is_public, Repository.is_tagged)
    repositories, layer_bytes = session.execute(shown).one()
    tags = (
        select(func.count())
        .select_from(TagRecord)
        .join(Repository, Repository.id == TagRecord.repository_id)
        .where(is_public, TagRecord.image_id.is_not(None))
    )
    pulls = (
        select(func.sum(PullCount.count))
        .join(Repository, Repository.id == PullCount.repository_id)
        .where(is_public, PullCount.day >= since)
    )
    return Totals(repositories, session.scalar(tags) or 0, int(layer_bytes or 0), int(session.scalar(pulls) or 0))
