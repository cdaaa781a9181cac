"""Notices: letters that tell the owner of an account what has changed in its security.

They go to every confirmed address of the account, because whoever takes over an account may add an address, and to none
that nobody confirmed, because it may be a stranger's. They are counted apart from letters that strangers can ask for,
who could otherwise use these up. Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from index_service.accounts import rate_counts
from index_service.accounts.models import Email, User
from index_service.audit.log import AuditContext, Change, Named
from index_service.mail import outbox

NOTICES = 20
NOTICES_PERIOD = timedelta(hours=1)
"""How many notices go to one address."""


def addresses(session: Session, user_id: int) -> list[str]:
    """The confirmed addresses of an account."""
    confirmed = select(Email.address).where(Email.user_id == user_id, Email.confirmed_at.is_not(None))
    return list(session.scalars(confirmed.order_by(Email.id)))


def write(
    session: Session,
    context: AuditContext,
    change: Change,
    user: Named,
    *,
    to: Collection[str] | None = None,
    **details: str,
) -> None:
    """Tell an account's owner of a change; `to` are its addresses before the change, if it changes them."""
    language = session.scalar(select(User.language).where(User.id == user.id)) or ""
    by = "" if context.actor is None else context.actor.name
    facts = {"by": by, "address": context.client_ip, **details}
    for recipient in addresses(session, user.id) if to is None else to:
        key = f"notice/{rate_counts.digest(recipient)}"
        if rate_counts.add(session, key, NOTICES, NOTICES_PERIOD, context.at) == 0:
            outbox.add(session, change, recipient, context.at, user_id=user.id, language=language, details=facts)
