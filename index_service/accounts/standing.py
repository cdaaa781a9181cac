"""An account's standing: open or closed, an administrator's or not.

Every function takes the session of the transaction it is part of.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.errors import Conflict
from index_service.accounts import access, organisations
from index_service.accounts.models import User
from index_service.audit.log import AuditContext, Change


class LastAdministrator(Conflict):
    """Nobody would be left who may administer the index."""

    def __init__(self) -> None:
        super().__init__("The last administrator cannot go: make somebody else one first")


def hold(session: Session, user_id: int) -> User:
    """An account, kept from other writers until the transaction ends.

    All administrators are, before it and in one order: two of them who unmake each other at once wait for each other.
    Who adds a member to an organisation refers to an account, and does not wait.
    """
    session.execute(select(User.id).where(User.is_admin).order_by(User.id).with_for_update(key_share=True))
    return session.get_one(User, user_id, with_for_update={"key_share": True})


def set_active(session: Session, context: AuditContext, user: User, *, is_active: bool) -> None:
    """Open or close an account that is held; all access it had ends, and what was issued before never lives again.

    Raises LastAdministrator or SoleOwner.
    """
    if user.is_active == is_active:
        return
    if not is_active:
        _require_other_admin(session, user)
        organisations.require_other_owners(session, user)
    access.end(session, user.id)
    user.is_active = is_active
    change = Change.ACCOUNT_ACTIVATED if is_active else Change.ACCOUNT_DEACTIVATED
    context.record(session, change, user.name)


def set_admin(session: Session, context: AuditContext, user: User, *, is_admin: bool) -> None:
    """Make an account that is held an administrator's, or no more. Raises LastAdministrator."""
    if user.is_admin == is_admin:
        return
    if not is_admin:
        _require_other_admin(session, user)
    user.is_admin = is_admin
    context.record(session, Change.ACCOUNT_MADE_ADMIN if is_admin else Change.ACCOUNT_UNMADE_ADMIN, user.name)


def _require_other_admin(session: Session, user: User) -> None:
    """An operator's command can always make another, so the rule is for those who have none at hand."""
    others = select(func.count()).where(User.is_admin, User.is_active, User.id != user.id)
    if user.is_admin and user.is_active and not session.scalar(others):
        raise LastAdministrator
