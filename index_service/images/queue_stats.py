"""Statistics of the job queue, for administrators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.names import RepositoryName
from index_service.images.models import Job
from index_service.repositories.models import Repository

MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedJob:
    """A job that has failed so far; `failure` says why, and it is retried at `due_at`."""

    kind: str
    repository: RepositoryName
    attempts: int
    failure: str
    asked_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The number of jobs, the time of the oldest, and the failing ones, up to a page of them."""

    count: int
    oldest: datetime | None
    failing: list[FailedJob]


def queue_stats(session: Session) -> QueueStats:
    count, oldest = session.execute(select(func.count(), func.min(Job.asked_at))).one()
    rows = session.execute(
        select(Job, Repository)
        .join(Repository, Repository.id == Job.repository_id)
        .where(Job.failure != "")
        .order_by(Job.asked_at, Job.id)
        .limit(MOST)
    )
    return QueueStats(count, oldest, [_failing(job, repository) for job, repository in rows])


def _failing(job: Job, repository: Repository) -> FailedJob:
    return FailedJob(
        kind=job.kind,
        repository=repository.full_name,
        attempts=job.attempts,
        failure=job.failure,
        asked_at=job.asked_at,
        due_at=job.due_at,
    )
