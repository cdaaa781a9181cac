"""Email addresses in SQL; a person's first one is the primary address (protocol §2.2).

An address that nobody confirmed proves nothing: several accounts may have it, and who confirms it first has it alone.
Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from index_service.accounts import notices
from index_service.accounts.models import Email, User
from index_service.audit.log import AuditContext, Change, Named

MAX_ADDRESSES = 10
"""Of one person."""

MAX_CLAIMS = 5
"""Accounts with the same unconfirmed address that get a letter."""


class AddressTaken(Conflict):
    field = "email"

    """The account has the address already, or another has confirmed it, which only the address's reader is told."""

    def __init__(self) -> None:
        super().__init__("This email address is already in use")


class TooManyAddresses(Conflict):
    field = "email"

    def __init__(self) -> None:
        super().__init__(f"Limit of {MAX_ADDRESSES} email addresses per account reached")


class NoSuchAddress(NotFound):
    def __init__(self) -> None:
        super().__init__("Your account has no such email address")


class LastAddress(Conflict):
    """Without an email address the password could not be reset."""

    def __init__(self) -> None:
        super().__init__("Cannot remove the only email address; add another one first")


def listed(session: Session, user_id: int) -> list[Email]:
    """A person's email addresses, the primary one first."""
    return list(session.scalars(select(Email).where(Email.user_id == user_id).order_by(Email.id)))


def is_of(session: Session, user_id: int, email_address: str) -> bool:
    """Whether a person has this email address, confirmed or not."""
    return session.scalar(select(Email.id).where(Email.user_id == user_id, Email.address == email_address)) is not None


def add(session: Session, context: AuditContext, user: Named, email_address: str) -> None:
    """Add an unconfirmed email address. Raises AddressTaken or TooManyAddresses."""
    _require_room(session, user.id)
    session.add(Email(user_id=user.id, address=email_address, created_at=context.at))
    try:
        session.flush()
    except IntegrityError as error:
        raise AddressTaken from error
    context.record(session, Change.EMAIL_ADDED, user.name, email=email_address)
    notices.write(session, context, Change.EMAIL_ADDED, user, email=email_address)


def _require_room(session: Session, user_id: int) -> None:
    """Raises TooManyAddresses at the limit; locks the account, so that a concurrent addition waits."""
    session.execute(select(User.id).where(User.id == user_id).with_for_update())
    held = select(func.count()).select_from(Email).where(Email.user_id == user_id)
    if (session.scalar(held) or 0) >= MAX_ADDRESSES:
        raise TooManyAddresses


def remove(session: Session, context: AuditContext, user: Named, email_address: str) -> None:
    """Raises NotFound or LastAddress."""
    held = [email.address for email in listed(session, user.id)]
    if email_address not in held:
        raise NoSuchAddress
    if len(held) == 1:
        raise LastAddress
    before = notices.addresses(session, user.id)
    session.execute(delete(Email).where(Email.user_id == user.id, Email.address == email_address))
    context.record(session, Change.EMAIL_REMOVED, user.name, email=email_address)
    notices.write(session, context, Change.EMAIL_REMOVED, user, to=before, email=email_address)


def make_main(session: Session, context: AuditContext, user: Named, email_address: str) -> None:
    """Move the address before the others. Raises NotFound for one that is not the person's, or not confirmed."""
    held = listed(session, user.id)
    chosen = [email for email in held if email.address == email_address and email.confirmed_at is not None]
    if not chosen:
        raise NoSuchAddress
    others = [email for email in held if email.address != email_address]
    rows = [(email.address, email.created_at, email.confirmed_at) for email in chosen + others]
    session.execute(delete(Email).where(Email.user_id == user.id))
    for kept, created_at, confirmed_at in rows:
        session.add(Email(user_id=user.id, address=kept, created_at=created_at, confirmed_at=confirmed_at))
        session.flush()
    context.record(session, Change.EMAIL_MADE_MAIN, user.name, email=email_address)
    notices.write(session, context, Change.EMAIL_MADE_MAIN, user, email=email_address)


def confirm(session: Session, context: AuditContext, user_id: int, email_address: str) -> bool:
    """Confirm an address, as its owner's own doing; whether there was one that was not confirmed.

    Raises AddressTaken if another account has confirmed it.
    """
    user = find_unconfirmed(session, user_id, email_address)
    if user is None:
        return False
    claimed = update(Email).where(Email.user_id == user_id, Email.address == email_address)
    try:
        session.execute(claimed.values(confirmed_at=context.at))
    except IntegrityError as error:
        raise AddressTaken from error
    own = replace(context, actor=user)
    own.record(session, Change.EMAIL_CONFIRMED, user.name, email=email_address)
    notices.write(session, own, Change.EMAIL_CONFIRMED, user, email=email_address)
    return True


def find_unconfirmed(session: Session, user_id: int, email_address: str) -> User | None:
    """The account, if it has this email address and has not confirmed it."""
    owner = select(User).join(Email, Email.user_id == User.id).where(User.id == user_id)
    return session.scalar(owner.where(Email.address == email_address, Email.confirmed_at.is_(None)))


def confirmed_owner(session: Session, email_address: str) -> str | None:
    """The name of the account that has confirmed this email address."""
    owner = select(User.name).join(Email, Email.user_id == User.id)
    return session.scalar(owner.where(Email.address == email_address, Email.confirmed_at.is_not(None)))


def owners_for_reset(session: Session, email_address: str) -> list[User]:
    """The accounts whose password may be reset by an email to this address.

    An unconfirmed address may be a stranger's by a typo, so it serves only if it is an account's primary one, the
    account has no confirmed one, and no other account has confirmed it.
    """
    confirmed = session.scalar(
        select(Email.user_id).where(Email.address == email_address, Email.confirmed_at.is_not(None))
    )
    if confirmed is not None:
        owner = session.scalar(select(User).where(User.id == confirmed, User.is_active))
        return [] if owner is None else [owner]
    claims = select(User).join(Email, Email.user_id == User.id).where(Email.address == email_address, User.is_active)
    users = session.scalars(claims.order_by(Email.id).limit(MAX_CLAIMS)).all()
    return [user for user in users if _is_only_hope(session, user.id, email_address)]


def _is_only_hope(session: Session, user_id: int, email_address: str) -> bool:
    held = listed(session, user_id)
    return held[0].address == email_address and not any(email.confirmed_at for email in held)
