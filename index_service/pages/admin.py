"""The pages of the index's administrators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from index_service import sizes
from index_service.accounts.directory import PersonRow
from index_service.accounts.models import ProtocolToken
from index_service.audit.queries import LogEntry
from index_service.images.queue_stats import QueueStats
from index_service.images.quotas import Quota, QuotaUsage
from index_service.images.storage_usage import NamespaceStorage, StorageTotals
from index_service.pages.account import SessionShown, SessionsPage, TokenShown
from index_service.pages.forms import EMPTY, FormState
from index_service.paging import Paging
from index_service.services.administration import Counts, PersonAccess, RegistryRow


@dataclass(frozen=True, slots=True)
class AdminPage:
    """How the index is: how much there is, whether registries are well, what happened last."""

    counts: Counts
    registries: tuple[RegistryRow, ...]
    waiting: QueueStats
    latest: tuple[LogEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePage:
    """Accounts that hold the words `q` and are in `state`."""

    people: tuple[PersonRow, ...]
    paging: Paging
    q: str
    state: str
    states: tuple[str, ...]
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonPage:
    """An account and its access: the first of its pull and push tokens, of which there are `protocol_tokens_total`."""

    person: PersonRow
    sessions: tuple[SessionShown, ...]
    protocol_tokens: tuple[ProtocolToken, ...]
    protocol_tokens_total: int
    access_tokens: tuple[TokenShown, ...]

    @classmethod
    def of(cls, found: PersonAccess, current: str, now: datetime) -> PersonPage:
        return cls(
            person=found.person,
            sessions=SessionsPage.of(found.held.sessions, current).sessions,
            protocol_tokens=tuple(found.held.protocol_tokens),
            protocol_tokens_total=found.held.protocol_tokens_total,
            access_tokens=tuple(TokenShown.of(token, now) for token in found.held.access_tokens),
        )


@dataclass(frozen=True, slots=True)
class EndAccessPage:
    """What is about to be ended of `name`'s access: all of a kind, or with `id` one session or token."""

    name: str
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class ResetLinkPage:
    """A password reset link; `is_sent` says whether it was emailed to the primary address."""

    name: str
    link: str
    email: str | None
    is_sent: bool


@dataclass(frozen=True, slots=True)
class RegistriesPage:
    """Each registry and its health, and what is still to be done with them."""

    registries: tuple[RegistryRow, ...]
    waiting: QueueStats


@dataclass(frozen=True, slots=True)
class QuotaPage:
    """What a namespace has and may have; the form gives it a quota of its own."""

    usage: QuotaUsage
    form: FormState = EMPTY

    @property
    def own_bytes(self) -> str:
        return "" if self.usage.own.bytes is None else sizes.exact(self.usage.own.bytes)

    @property
    def own_repositories(self) -> str:
        return "" if self.usage.own.repositories is None else str(self.usage.own.repositories)


@dataclass(frozen=True, slots=True)
class StoragePage:
    """What namespaces keep, the largest first, and what each may keep; `apart` is what it would be without sharing, all
    in bytes."""

    namespaces: tuple[NamespaceStorage, ...]
    paging: Paging
    storage: StorageTotals
    counted_at: datetime
    allowed: Mapping[str, Quota]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """The log, newest first, as far as it fits the filter: `since` and `until` are days."""

    entries: tuple[LogEntry, ...]
    paging: Paging
    actor: str
    action: str
    subject: str
    since: str
    until: str
    kinds: tuple[str, ...]
