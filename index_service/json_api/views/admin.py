"""Administration of the index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import request

from common.errors import Invalid
from index_service import paging
from index_service.accounts.access import SELECTABLE, Selection
from index_service.accounts.directory import PEOPLE_SORTS, STATES
from index_service.audit.queries import AuditFilter
from index_service.current import services
from index_service.images import quotas
from index_service.images.storage_usage import STORAGE_SORTS, ordered
from index_service.json_api.bodies import UNSET, UnsetType
from index_service.json_api.requester import (
    administrator,
    api_context,
    client_address,
    proved_administrator,
    requester,
)
from index_service.json_api.resources.account import AccessToken, Session
from index_service.json_api.resources.admin import (
    AccountListItem,
    AuditEntry,
    IndexTotals,
    NamespaceQuota,
    NamespaceStorage,
    PasswordResetLink,
    ProtocolToken,
    Registries,
    StorageUsage,
)
from index_service.json_api.resources.lists import List, Page
from index_service.json_api.routes import Param, Routes, argument, paged

_TIMESTAMP: dict[str, Any] = {"type": "string", "format": "date-time"}

routes = Routes("admin")


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """Whether an account is open, and an administrator's; what is left out stays as it is."""

    is_active: bool | UnsetType = UNSET
    is_admin: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """A namespace's own quota: null for the default, 0 for no limit; what is left out stays as it is."""

    quota_bytes: int | UnsetType | None = UNSET
    quota_repositories: int | UnsetType | None = UNSET


@routes.get("/admin", who=administrator)
def get_counts() -> IndexTotals:
    """Count accounts, organisations and repositories."""
    return IndexTotals.of(services().administration.counts(administrator()))


@routes.get(
    "/admin/people",
    who=administrator,
    query=[
        *paged(PEOPLE_SORTS),
        Param("q", "Words in names or addresses."),
        Param("state", "Which accounts.", {"type": "string", "enum": [*STATES], "default": STATES[0]}),
    ],
)
def list_people() -> Page[AccountListItem]:
    """List accounts."""
    asked, state = paging.asked(request.args, PEOPLE_SORTS), argument("state", STATES[0])
    if state not in STATES:
        raise Invalid(f"state has to be one of {', '.join(STATES)}")
    who, words = administrator(), argument("q")
    rows, total = services().administration.people(who, words, state, asked.sort, asked.size, asked.offset)
    return Page.of(asked.of(total), map(AccountListItem.of, rows))


@routes.get("/admin/people/<someone:person>", who=administrator)
def get_account_of(person: str) -> AccountListItem:
    """Get an account."""
    return AccountListItem.of(services().administration.person(administrator(), person).person)


@routes.get("/admin/people/<someone:person>/sessions", who=administrator)
def list_sessions_of(person: str) -> List[Session]:
    """List the sessions of an account, the last used first."""
    signed_in = requester().signed_in
    current = signed_in.session if signed_in else ""
    held = services().administration.person(administrator(), person).held
    return List.of(Session.of(record, current) for record in held.sessions)


@routes.get("/admin/people/<someone:person>/protocol-tokens", who=administrator)
def list_protocol_tokens_of(person: str) -> List[ProtocolToken]:
    """List the newest 200 pull and push tokens of an account."""
    held = services().administration.person(administrator(), person).held
    return List.of(map(ProtocolToken.of, held.protocol_tokens))


@routes.get("/admin/people/<someone:person>/access-tokens", who=administrator)
def list_access_tokens_of(person: str) -> List[AccessToken]:
    """List the access tokens of an account, the newest first."""
    held, now = services().administration.person(administrator(), person).held, api_context().clock()
    return List.of(AccessToken.of(token, now) for token in held.access_tokens)


@routes.delete("/admin/people/<someone:person>/access", who=proved_administrator)
def end_access_of(person: str) -> None:
    """End all access of an account: sessions, pull and push tokens, access tokens, password reset links."""
    _end(person, "all")


@routes.delete("/admin/people/<someone:person>/sessions", who=proved_administrator)
def end_sessions_of(person: str) -> None:
    """End all sessions of an account."""
    _end(person, "sessions")


@routes.delete("/admin/people/<someone:person>/sessions/<digest:session>", who=proved_administrator)
def end_session_of(person: str, session: str) -> None:
    """End a session of an account."""
    _end(person, "sessions", session)


@routes.delete("/admin/people/<someone:person>/protocol-tokens", who=proved_administrator)
def end_protocol_tokens_of(person: str) -> None:
    """End all pull and push tokens of an account."""
    _end(person, "protocol-tokens")


@routes.delete("/admin/people/<someone:person>/protocol-tokens/<digest:protocol_token>", who=proved_administrator)
def end_protocol_token_of(person: str, protocol_token: str) -> None:
    """End a pull or push token of an account."""
    _end(person, "protocol-tokens", protocol_token)


@routes.delete("/admin/people/<someone:person>/access-tokens", who=proved_administrator)
def revoke_access_tokens_of(person: str) -> None:
    """Revoke all access tokens of an account, and what was issued with them."""
    _end(person, "access-tokens")


@routes.delete("/admin/people/<someone:person>/access-tokens/<small_number:token>", who=proved_administrator)
def revoke_access_token_of(person: str, token: int) -> None:
    """Revoke an access token of an account, and what was issued with it."""
    _end(person, "access-tokens", str(token))


@routes.patch("/admin/people/<someone:person>", who=proved_administrator)
def change_person(person: str, body: AccountStatus) -> None:
    """Open or close an account, or grant or revoke administrator rights. One change at a time, and none to oneself."""
    who, ask = proved_administrator(), services().administration
    if (body.is_active is UNSET) == (body.is_admin is UNSET):
        raise Invalid("Give is_active or is_admin, one at a time")
    if body.is_active is not UNSET:
        ask.set_active(who, client_address(), person, is_active=body.is_active)
    if body.is_admin is not UNSET:
        ask.set_admin(who, client_address(), person, is_admin=body.is_admin)


@routes.post("/admin/people/<someone:person>/reset", who=proved_administrator)
def create_reset_link(person: str) -> PasswordResetLink:
    """Create a password reset link."""
    found = services().administration.reset_link(proved_administrator(), client_address(), person)
    return PasswordResetLink(name=found.name, email=found.email, url=f"{api_context().url}/reset/{found.link}")


@routes.get("/admin/registries", who=administrator)
def get_registries() -> Registries:
    """List the registries, their health, and the jobs that wait for them."""
    return Registries.of(services().administration.registries(administrator()))


@routes.get("/admin/storage", who=administrator)
def get_storage() -> StorageUsage:
    """Get the storage usage of all namespaces. It is counted every ten minutes at most."""
    return StorageUsage.of(services().administration.storage(administrator()))


@routes.get("/admin/storage/namespaces", who=administrator, query=paged(STORAGE_SORTS))
def list_storage() -> Page[NamespaceStorage]:
    """List the storage usage of each namespace."""
    kept = services().administration.storage(administrator()).storage.namespaces
    asked = paging.asked(request.args, STORAGE_SORTS).of(len(kept))
    rows = ordered(kept, asked.sort)[asked.offset : asked.offset + asked.size]
    return Page.of(asked, map(NamespaceStorage.of, rows))


@routes.get("/admin/quotas/<someone:namespace>", who=administrator)
def get_quota(namespace: str) -> NamespaceQuota:
    """Get what a namespace has and may have."""
    return NamespaceQuota.of(services().administration.quota(administrator(), namespace))


@routes.patch("/admin/quotas/<someone:namespace>", who=proved_administrator)
def change_quota(namespace: str, body: QuotaChange) -> NamespaceQuota:
    """Set the quota of a namespace, or the default again."""
    who, ask = proved_administrator(), services().administration
    change: quotas.QuotaChange = {}
    if body.quota_bytes is not UNSET:
        change["bytes"] = body.quota_bytes
    if body.quota_repositories is not UNSET:
        change["repositories"] = body.quota_repositories
    ask.set_quota(who, client_address(), namespace, change)
    return NamespaceQuota.of(ask.quota(who, namespace))


@routes.get(
    "/admin/audit",
    who=administrator,
    query=[
        *paged(),
        Param("actor", "Who made the change."),
        Param("action", "Which change: `role.given`, or `role` for every change of roles."),
        Param("subject", "What was changed: a name, or a namespace."),
        Param("since", "Entries from this timestamp, or day, on.", _TIMESTAMP),
        Param("until", "Entries before this timestamp, or day.", _TIMESTAMP),
    ],
)
def list_audit() -> Page[AuditEntry]:
    """List the entries of the audit log, the newest first."""
    asked = paging.asked(request.args)
    wanted = AuditFilter(
        argument("actor"), argument("action"), argument("subject", most=511), _timestamp("since"), _timestamp("until")
    )
    entries, total = services().administration.audit(administrator(), wanted, asked.size, asked.offset)
    return Page.of(asked.of(total), map(AuditEntry.of, entries))


def _end(person: str, kind: str, identifier: str = "") -> None:
    selection = Selection(SELECTABLE[kind], identifier)
    services().administration.end_access(proved_administrator(), client_address(), person, selection)


def _timestamp(name: str) -> datetime | None:
    text = argument(name)
    try:
        found = datetime.fromisoformat(text) if text else None
        return None if found is None else (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name} has to be a timestamp or a day, such as 2015-06-08") from error
