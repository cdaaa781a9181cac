"""How much there is in the whole index. It is counted now and then, not for each who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from index_service.images.models import ImageRecord
from index_service.repositories.models import PullCount, Repository


@dataclass(frozen=True, slots=True)
class Totals:
    """Public repositories, all images as far as they are known with the bytes of their layers, pulls of seven days."""

    repositories: int
    images: int
    layer_bytes: int
    pulls: int


def count(session: Session, since: date) -> Totals:
    """`since` is the first of the days whose pulls count."""
    public = (Repository.is_private.is_(False), Repository.is_tagged)
    repositories = session.scalar(select(func.count()).select_from(Repository).where(*public))
    images, layer_bytes = session.execute(select(func.count(), func.sum(ImageRecord.size))).one()
    pulls = session.scalar(select(func.sum(PullCount.count)).where(PullCount.day >= since))
    return Totals(repositories or 0, images, int(layer_bytes or 0), int(pulls or 0))
