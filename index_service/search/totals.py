"""How much there is for everybody in the whole index. It is counted now and then, not for each who asks.

What is private does not count: a total that is told again and again tells when something grows, and by how much. Images
are not counted at all: which of them are public takes a database seconds to find where repositories list millions.
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
    """`since` is the first of the days whose pulls count."""
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
