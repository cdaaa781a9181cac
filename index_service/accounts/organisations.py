"""Organisations: their members, owners and teams.

Every function takes the session of the caller's transaction. Changes lock the organisation's row, so that two owners
who leave at once cannot leave it without an owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, delete, false, func, select
from sqlalchemy.orm import Session, aliased

from common.errors import Conflict, Invalid, NotFound
from index_service.accounts import validators
from index_service.accounts.models import Member, Namespace, Organisation, Team, TeamMember, User
from index_service.audit.log import AuditContext, Change

MEMBER_ROLES = ("read", "write", "")
"""What every member may do with all repositories; the last leaves it to teams."""


MAX_OWNED = 50
"""Organisations that one person may own and make yet another, so that nobody takes all names."""

MAX_TEAMS = 200
"""Of one organisation: all of them are offered where a role is given."""


class NameTaken(Conflict):
    field = "name"

    def __init__(self) -> None:
        super().__init__("This name is taken")


class AlreadyIn(Conflict):
    field = "person"


class LastOwner(Conflict):
    """The organisation would be left without an owner whose account is open."""

    def __init__(self) -> None:
        super().__init__("Cannot remove the last owner; make someone else an owner first")


class SoleOwner(Conflict):
    """Organisations that have no other owner with an open account."""

    def __init__(self, names: Sequence[str]) -> None:
        self.organisations = ", ".join(names)
        super().__init__(
            f"This person is the last owner of {self.organisations}: make somebody else an owner there first"
        )


@dataclass(frozen=True, slots=True)
class OrganisationProfile:
    """An organisation's texts, and the role of every member."""

    full_name: str = ""
    about: str = ""
    website: str = ""
    member_role: str = "read"

    def checked(self) -> OrganisationProfile:
        """Raises Invalid."""
        if self.member_role not in MEMBER_ROLES:
            raise Invalid("Invalid role")
        return OrganisationProfile(
            validators.validate_text(self.full_name, 100),
            validators.validate_text(self.about, 500, lines=True),
            validators.validate_website(self.website),
            self.member_role,
        )


def find(session: Session, name: str) -> Organisation | None:
    return session.scalar(_named(name))


def lock(session: Session, name: str) -> Organisation:
    """The organisation, its row locked until the transaction ends. Raises NotFound."""
    found = session.scalar(_named(name).with_for_update())
    if found is None:
        raise NotFound("no such organisation")
    return found


def membership(session: Session, organisation_id: int, user_id: int) -> Member | None:
    return session.get(Member, (organisation_id, user_id))


def create(
    session: Session, context: AuditContext, name: object, profile: OrganisationProfile, owner_id: int
) -> Organisation:
    """Create an organisation with one owner; its name comes from the same set as people's. Raises Invalid or Conflict.

    Where two take one name at once, the second's transaction ends in SQLAlchemy's IntegrityError.
    """
    name, profile = _check_name(name), profile.checked()
    owned = select(func.count()).where(Member.user_id == owner_id, Member.is_owner)
    if (session.scalar(owned) or 0) >= MAX_OWNED:
        raise Conflict(f"Limit of {MAX_OWNED} organisations per owner reached")
    if session.get(Namespace, name) is not None:
        raise NameTaken
    made = Organisation(name=name, created_at=context.at)
    _set_profile(made, profile)
    session.add(made)
    session.flush()
    session.add(Namespace(name=name, organisation_id=made.id))
    session.add(Member(organisation_id=made.id, user_id=owner_id, is_owner=True, created_at=context.at))
    context.record(session, Change.ORGANISATION_MADE, name)
    return made


def update_profile(
    session: Session, context: AuditContext, organisation: Organisation, profile: OrganisationProfile
) -> None:
    """Change the texts and the members' role; only the role is audited, as a permission. Raises Invalid."""
    profile = profile.checked()
    if organisation.member_role != profile.member_role:
        changes = {"from": organisation.member_role, "to": profile.member_role}
        context.record(session, Change.ORGANISATION_CHANGED, organisation.name, member_role=changes)
    _set_profile(organisation, profile)


def add_member(session: Session, context: AuditContext, organisation: Organisation, user: User) -> None:
    """Raises Conflict if the person is a member."""
    if membership(session, organisation.id, user.id) is not None:
        raise AlreadyIn("This person is already a member")
    session.add(Member(organisation_id=organisation.id, user_id=user.id, created_at=context.at))
    context.record(session, Change.MEMBER_ADDED, organisation.name, person=user.name)


def remove_member(session: Session, context: AuditContext, organisation: Organisation, user: User) -> None:
    """Remove a member, also from the teams. Raises NotFound or LastOwner."""
    member = _member(session, organisation, user)
    if member.is_owner:
        _require_other_owner(session, member)
    teams = select(Team.id).where(Team.organisation_id == organisation.id)
    session.execute(delete(TeamMember).where(TeamMember.user_id == user.id, TeamMember.team_id.in_(teams)))
    session.delete(member)
    context.record(session, Change.MEMBER_REMOVED, organisation.name, person=user.name)


def set_owner(
    session: Session, context: AuditContext, organisation: Organisation, user: User, *, is_owner: bool
) -> None:
    """Raises NotFound if the person is not a member, or LastOwner."""
    member = _member(session, organisation, user)
    if member.is_owner == is_owner:
        return
    if member.is_owner:
        _require_other_owner(session, member)
    member.is_owner = is_owner
    change = Change.MEMBER_MADE_OWNER if is_owner else Change.MEMBER_UNMADE_OWNER
    context.record(session, change, organisation.name, person=user.name)


def require_other_owners(session: Session, user: User) -> None:
    """Locks every organisation that the person owns. Raises SoleOwner."""
    owned = (
        select(Organisation.name)
        .join(Member, Member.organisation_id == Organisation.id)
        .where(Member.user_id == user.id, Member.is_owner)
        .order_by(Organisation.name)
    )
    session.execute(owned.with_for_update(of=Organisation))
    forsaken = session.scalars(owned.where(~_has_other_owner(Member.organisation_id, user.id))).all()
    if forsaken:
        raise SoleOwner(forsaken)


def find_team(session: Session, organisation: Organisation, name: str) -> Team:
    """Raises NotFound."""
    named = select(Team).where(Team.organisation_id == organisation.id, Team.name == name)
    found = session.scalar(named) if validators.may_be_name(name) else None
    if found is None:
        raise NotFound("no such team")
    return found


def create_team(
    session: Session, context: AuditContext, organisation: Organisation, name: object, about: object
) -> Team:
    """Raises Invalid or Conflict."""
    name, about = _check_name(name), validators.validate_text(about, 255)
    taken = select(Team.id).where(Team.organisation_id == organisation.id, Team.name == name)
    if session.scalar(taken) is not None:
        raise NameTaken
    held = select(func.count()).where(Team.organisation_id == organisation.id)
    if (session.scalar(held) or 0) >= MAX_TEAMS:
        raise Conflict(f"Limit of {MAX_TEAMS} teams per organisation reached")
    team = Team(organisation_id=organisation.id, name=name, about=about, created_at=context.at)
    session.add(team)
    session.flush()
    context.record(session, Change.TEAM_MADE, organisation.name, team=name)
    return team


def delete_team(session: Session, context: AuditContext, organisation: Organisation, team: Team) -> None:
    """Delete a team and all its role assignments."""
    session.execute(delete(Team).where(Team.id == team.id))
    context.record(session, Change.TEAM_DELETED, organisation.name, team=team.name)


def join_team(session: Session, context: AuditContext, organisation: Organisation, team: Team, user: User) -> None:
    """Raises NotFound if the person is not a member, Conflict if the person is in the team."""
    _member(session, organisation, user)
    if session.get(TeamMember, (team.id, user.id)) is not None:
        raise AlreadyIn("This person is already in the team")
    session.add(TeamMember(team_id=team.id, user_id=user.id))
    context.record(session, Change.TEAM_JOINED, organisation.name, team=team.name, person=user.name)


def leave_team(session: Session, context: AuditContext, organisation: Organisation, team: Team, user: User) -> None:
    """Raises NotFound."""
    found = session.get(TeamMember, (team.id, user.id))
    if found is None:
        raise NotFound("no such member")
    session.delete(found)
    context.record(session, Change.TEAM_LEFT, organisation.name, team=team.name, person=user.name)


def _named(name: str) -> Select[Organisation]:
    """A name that breaks the grammar is not queried: databases do not accept every character."""
    return select(Organisation).where(Organisation.name == name if validators.may_be_name(name) else false())


def _check_name(name: object) -> str:
    """Names of organisations and teams follow the rules of people's, with messages of their own. Raises Invalid."""
    try:
        return validators.validate_name(name)
    except Invalid as error:
        raise Invalid(error.message.replace("username", "name")) from error


def _set_profile(organisation: Organisation, profile: OrganisationProfile) -> None:
    organisation.full_name = profile.full_name
    organisation.about = profile.about
    organisation.website = profile.website
    organisation.member_role = profile.member_role


def _member(session: Session, organisation: Organisation, user: User) -> Member:
    found = membership(session, organisation.id, user.id)
    if found is None:
        raise NotFound("no such member")
    return found


def _require_other_owner(session: Session, member: Member) -> None:
    if not session.scalar(select(_has_other_owner(member.organisation_id, member.user_id))):
        raise LastOwner


def _has_other_owner(organisation_id: int | SQLColumnExpression[int], user_id: int) -> ColumnElement[bool]:
    """An owner whose account is open: one who cannot sign in cannot change anything or appoint an owner."""
    other = aliased(Member)
    others = (
        select(other.user_id)
        .join(User, User.id == other.user_id)
        .where(other.organisation_id == organisation_id, other.user_id != user_id, other.is_owner, User.is_active)
    )
    return others.exists()
