"""Queries of the audit log: newest first, filtered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from index_service.audit.models import AuditRecord


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which records to show; empty and None match everything.

    `action` is a whole action, or the word before its dot; `subject` is a name, or its namespace.
    """

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One change; `actor` is empty for an operator's command and for an unknown actor."""

    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    address: str


def count(session: Session, wanted: AuditFilter) -> int:
    return session.scalar(select(func.count()).select_from(AuditRecord).where(_matches(wanted))) or 0


def entries(session: Session, wanted: AuditFilter, limit: int, offset: int) -> list[LogEntry]:
    """The newest first."""
    newest = select(AuditRecord).where(_matches(wanted)).order_by(AuditRecord.at.desc(), AuditRecord.id.desc())
    return [
        LogEntry(
            at=row.at,
            actor=row.actor_name,
            action=row.action,
            subject=row.subject,
            details=json.loads(row.details),
            address=row.address,
        )
        for row in session.scalars(newest.limit(limit).offset(offset))
    ]


def _matches(wanted: AuditFilter) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor:
        conditions.append(AuditRecord.actor_name == wanted.actor)
    if wanted.action:
        conditions.append(_is_or_within(AuditRecord.action, wanted.action, "."))
    if wanted.subject:
        conditions.append(_is_or_within(AuditRecord.subject, wanted.subject, "/"))
    if wanted.since is not None:
        conditions.append(AuditRecord.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditRecord.at < wanted.until)
    return and_(true(), *conditions)


def _is_or_within(column: InstrumentedAttribute[str], text: str, separator: str) -> ColumnElement[bool]:
    """Matches the text itself, or what begins with it and the separator."""
    return or_(column == text, column.startswith(text + separator, autoescape=True))
