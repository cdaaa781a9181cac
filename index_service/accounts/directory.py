"""The directory: queries that find and list people and organisations.

Every function takes the session of the caller's transaction; the number of queries does not depend on the number of
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select
from sqlalchemy.orm import Session

from common.errors import Invalid, NotFound
from index_service.accounts import validators
from index_service.accounts.models import Email, Member, Organisation, Team, TeamMember, User
from index_service.db import LIKE_ESCAPE, escape_like


@dataclass(frozen=True, slots=True)
class Membership:
    """An organisation that a person is a member of."""

    name: str
    full_name: str
    is_owner: bool


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member of an organisation, with the names of the member's teams."""

    name: str
    full_name: str
    is_owner: bool
    is_active: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team of an organisation; `members` counts them."""

    name: str
    about: str
    members: int


@dataclass(frozen=True, slots=True)
class TeamMemberRow:
    name: str
    full_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """An account as administrators see it; `email` is the primary email address, None if there is none."""

    name: str
    full_name: str
    email: str | None
    is_confirmed: bool
    is_active: bool
    is_admin: bool
    since: datetime


class UnknownPerson(Invalid):
    """The name that was entered belongs to no account."""

    field = "person"

    def __init__(self) -> None:
        super().__init__("No account or organisation has this name")


PEOPLE_SORTS = ("name", "newest")
STATES = ("all", "active", "closed", "admin")


def find_person(session: Session, name: str) -> User:
    """Raises NotFound."""
    found = session.scalar(_named(name))
    if found is None:
        raise NotFound("No account or organisation has this name")
    return found


def find_active(session: Session, name: str) -> User:
    """The account of a name that was entered. Raises UnknownPerson, also for a closed account."""
    found = session.scalar(_named(validators.fold_name(name)).where(User.is_active))
    if found is None:
        raise UnknownPerson
    return found


def memberships(session: Session, user_id: int) -> list[Membership]:
    """By name."""
    rows = session.execute(
        select(Organisation.name, Organisation.full_name, Member.is_owner)
        .join(Member, Member.organisation_id == Organisation.id)
        .where(Member.user_id == user_id)
        .order_by(Organisation.name)
    )
    return [Membership(*row) for row in rows]


def shared(session: Session, user_id: int, other_id: int) -> list[Membership]:
    """The organisations that both people are members of."""
    theirs = {found.name for found in memberships(session, other_id)}
    return [found for found in memberships(session, user_id) if found.name in theirs]


def count_members(session: Session, organisation_id: int) -> int:
    return session.scalar(select(func.count()).where(Member.organisation_id == organisation_id)) or 0


def members(session: Session, organisation_id: int, limit: int, offset: int) -> list[MemberRow]:
    """Owners first, then by name."""
    rows = session.execute(
        select(User.name, User.full_name, Member.is_owner, User.is_active, Member.created_at)
        .join(Member, Member.user_id == User.id)
        .where(Member.organisation_id == organisation_id)
        .order_by(Member.is_owner.desc(), User.name)
        .limit(limit)
        .offset(offset)
    )
    return [MemberRow(*row) for row in rows]


def count_teams(session: Session, organisation_id: int) -> int:
    return session.scalar(select(func.count()).where(Team.organisation_id == organisation_id)) or 0


def teams(session: Session, organisation_id: int, limit: int, offset: int) -> list[TeamRow]:
    """By name."""
    rows = session.execute(
        select(Team.name, Team.about, func.count(TeamMember.user_id))
        .outerjoin(TeamMember, TeamMember.team_id == Team.id)
        .where(Team.organisation_id == organisation_id)
        .group_by(Team.id, Team.name, Team.about)
        .order_by(Team.name)
        .limit(limit)
        .offset(offset)
    )
    return [TeamRow(*row) for row in rows]


def count_in_team(session: Session, team_id: int) -> int:
    return session.scalar(select(func.count()).where(TeamMember.team_id == team_id)) or 0


def in_team(session: Session, team_id: int, limit: int, offset: int) -> list[TeamMemberRow]:
    """By name."""
    rows = session.execute(
        select(User.name, User.full_name)
        .join(TeamMember, TeamMember.user_id == User.id)
        .where(TeamMember.team_id == team_id)
        .order_by(User.name)
        .limit(limit)
        .offset(offset)
    )
    return [TeamMemberRow(*row) for row in rows]


def team_names(session: Session, organisation_id: int) -> list[str]:
    return list(session.scalars(select(Team.name).where(Team.organisation_id == organisation_id).order_by(Team.name)))


def counts(session: Session) -> tuple[int, int]:
    """The numbers of open accounts and of organisations."""
    people = session.scalar(select(func.count()).select_from(User).where(User.is_active)) or 0
    return people, session.scalar(select(func.count()).select_from(Organisation)) or 0


def count_people(session: Session, words: str, state: str) -> int:
    return session.scalar(select(func.count()).select_from(User).where(_matches(words, state))) or 0


def people(session: Session, words: str, state: str, sort: str, limit: int, offset: int) -> list[PersonRow]:
    """Accounts whose name or email address contains the words; `state` is one of STATES, `sort` of PEOPLE_SORTS."""
    main = select(func.min(Email.id)).where(Email.user_id == User.id).correlate(User).scalar_subquery()
    order = [User.created_at.desc(), User.id.desc()] if sort == "newest" else [User.name]
    rows = session.execute(
        select(User, Email)
        .outerjoin(Email, Email.id == main)
        .where(_matches(words, state))
        .order_by(*order)
        .limit(limit)
        .offset(offset)
    )
    return [_person(user, email) for user, email in rows]


def person(session: Session, name: str) -> PersonRow:
    """One account, as administrators see it. Raises NotFound."""
    user = find_person(session, name)
    first = select(Email).where(Email.user_id == user.id).order_by(Email.id).limit(1)
    return _person(user, session.scalar(first))


def _named(name: str) -> Select[User]:
    """A name that no account could have is not queried: databases do not accept every character."""
    return select(User).where(User.name == name if validators.may_be_name(name) else false())


def _person(user: User, email: Email | None) -> PersonRow:
    return PersonRow(
        name=user.name,
        full_name=user.full_name,
        email=None if email is None else email.address,
        is_confirmed=email is not None and email.confirmed_at is not None,
        is_active=user.is_active,
        is_admin=user.is_admin,
        since=user.created_at,
    )


def _matches(words: str, state: str) -> ColumnElement[bool]:
    conditions: dict[str, ColumnElement[bool]] = {
        "active": User.is_active.is_(True),
        "closed": User.is_active.is_(False),
        "admin": User.is_admin.is_(True),
    }
    condition = conditions.get(state, User.id.is_not(None))
    if not words:
        return condition
    like = f"%{escape_like(''.join(filter(str.isprintable, words.lower())))}%"
    addresses = select(Email.user_id).where(Email.address.like(like, escape=LIKE_ESCAPE))
    texts = or_(User.name.like(like, escape=LIKE_ESCAPE), func.lower(User.full_name).like(like, escape=LIKE_ESCAPE))
    return and_(condition, or_(texts, User.id.in_(addresses)))
