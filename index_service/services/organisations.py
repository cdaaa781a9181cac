"""Organisations: creating them, their members and their teams.

Each method is one request, served within a short transaction or refused. Only owners change an organisation, and only
members see its members and teams. An access token, which opens repositories, is accepted for neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from common.errors import Forbidden, NotFound, Unauthenticated
from index_service.accounts import directory, organisations, reserved_names
from index_service.accounts.actor import Actor
from index_service.accounts.directory import MemberRow, TeamMemberRow, TeamRow
from index_service.accounts.models import Namespace, Organisation, Team
from index_service.accounts.organisations import OrganisationProfile
from index_service.accounts.privileges import is_administrator
from index_service.audit.log import AuditContext
from index_service.database import Database, conflict_on_duplicate
from index_service.db import Clock
from index_service.repositories import repository_settings, role_assignments
from index_service.repositories.policy import Role
from index_service.repositories.role_assignments import NamespaceScope

TAKEN = "This name is taken"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class OrganisationSettings:
    """What an owner may change."""

    profile: OrganisationProfile
    default_private: bool


Revision = Callable[[OrganisationSettings], OrganisationSettings]


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """A part of a list, its total, and whether the actor may change it."""

    rows: list[Row]
    total: int
    is_owner: bool


@dataclass(frozen=True, slots=True)
class TeamShown:
    """A team, and a part of its members; `role` is its role in all the organisation's repositories."""

    team: TeamRow
    role: Role | None
    rows: list[TeamMemberRow]
    is_owner: bool


class Organisations:
    """The requests of the pages of organisations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(self, actor: Actor, client_ip: str, name: object, profile: OrganisationProfile) -> None:
        """Create an organisation owned by the actor. Raises Invalid, or Conflict for a name that is taken."""
        _require_password(actor)
        reserved_names.require_free(str(name), "name")
        with conflict_on_duplicate(TAKEN), self._database.writing() as session:
            organisations.create(session, self._context(actor, client_ip), name, profile, actor.id)

    def settings(self, actor: Actor, name: str) -> OrganisationSettings:
        """Raises NotFound or Forbidden."""
        with self._database.reading() as session:
            return _settings(session, _owned(session, actor, organisations.find(session, name)))

    def change(self, actor: Actor, client_ip: str, name: str, wanted: OrganisationSettings) -> None:
        """Raises Invalid, NotFound or Forbidden."""
        self.revise(actor, client_ip, name, lambda _: wanted)

    def revise(self, actor: Actor, client_ip: str, name: str, revised: Revision) -> None:
        """Update the settings with the function `revised`, under a lock.

        Raises Invalid, NotFound or Forbidden.
        """
        with self._changing(actor, name) as (session, organisation):
            context, wanted = self._context(actor, client_ip), revised(_settings(session, organisation))
            organisations.update_profile(session, context, organisation, wanted.profile)
            repository_settings.set_default_visibility(session, context, name, is_private=wanted.default_private)

    def members(self, actor: Actor | None, name: str, limit: int, offset: int) -> Listed[MemberRow]:
        """Raises NotFound unless the actor is a member, Forbidden for an access token."""
        with self._database.reading() as session:
            found, is_owner = _seen(session, actor, name)
            rows = directory.members(session, found.id, limit, offset)
            return Listed(rows, directory.count_members(session, found.id), is_owner)

    def add_member(self, actor: Actor, client_ip: str, name: str, person: str) -> None:
        """Raises NotFound, Forbidden or Conflict."""
        with (
            conflict_on_duplicate("This person is already a member"),
            self._changing(actor, name) as (session, organisation),
        ):
            user = directory.find_active(session, person)
            organisations.add_member(session, self._context(actor, client_ip), organisation, user)

    def remove_member(self, actor: Actor, client_ip: str, name: str, person: str) -> None:
        """Remove a member and all roles in the namespace; owners may remove everybody, members themselves.

        Raises NotFound, Forbidden or LastOwner.
        """
        _require_password(actor)
        with self._database.writing() as session:
            organisation, is_owner = _seen(session, actor, name, hold=True)
            if not is_owner and person != actor.name:
                raise Forbidden("Only an owner of the organisation can do this")
            user, context = directory.find_person(session, person), self._context(actor, client_ip)
            organisations.remove_member(session, context, organisation, user)
            role_assignments.revoke_all(session, context, user, name)

    def set_owner(self, actor: Actor, client_ip: str, name: str, person: str, *, is_owner: bool) -> None:
        """Raises NotFound, Forbidden or LastOwner."""
        with self._changing(actor, name) as (session, organisation):
            user = directory.find_person(session, person)
            organisations.set_owner(session, self._context(actor, client_ip), organisation, user, is_owner=is_owner)

    def teams(self, actor: Actor | None, name: str, limit: int, offset: int) -> Listed[TeamRow]:
        """Raises NotFound unless the actor is a member, Forbidden for an access token."""
        with self._database.reading() as session:
            found, is_owner = _seen(session, actor, name)
            rows = directory.teams(session, found.id, limit, offset)
            return Listed(rows, directory.count_teams(session, found.id), is_owner)

    def team(self, actor: Actor | None, name: str, team: str, limit: int, offset: int) -> TeamShown:
        """Raises NotFound, also unless the actor is a member; Forbidden for an access token."""
        with self._database.reading() as session:
            organisation, is_owner = _seen(session, actor, name)
            found = organisations.find_team(session, organisation, team)
            row = TeamRow(found.name, found.about, directory.count_in_team(session, found.id))
            rows = directory.in_team(session, found.id, limit, offset)
            return TeamShown(row, _role(session, found, name), rows, is_owner)

    def create_team(self, actor: Actor, client_ip: str, name: str, team: object, about: object) -> None:
        """Raises Invalid, Conflict, NotFound or Forbidden."""
        with conflict_on_duplicate(TAKEN), self._changing(actor, name) as (session, organisation):
            organisations.create_team(session, self._context(actor, client_ip), organisation, team, about)

    def delete_team(self, actor: Actor, client_ip: str, name: str, team: str) -> None:
        """Raises NotFound or Forbidden."""
        with self._changing(actor, name) as (session, organisation):
            found = organisations.find_team(session, organisation, team)
            organisations.delete_team(session, self._context(actor, client_ip), organisation, found)

    def set_team_role(self, actor: Actor, client_ip: str, name: str, team: str, role: Role | None) -> None:
        """Grant the team a role in all repositories; None revokes it. Raises NotFound or Forbidden."""
        with self._changing(actor, name) as (session, organisation):
            found, context = organisations.find_team(session, organisation, team), self._context(actor, client_ip)
            if role is not None:
                role_assignments.grant(session, context, found, NamespaceScope(name), role)
            elif _role(session, found, name) is not None:
                role_assignments.revoke(session, context, found, NamespaceScope(name))

    def join_team(self, actor: Actor, client_ip: str, name: str, team: str, person: str) -> None:
        """Raises NotFound, Forbidden or Conflict."""
        with (
            conflict_on_duplicate("This person is already in the team"),
            self._changing(actor, name) as (session, organisation),
        ):
            found, user = organisations.find_team(session, organisation, team), directory.find_active(session, person)
            organisations.join_team(session, self._context(actor, client_ip), organisation, found, user)

    def leave_team(self, actor: Actor, client_ip: str, name: str, team: str, person: str) -> None:
        """Raises NotFound or Forbidden."""
        with self._changing(actor, name) as (session, organisation):
            found, user = organisations.find_team(session, organisation, team), directory.find_person(session, person)
            organisations.leave_team(session, self._context(actor, client_ip), organisation, found, user)

    @contextmanager
    def _changing(self, actor: Actor, name: str) -> Iterator[tuple[Session, Organisation]]:
        """A transaction with a locked organisation that the actor owns. Raises NotFound or Forbidden."""
        _require_password(actor)
        with self._database.writing() as session:
            yield session, _owned(session, actor, organisations.lock(session, name))

    def _context(self, actor: Actor, client_ip: str) -> AuditContext:
        return AuditContext(actor, client_ip, self._clock())


def _require_password(actor: Actor) -> None:
    if actor.limits is not None:
        raise Forbidden("Access tokens are not accepted for this")


def _owned(session: Session, actor: Actor, organisation: Organisation | None) -> Organisation:
    """Raises NotFound, or Forbidden unless the actor is an owner."""
    if organisation is None:
        raise NotFound("no such organisation")
    member = organisations.membership(session, organisation.id, actor.id)
    if member is None or not member.is_owner or actor.limits is not None:
        raise Forbidden("Only an owner of the organisation can do this")
    return organisation


def _settings(session: Session, found: Organisation) -> OrganisationSettings:
    profile = OrganisationProfile(found.full_name, found.about, found.website, found.member_role)
    return OrganisationSettings(profile, session.get_one(Namespace, found.name).default_private)


def _seen(session: Session, actor: Actor | None, name: str, *, hold: bool = False) -> tuple[Organisation, bool]:
    """An organisation that the actor is a member of, and whether an owner. Raises Unauthenticated, Forbidden or
    NotFound."""
    if actor is None:
        raise Unauthenticated("Requires authorization")
    _require_password(actor)
    found = organisations.lock(session, name) if hold else organisations.find(session, name)
    member = None if found is None else organisations.membership(session, found.id, actor.id)
    if found is None or (member is None and not is_administrator(actor)):
        # Administrators see members and teams, and cannot change them.
        raise NotFound("no such organisation")
    return found, member is not None and member.is_owner


def _role(session: Session, team: Team, name: str) -> Role | None:
    return next(
        (
            found.role
            for found in role_assignments.list_assignments(session, NamespaceScope(name))
            if found.team == team.name
        ),
        None,
    )
