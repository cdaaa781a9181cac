"""Resources for administrators of the index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from index_service import registry_health
from index_service.accounts import models
from index_service.accounts.directory import PersonRow
from index_service.audit.queries import LogEntry
from index_service.images import storage_usage
from index_service.images.queue_stats import FailedJob, QueueStats
from index_service.images.quotas import QuotaUsage
from index_service.services import administration
from index_service.services.administration import Counts, MeasuredStorage, RegistryRow


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexTotals:
    """How many accounts, organisations and repositories there are."""

    people: int
    organisations: int
    repositories: int

    @classmethod
    def of(cls, counts: Counts) -> IndexTotals:
        return cls(people=counts.people, organisations=counts.organisations, repositories=counts.repositories)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountListItem:
    """An account; `email` is the primary address, null if there is none."""

    name: str
    full_name: str
    email: str | None
    is_confirmed: bool
    is_active: bool
    is_admin: bool
    since: datetime

    @classmethod
    def of(cls, row: PersonRow) -> AccountListItem:
        return cls(
            name=row.name,
            full_name=row.full_name,
            email=row.email,
            is_confirmed=row.is_confirmed,
            is_active=row.is_active,
            is_admin=row.is_admin,
            since=row.since,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolToken:
    """A pull or push token without its secret; `client` is the User-Agent it was issued to."""

    id: str
    repository: str
    access: str
    client: str
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, token: models.ProtocolToken) -> ProtocolToken:
        return cls(
            id=token.digest,
            repository=token.repository,
            access=token.access,
            client=token.client,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetLink:
    """The link with which a person sets a new password; `email` is the address to send it to, null if there is none."""

    name: str
    email: str | None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryHealth:
    """How a registry answered: `failures` by what it depends on, empty where all is well."""

    is_well: bool
    failures: Mapping[str, str]
    milliseconds: int
    asked_at: datetime

    @classmethod
    def of(cls, health: registry_health.Health) -> RegistryHealth:
        return cls(
            is_well=health.is_well,
            failures=health.failures,
            milliseconds=health.milliseconds,
            asked_at=health.asked_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry; one that is no longer configured still has repositories."""

    endpoint: str
    is_configured: bool
    repositories: int
    health: RegistryHealth

    @classmethod
    def of(cls, row: RegistryRow) -> Registry:
        return cls(
            endpoint=row.endpoint,
            is_configured=row.is_configured,
            repositories=row.repositories,
            health=RegistryHealth.of(row.health),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingJob:
    """A job that failed so far; `failure` says why, and it is tried again at `due_at`."""

    kind: str
    repository: str
    attempts: int
    failure: str
    asked_at: datetime
    due_at: datetime

    @classmethod
    def of(cls, job: FailedJob) -> FailingJob:
        return cls(
            kind=job.kind,
            repository=str(job.repository),
            attempts=job.attempts,
            failure=job.failure,
            asked_at=job.asked_at,
            due_at=job.due_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueue:
    """How many jobs wait, since when the oldest does, and the first of those that fail."""

    count: int
    oldest: datetime | None
    failing: tuple[FailingJob, ...]

    @classmethod
    def of(cls, waiting: QueueStats) -> JobQueue:
        return cls(count=waiting.count, oldest=waiting.oldest, failing=tuple(map(FailingJob.of, waiting.failing)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """All registries, and the jobs that wait for them."""

    rows: tuple[Registry, ...]
    waiting: JobQueue

    @classmethod
    def of(cls, found: administration.Registries) -> Registries:
        return cls(rows=tuple(map(Registry.of, found.rows)), waiting=JobQueue.of(found.waiting))


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUsage:
    """How many bytes the registries keep: `apart` is what it would be without sharing, `together` what it is."""

    repositories: int
    images: int
    apart: int
    together: int
    counted_at: datetime

    @classmethod
    def of(cls, found: MeasuredStorage) -> StorageUsage:
        return cls(
            repositories=found.storage.repositories,
            images=found.storage.images,
            apart=found.storage.apart,
            together=found.storage.together,
            counted_at=found.at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceStorage:
    """How many bytes one namespace keeps, without sharing (`apart`) and with it (`together`)."""

    namespace: str
    repositories: int
    images: int
    apart: int
    together: int

    @classmethod
    def of(cls, row: storage_usage.NamespaceStorage) -> NamespaceStorage:
        return cls(
            namespace=row.namespace,
            repositories=row.repositories,
            images=row.images,
            apart=row.apart,
            together=row.together,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceQuota:
    """What a namespace has, in bytes and repositories, and what it may have: `quota_bytes` and `quota_repositories`
    are its own, null where the default holds, and 0 is no limit; those `allowed` are null without a limit."""

    namespace: str
    bytes: int
    repositories: int
    bytes_allowed: int | None
    repositories_allowed: int | None
    quota_bytes: int | None
    quota_repositories: int | None

    @classmethod
    def of(cls, usage: QuotaUsage) -> NamespaceQuota:
        return cls(
            namespace=usage.namespace,
            bytes=usage.bytes,
            repositories=usage.repositories,
            bytes_allowed=usage.allowed.bytes or None,
            repositories_allowed=usage.allowed.repositories or None,
            quota_bytes=usage.own.bytes,
            quota_repositories=usage.own.repositories,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A change; `actor` is empty for an operator's command and for an unknown actor."""

    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    address: str

    @classmethod
    def of(cls, entry: LogEntry) -> AuditEntry:
        return cls(
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            details=entry.details,
            address=entry.address,
        )
