"""Role assignments: granted to a person or a team, in a whole namespace or in one repository, and revoked.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from index_service.accounts.models import Namespace, Team, User
from index_service.audit.log import AuditContext, Change
from index_service.db import upsert
from index_service.repositories.models import Repository, RoleRecord
from index_service.repositories.policy import Role

MAX_ASSIGNMENTS = 500
"""The limit of role assignments in one repository, or in one namespace: all of them are shown on one page."""


class IneligibleAssignee(Conflict):
    """The person or team does not need the role, or may not have it."""

    field = "person"


@dataclass(frozen=True, slots=True)
class NamespaceScope:
    """All repositories of a namespace, present and future."""

    namespace: str

    @property
    def columns(self) -> dict[str, object]:
        return {"namespace": self.namespace}

    @property
    def matches(self) -> ColumnElement[bool]:
        return RoleRecord.namespace == self.namespace

    def __str__(self) -> str:
        return self.namespace


@dataclass(frozen=True, slots=True)
class RepositoryScope:
    """One repository."""

    repository: Repository

    @property
    def namespace(self) -> str:
        return self.repository.namespace

    @property
    def columns(self) -> dict[str, object]:
        return {"repository_id": self.repository.id}

    @property
    def matches(self) -> ColumnElement[bool]:
        return RoleRecord.repository_id == self.repository.id

    def __str__(self) -> str:
        return str(self.repository.full_name)


Scope = NamespaceScope | RepositoryScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A granted role: `team` is empty for a person, `person` for a team; `everywhere` for a namespace's."""

    person: str
    team: str
    full_name: str
    role: Role
    everywhere: bool
    since: datetime


def grant(session: Session, context: AuditContext, to: User | Team, scope: Scope, role: Role) -> None:
    """Grant a role, or replace the one granted before. Raises Conflict if it is not needed or not allowed."""
    _require_eligible(session, to, scope)
    _require_room(session, to, scope)
    column = "user_id" if isinstance(to, User) else "team_id"
    key = (column, *scope.columns)
    row = {column: to.id, **scope.columns, "role": str(role), "created_at": context.at}
    upsert(session, RoleRecord, [row], key=key, changed=("role",))
    context.record(session, Change.ROLE_GIVEN, str(scope), **_named(to), role=str(role))


def revoke(session: Session, context: AuditContext, of: User | Team, scope: Scope) -> None:
    """Raises NotFound if no role is assigned."""
    held = session.scalar(select(RoleRecord).where(scope.matches, _is_of(of)))
    if held is None:
        raise NotFound("no such role")
    _take(session, context, of, [held.id], str(scope), role=held.role)


def revoke_all(session: Session, context: AuditContext, user: User, namespace: str) -> None:
    """Revoke every role a person was granted directly in a namespace and its repositories."""
    repositories = select(Repository.id).where(Repository.namespace == namespace)
    there = or_(RoleRecord.namespace == namespace, RoleRecord.repository_id.in_(repositories))
    ids = list(session.scalars(select(RoleRecord.id).where(RoleRecord.user_id == user.id, there)))
    if ids:
        _take(session, context, user, ids, namespace, roles=len(ids))


def _take(
    session: Session, context: AuditContext, of: User | Team, ids: Sequence[int], where: str, **details: object
) -> None:
    session.execute(delete(RoleRecord).where(RoleRecord.id.in_(ids)))
    context.record(session, Change.ROLE_TAKEN, where, **_named(of), **details)


def revoke_from_teams(session: Session, repository: Repository) -> None:
    """Revoke the roles of teams, which lose access to a repository that moves to another namespace."""
    of_teams = (RoleRecord.repository_id == repository.id, RoleRecord.team_id.is_not(None))
    session.execute(delete(RoleRecord).where(*of_teams))


def list_assignments(session: Session, scope: Scope) -> list[Assignment]:
    """The role assignments of a scope and of its whole namespace; persons first, by name."""
    there = or_(scope.matches, RoleRecord.namespace == scope.namespace)
    rows = session.execute(
        select(RoleRecord, User, Team)
        .outerjoin(User, User.id == RoleRecord.user_id)
        .outerjoin(Team, Team.id == RoleRecord.team_id)
        .where(there)
        .order_by(User.name.is_(None), User.name, Team.name, RoleRecord.id)
    )
    return [_assignment(*row) for row in rows]


def _assignment(record: RoleRecord, user: User | None, team: Team | None) -> Assignment:
    return Assignment(
        person="" if user is None else user.name,
        team="" if team is None else team.name,
        full_name=user.full_name if user is not None else "" if team is None else team.about,
        role=Role.parse(record.role),
        everywhere=record.namespace is not None,
        since=record.created_at,
    )


def _require_eligible(session: Session, to: User | Team, scope: Scope) -> None:
    if isinstance(to, User) and to.name == scope.namespace:
        raise IneligibleAssignee("This person owns the namespace")
    if isinstance(to, Team) and not _is_own_team(session, to, scope):
        raise IneligibleAssignee("Only teams of the namespace's organisation can be granted a role")


def _require_room(session: Session, to: User | Team, scope: Scope) -> None:
    if session.scalar(select(RoleRecord.id).where(scope.matches, _is_of(to))) is not None:
        return
    if (session.scalar(select(func.count()).where(scope.matches)) or 0) >= MAX_ASSIGNMENTS:
        raise Conflict(f"Limit of {MAX_ASSIGNMENTS} role assignments reached; use a team")


def _is_own_team(session: Session, team: Team, scope: Scope) -> bool:
    own = and_(Namespace.organisation_id == team.organisation_id, Namespace.name == scope.namespace)
    return session.scalar(select(Namespace.name).where(own)) is not None


def _is_of(of: User | Team) -> ColumnElement[bool]:
    return RoleRecord.user_id == of.id if isinstance(of, User) else RoleRecord.team_id == of.id


def _named(who: User | Team) -> dict[str, object]:
    return {"person": who.name} if isinstance(who, User) else {"team": who.name}
