"""The job queue for work at registries: durable, one job of a kind per repository, leased to one worker.

A job is enqueued in the transaction that makes it necessary, so it cannot be lost. A worker leases it in a transaction
of its own and renews the lease while it works; nothing is locked during a request to a registry. A failed job is
retried with exponential backoff. A job that is enqueued again while a worker runs it runs once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import CursorResult, Delete, Update, case, delete, literal, select, update
from sqlalchemy.orm import Session

from index_service import leasing
from index_service.db import UTCDateTime, upsert
from index_service.images.models import Job

READ = "read"
MOVE = "move"
TRANSLATE = "translate"

FIRST_BACKOFF = timedelta(seconds=5)

MAX_FAILURE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A job leased to this worker until `until`. `attempts` counts this one."""

    id: int
    kind: str
    repository_id: int
    details: Mapping[str, list[str]]
    asked_at: datetime
    until: datetime
    attempts: int


def enqueue(
    session: Session,
    kind: str,
    repository_id: int,
    details: Mapping[str, str],
    now: datetime,
    *,
    delay: timedelta = timedelta(),
) -> None:
    """Enqueue a job, due after the delay. If it is queued already it becomes due then, with the details of both."""
    row = {
        "kind": kind,
        "repository_id": repository_id,
        "details": json.dumps(_merged(session, kind, repository_id, details)),
        "asked_at": now,
        "due_at": now + delay,
        "attempts": 0,
        "failure": "",
    }
    changed = ("details", "asked_at", "due_at", "attempts", "failure")
    upsert(session, Job, [row], key=("kind", "repository_id"), changed=changed)


def pending_details(session: Session, kind: str, repository_id: int) -> dict[str, list[str]]:
    """The details of a job that is queued or running; empty if there is none."""
    details = session.scalar(select(Job.details).where(Job.kind == kind, Job.repository_id == repository_id))
    found: dict[str, list[str]] = json.loads(details or "{}")
    return found


def is_queued(session: Session, kind: str, repository_id: int) -> bool:
    """Whether a job of this kind is queued or running for a repository."""
    return session.scalar(select(Job.id).where(Job.kind == kind, Job.repository_id == repository_id)) is not None


def is_any_due(session: Session, now: datetime) -> bool:
    """Whether a job is due: worth a writing transaction."""
    return leasing.is_any_due(session, Job, now)


def lease(session: Session, now: datetime) -> Lease | None:
    """Lease the job that has been due longest; None if no job is due, or other workers are leasing them."""
    job = leasing.take(session, Job, now)
    if job is None:
        return None
    return Lease(
        id=job.id,
        kind=job.kind,
        repository_id=job.repository_id,
        details=json.loads(job.details),
        asked_at=job.asked_at,
        until=leasing.until(now),
        attempts=job.attempts,
    )


def renew(session: Session, lease: Lease, now: datetime) -> Lease | None:
    """Renew a lease; None if another worker holds the job now, or its repository is gone."""
    until = leasing.until(now)
    if _rows(session, update(Job).where(leasing.is_leased_as(Job, lease)).values(taken_until=until)) != 1:
        return None
    return Lease(
        id=lease.id,
        kind=lease.kind,
        repository_id=lease.repository_id,
        details=lease.details,
        asked_at=lease.asked_at,
        until=until,
        attempts=lease.attempts,
    )


def complete(session: Session, lease: Lease) -> None:
    """Complete a job: delete it, or release it if it was enqueued again meanwhile."""
    if _rows(session, delete(Job).where(leasing.is_leased_as(Job, lease), Job.asked_at == lease.asked_at)) == 0:
        session.execute(update(Job).where(leasing.is_leased_as(Job, lease)).values(taken_until=None))


def fail(session: Session, lease: Lease, failure: str, now: datetime) -> None:
    """Record a failure: the job is retried after a backoff, or at once if it was enqueued again meanwhile."""
    is_same = Job.asked_at == lease.asked_at
    # In one statement: for a row changed twice PostgreSQL checks the foreign key again, and a push may hold that lock.
    later = {
        "taken_until": None,
        "due_at": case((is_same, literal(now + backoff(lease.attempts), UTCDateTime)), else_=Job.due_at),
        "failure": case((is_same, failure[:MAX_FAILURE]), else_=Job.failure),
    }
    session.execute(
        update(Job).where(leasing.is_leased_as(Job, lease)).values(**later).execution_options(synchronize_session=False)
    )


def release(session: Session, lease: Lease) -> None:
    """Release an unfinished job, so that another worker may lease it at once."""
    session.execute(
        update(Job).where(leasing.is_leased_as(Job, lease)).values(taken_until=None, attempts=lease.attempts - 1)
    )


def put_back(session: Session, lease: Lease, now: datetime) -> None:
    """Put back a job that has got on, behind those that are due already."""
    later = {"taken_until": None, "due_at": now, "attempts": 0, "failure": ""}
    session.execute(update(Job).where(leasing.is_leased_as(Job, lease)).values(**later))


def backoff(attempts: int) -> timedelta:
    """The exponential backoff after so many failures, up to an hour."""
    return leasing.backoff(FIRST_BACKOFF, attempts)


def _merged(session: Session, kind: str, repository_id: int, details: Mapping[str, str]) -> dict[str, list[str]]:
    """The queued details and the new ones: a repository renamed twice has two former names."""
    if not details:
        return {}
    asked = select(Job.details).where(Job.kind == kind, Job.repository_id == repository_id).with_for_update()
    before: dict[str, list[str]] = json.loads(session.scalar(asked) or "{}")
    return {**before, **{key: [*before.get(key, []), value] for key, value in details.items()}}


def _rows(session: Session, statement: Update | Delete) -> int:
    return cast("CursorResult[tuple[()]]", session.execute(statement)).rowcount
