"""Account status: open or closed, administrator or not.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from common.errors import Conflict
from index_service.accounts import access, notices, organisations
from index_service.accounts.models import User
from index_service.audit.log import AuditContext, Change


class LastAdministrator(Conflict):
    """The index would be left without an administrator."""

    def __init__(self) -> None:
        super().__init__("Cannot remove the last administrator; make someone else an administrator first")


def lock(session: Session, user_id: int) -> User:
    """An account, its row locked until the transaction ends.

    All administrators are locked before it and in one order: two who remove each other's rights at once wait for each
    other. Adding a member to an organisation only references an account and does not wait.
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
    notices.write(session, context, change, user)


def set_admin(session: Session, context: AuditContext, user: User, *, is_admin: bool) -> None:
    """Grant a locked account administrator rights, or remove them. Raises LastAdministrator."""
    if user.is_admin == is_admin:
        return
    if not is_admin:
        _require_other_admin(session, user)
    user.is_admin = is_admin
    change = Change.ACCOUNT_MADE_ADMIN if is_admin else Change.ACCOUNT_UNMADE_ADMIN
    context.record(session, change, user.name)
    notices.write(session, context, change, user)


def _require_other_admin(session: Session, user: User) -> None:
    """An operator's command can always appoint another, so the rule is for everybody else."""
    others = select(func.count()).where(User.is_admin, User.is_active, User.id != user.id)
    if user.is_admin and user.is_active and not session.scalar(others):
        raise LastAdministrator
