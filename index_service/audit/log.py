"""The audit log: every change of a permission or a credential, and what is done to repositories and comments, written
in the transaction of the change.

Records are never changed, and pruned once they are older than the retention period.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from index_service.audit.models import AuditRecord


class Change(StrEnum):
    """The kinds of change; the word before the dot is the kind of the record's subject."""

    ACCOUNT_MADE = "account.made"
    ACCOUNT_ACTIVATED = "account.activated"
    ACCOUNT_DEACTIVATED = "account.deactivated"
    ACCOUNT_MADE_ADMIN = "account.made-admin"
    ACCOUNT_UNMADE_ADMIN = "account.unmade-admin"
    PASSWORD_CHANGED = "password.changed"
    PASSWORD_RESET_ASKED = "password.reset-asked"
    PASSWORD_RESET = "password.reset"
    EMAIL_ADDED = "email.added"
    EMAIL_CONFIRMED = "email.confirmed"
    EMAIL_REMOVED = "email.removed"
    EMAIL_MADE_MAIN = "email.made-main"
    SESSION_REVOKED = "session.revoked"
    ACCESS_TOKEN_MADE = "access-token.made"
    ACCESS_TOKEN_REVOKED = "access-token.revoked"
    TOKENS_REVOKED = "tokens.revoked"
    ACCESS_ENDED = "access.ended"
    ACCESS_TOKEN_USED = "access-token.used"
    SIGNED_IN = "sign-in.succeeded"
    SIGN_IN_FAILED = "sign-in.failed"
    ORGANISATION_MADE = "organisation.made"
    ORGANISATION_CHANGED = "organisation.changed"
    MEMBER_ADDED = "member.added"
    MEMBER_REMOVED = "member.removed"
    MEMBER_MADE_OWNER = "member.made-owner"
    MEMBER_UNMADE_OWNER = "member.unmade-owner"
    TEAM_MADE = "team.made"
    TEAM_DELETED = "team.deleted"
    TEAM_JOINED = "team.joined"
    TEAM_LEFT = "team.left"
    ROLE_GIVEN = "role.given"
    ROLE_TAKEN = "role.taken"
    NAMESPACE_CHANGED = "namespace.changed"
    QUOTA_CHANGED = "quota.changed"
    REPOSITORY_MADE = "repository.made"
    REPOSITORY_PUBLISHED = "repository.published"
    REPOSITORY_HIDDEN = "repository.hidden"
    REPOSITORY_TRANSFERRED = "repository.transferred"
    REPOSITORY_DELETED = "repository.deleted"
    COMMENT_HIDDEN = "comment.hidden"
    COMMENT_SHOWN = "comment.shown"
    COMMENT_FLAGS_DISMISSED = "comment.flags-dismissed"
    ENDPOINT_MOVED = "endpoint.moved"


class Named(Protocol):
    """An account."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class AuditContext:
    """The audit context of a change: who makes it (None for an operator's command), from which IP address, when."""

    actor: Named | None
    client_ip: str
    at: datetime

    def record(self, session: Session, action: Change, subject: str, **details: object) -> None:
        """Write down one change in the transaction that makes it. No secret may stand in the details."""
        session.add(
            AuditRecord(
                at=self.at,
                actor_id=None if self.actor is None else self.actor.id,
                actor_name="" if self.actor is None else self.actor.name,
                action=action,
                subject=subject,
                details=json.dumps(details, ensure_ascii=False),
                address=self.client_ip,
            )
        )


def prune(session: Session, before: datetime, limit: int) -> int:
    """Delete up to `limit` records older than `before`, skipping those another process has locked; returns how many."""
    oldest = select(AuditRecord.id).where(AuditRecord.at < before).order_by(AuditRecord.at).limit(limit)
    ids = list(session.scalars(oldest.with_for_update(skip_locked=True)))
    if ids:
        session.execute(delete(AuditRecord).where(AuditRecord.id.in_(ids)))
    return len(ids)
