"""Administration of the index: people, registries, storage, the audit log.

Each method is one request, refused unless the actor is an administrator without an access token.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from common.errors import Conflict
from index_service.accounts import access, account_status, directory, email_addresses, held_access, password_changes
from index_service.accounts.access import Ended, Selection
from index_service.accounts.actor import Actor
from index_service.accounts.directory import PersonRow
from index_service.accounts.email_links import EmailLinks
from index_service.accounts.held_access import HeldAccess
from index_service.accounts.privileges import require_administrator
from index_service.audit import queries
from index_service.audit.log import AuditContext
from index_service.audit.queries import AuditFilter, LogEntry
from index_service.database import Database
from index_service.db import Clock
from index_service.images import quotas, storage_usage
from index_service.images.queue_stats import QueueStats, queue_stats
from index_service.images.quotas import Quota, QuotaChange, Quotas, QuotaUsage
from index_service.images.storage_usage import StorageTotals
from index_service.registry_health import Health, RegistryHealth
from index_service.repositories import repository_stats
from index_service.repositories.endpoints import Endpoints
from index_service.services import letters

STORAGE_KEPT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """A registry; one that is no longer configured still has repositories."""

    endpoint: str
    is_configured: bool
    repositories: int
    health: Health


@dataclass(frozen=True, slots=True)
class Registries:
    """All registries, and the job queue."""

    rows: list[RegistryRow]
    waiting: QueueStats


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is."""

    people: int
    organisations: int
    repositories: int


@dataclass(frozen=True, slots=True)
class MeasuredStorage:
    """The storage usage, and when it was computed."""

    storage: StorageTotals
    at: datetime


@dataclass(frozen=True, slots=True)
class ResetLink:
    """A password reset link; `email` is the primary address, None if there is none."""

    name: str
    email: str | None
    link: str


@dataclass(frozen=True, slots=True)
class PersonAccess:
    """An account, and the access it holds."""

    person: PersonRow
    held: HeldAccess


class Administration:
    """The requests of the administration pages."""

    def __init__(
        self,
        database: Database,
        endpoints: Endpoints,
        health: RegistryHealth,
        links: EmailLinks,
        quotas: Quotas,
        clock: Clock,
    ) -> None:
        self._database = database
        self._endpoints = endpoints
        self._health = health
        self._links = links
        self._quotas = quotas
        self._clock = clock
        self._measuring = Lock()
        self._measured: tuple[float, MeasuredStorage] | None = None

    def people(
        self, actor: Actor | None, words: str, state: str, sort: str, limit: int, offset: int
    ) -> tuple[list[PersonRow], int]:
        """A part of the accounts, and their total. Raises Unauthenticated or Forbidden, as all methods do."""
        require_administrator(actor)
        with self._database.reading() as session:
            rows = directory.people(session, words, state, sort, limit, offset)
            return rows, directory.count_people(session, words, state)

    def person(self, actor: Actor | None, name: str) -> PersonAccess:
        """An account with its sessions and tokens. Raises NotFound."""
        require_administrator(actor)
        with self._database.reading() as session:
            user = directory.find_person(session, name)
            return PersonAccess(directory.person(session, name), held_access.find(session, user.id, self._clock()))

    def end_access(self, actor: Actor | None, client_ip: str, name: str, selection: Selection) -> Ended:
        """End somebody's sessions or tokens; returns how many. Raises NotFound."""
        context = self._context(actor, client_ip)
        with self._database.writing() as session:
            return access.end_selected(session, context, directory.find_person(session, name), selection)

    def set_active(self, actor: Actor | None, client_ip: str, name: str, *, is_active: bool) -> None:
        """Open or close an account; all access it had ends. Raises NotFound or Conflict."""
        context = self._context(actor, client_ip)
        with self._database.writing() as session:
            user = account_status.lock(session, directory.find_person(session, name).id)
            _require_other(context, user.name)
            account_status.set_active(session, context, user, is_active=is_active)

    def set_admin(self, actor: Actor | None, client_ip: str, name: str, *, is_admin: bool) -> None:
        """Raises NotFound or Conflict."""
        context = self._context(actor, client_ip)
        with self._database.writing() as session:
            user = account_status.lock(session, directory.find_person(session, name).id)
            _require_other(context, user.name)
            account_status.set_admin(session, context, user, is_admin=is_admin)

    def reset_link(self, actor: Actor | None, client_ip: str, name: str, *, sends: bool = False) -> ResetLink:
        """A password reset link for a person, and with `sends` a letter with another one to the primary address. Raises
        NotFound, or Conflict for a closed account."""
        context = self._context(actor, client_ip)
        with self._database.writing() as session:
            user = directory.find_person(session, name)
            if not user.is_active:
                raise Conflict("This account is closed: reopen it first")
            addresses = email_addresses.listed(session, user.id)
            email = addresses[0].address if addresses else None
            password_changes.record_request(session, context, user)
            if sends and email is not None:
                letters.write_reset(session, user, email, context.at, "")
            return ResetLink(user.name, email, self._links.sign_reset(user, context.at))

    def registries(self, actor: Actor | None) -> Registries:
        """Configured registries first, then those that only old repositories are on."""
        require_administrator(actor)
        with self._database.reading() as session:
            counts = repository_stats.by_endpoint(session)
            left = queue_stats(session)
        configured = self._endpoints.configured
        endpoints = [*configured, *sorted(set(counts) - set(configured))]
        health = self._health.of(endpoints)
        rows = [RegistryRow(each, each in configured, counts.get(each, 0), health[each]) for each in endpoints]
        return Registries(rows, left)

    def counts(self, actor: Actor | None) -> Counts:
        """The totals, including what the actor may not see."""
        require_administrator(actor)
        with self._database.reading() as session:
            people, organisations = directory.counts(session)
            return Counts(people, organisations, repository_stats.count_repositories(session))

    def storage(self, actor: Actor | None) -> MeasuredStorage:
        """The storage usage of namespaces; cached for ten minutes, for it may take seconds to compute."""
        require_administrator(actor)
        with self._measuring:
            if self._measured is None or time.monotonic() - self._measured[0] > STORAGE_KEPT_SECONDS:
                with self._database.reading() as session:
                    measured = MeasuredStorage(storage_usage.measure(session), self._clock())
                self._measured = (time.monotonic(), measured)
            return self._measured[1]

    def allowed(self, actor: Actor | None, namespaces: Collection[str]) -> dict[str, Quota]:
        """What each of these namespaces may have."""
        require_administrator(actor)
        with self._database.reading() as session:
            return self._quotas.allowed(session, namespaces)

    def quota(self, actor: Actor | None, namespace: str) -> QuotaUsage:
        """What a namespace has and may have. Raises NotFound."""
        require_administrator(actor)
        with self._database.reading() as session:
            return self._quotas.usage(session, namespace)

    def set_quota(self, actor: Actor | None, client_ip: str, namespace: str, change: QuotaChange) -> None:
        """Give a namespace a quota of its own, or the default. Raises NotFound or Invalid."""
        context = self._context(actor, client_ip)
        with self._database.writing() as session:
            quotas.set_quota(session, context, namespace, change)

    def audit(self, actor: Actor | None, wanted: AuditFilter, limit: int, offset: int) -> tuple[list[LogEntry], int]:
        """A part of the log, newest first, and the number of matching entries."""
        require_administrator(actor)
        with self._database.reading() as session:
            return queries.entries(session, wanted, limit, offset), queries.count(session, wanted)

    def _context(self, actor: Actor | None, client_ip: str) -> AuditContext:
        return AuditContext(require_administrator(actor), client_ip, self._clock())


def _require_other(context: AuditContext, name: str) -> None:
    """Administrators cannot lock themselves out by mistake."""
    if context.actor is not None and context.actor.name == name:
        raise Conflict("You cannot change your own account here; ask another administrator")
