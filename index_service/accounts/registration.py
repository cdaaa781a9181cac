"""Registration: a new account with its namespace.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from common.errors import Conflict
from index_service.accounts.models import Email, Namespace, User
from index_service.audit.log import AuditContext, Change


class NameTaken(Conflict):
    """The message is the one that clients compare (protocol §2.2)."""

    def __init__(self) -> None:
        super().__init__("Username or email already exists")


def create(
    session: Session,
    context: AuditContext,
    name: str,
    password_hash: str,
    email: str | None,
    *,
    is_admin: bool = False,
    signs_up: bool = False,
) -> User:
    """Create an account; a sign-up is recorded as the new account's own change.

    Where the name is taken, the transaction ends in SQLAlchemy's IntegrityError.
    """
    user = User(name=name, password_hash=password_hash, is_admin=is_admin, created_at=context.at)
    session.add(user)
    session.flush()
    session.add(Namespace(name=name, user_id=user.id))
    if email is not None:
        session.add(Email(user_id=user.id, address=email, created_at=context.at))
    by = replace(context, actor=user) if signs_up else context
    by.record(session, Change.ACCOUNT_MADE, name)
    return user
