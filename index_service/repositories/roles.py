"""Access control: the policy applied to roles in SQL, for one repository, or as a condition that filters lists.

Both follow the policy's rules; a test compares them.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, case, false, literal, or_, select, true, union_all
from sqlalchemy.orm import Session

from common.names import LIBRARY, RepositoryName
from index_service.accounts.actor import Actor
from index_service.accounts.models import Member, Namespace, Organisation, TeamMember
from index_service.db import LIKE_ESCAPE, escape_like
from index_service.repositories.models import Repository, RoleRecord
from index_service.repositories.policy import Action, PolicyInput, RepositoryNotFound, Role, permits, require


class AccessControl:
    """Applies the policy to the database; `login_only` if nobody reads without a login."""

    def __init__(self, *, login_only: bool) -> None:
        self.login_only = login_only

    def policy_input(
        self, session: Session, actor: Actor | None, name: RepositoryName, repository: Repository | None
    ) -> PolicyInput:
        """The policy's input for one repository."""
        role = None if actor is None else role_of(session, actor, name, repository)
        is_private = repository is not None and repository.is_private
        return PolicyInput(name, repository is not None, is_private, role, self.login_only)

    def permits(self, session: Session, actor: Actor | None, repository: Repository, action: Action) -> bool:
        """Whether this is permitted; reading a public repository needs no lookup of roles."""
        public = PolicyInput(repository.full_name, True, repository.is_private, None, self.login_only)
        if permits(actor, public, action):
            return True
        return actor is not None and permits(
            actor, self.policy_input(session, actor, repository.full_name, repository), action
        )

    def require(
        self,
        session: Session,
        actor: Actor | None,
        name: RepositoryName,
        repository: Repository | None,
        action: Action,
    ) -> Repository:
        """The repository, if it exists and this is permitted. Raises as `policy.require` does."""
        if repository is None or not self.permits(session, actor, repository, action):
            require(actor, self.policy_input(session, actor, name, repository), action)
        if repository is None:
            raise RepositoryNotFound
        return repository

    def require_creatable(self, session: Session, actor: Actor | None, name: RepositoryName) -> None:
        """Raises unless the actor may create a repository of this free name; Invalid if newer clients refuse it."""
        require(actor, self.policy_input(session, actor, name, None), Action.CREATE)
        name.require_creatable()

    def administers(self, session: Session, actor: Actor | None, namespace: str) -> bool:
        """Whether the actor administers a whole namespace; never with an access token."""
        if actor is None or actor.limits is not None:
            return False
        return role_of(session, actor, RepositoryName(namespace, ""), None) is Role.ADMIN

    def owns(self, session: Session, actor: Actor, namespace: str) -> bool:
        """Whether a whole namespace is the actor's, not only entrusted to the actor; never with an access token."""
        if actor.limits is not None:
            return False
        if RepositoryName(namespace, "").is_library:
            return actor.is_admin
        return namespace == actor.name or session.scalar(_of_member(actor, namespace)) == "admin"

    def visible(self, actor: Actor | None) -> ColumnElement[bool]:
        """The repositories that `actor` may read, as a condition on Repository."""
        if actor is None:
            return self._public(actor)
        return or_(self._public(actor), and_(_given(actor), _opened(actor)))

    def visible_parts(self, session: Session, actor: Actor | None) -> list[ColumnElement[bool]]:
        """The same as two conditions, for public and for private repositories, each with an index.

        Where the actor has a role is looked up first: a database that has to find it out on the way reads everything.
        """
        if actor is None:
            return [self._public(actor)]
        namespaces, repositories = _where_given(session, actor)
        given = or_(Repository.namespace.in_(namespaces), Repository.id.in_(repositories))
        return [self._public(actor), and_(Repository.is_private.is_(True), given, _opened(actor))]

    def _public(self, actor: Actor | None) -> ColumnElement[bool]:
        is_public = Repository.is_private.is_(False)
        if not self.login_only:
            return is_public
        return false() if actor is None else and_(is_public, _opened(actor))


def role_of(session: Session, actor: Actor, name: RepositoryName, repository: Repository | None) -> Role | None:
    """The highest role in the repository, or in its namespace if absent; ignores an access token's limits."""
    if name.is_library:
        if actor.is_admin:
            return Role.ADMIN
    elif name.namespace == actor.name:
        return Role.ADMIN
    given = [_of_member(actor, name.namespace), _of_roles(actor, name.namespace, repository)]
    roles = [Role.parse(text) for (text,) in session.execute(union_all(*given)) if text]
    return max(roles, default=None)


def _of_member(actor: Actor, namespace: str) -> Select[str]:
    return (
        select(case((Member.is_owner, literal("admin")), else_=Organisation.member_role))
        .join(Organisation, Organisation.id == Member.organisation_id)
        .join(Namespace, Namespace.organisation_id == Organisation.id)
        .where(Namespace.name == namespace, Member.user_id == actor.id)
    )


def _of_roles(actor: Actor, namespace: str, repository: Repository | None) -> Select[str]:
    of_it: ColumnElement[bool] = RoleRecord.namespace == namespace
    if repository is not None:
        of_it = or_(of_it, RoleRecord.repository_id == repository.id)
    return select(RoleRecord.role).where(of_it, _is_mine(actor))


def _is_mine(actor: Actor) -> ColumnElement[bool]:
    teams = select(TeamMember.team_id).where(TeamMember.user_id == actor.id)
    return or_(RoleRecord.user_id == actor.id, RoleRecord.team_id.in_(teams))


def _given(actor: Actor) -> ColumnElement[bool]:
    """The repositories in which the actor has any role."""
    return or_(
        Repository.namespace.in_(_own(actor)),
        Repository.namespace.in_(_given_namespaces(actor)),
        Repository.id.in_(_given_repositories(actor)),
    )


def _where_given(session: Session, actor: Actor) -> tuple[list[str], list[int]]:
    """The namespaces and the repositories' ids in which the actor has any role."""
    namespaces = [name for (name,) in session.execute(_given_namespaces(actor))]
    return [*_own(actor), *namespaces], list(session.scalars(_given_repositories(actor)))


def _own(actor: Actor) -> list[str]:
    return [actor.name, LIBRARY] if actor.is_admin else [actor.name]


def _given_namespaces(actor: Actor) -> CompoundSelect[str]:
    of_organisations = (
        select(Namespace.name)
        .join(Organisation, Organisation.id == Namespace.organisation_id)
        .join(Member, Member.organisation_id == Organisation.id)
        .where(Member.user_id == actor.id, or_(Member.is_owner, Organisation.member_role != ""))
    )
    of_roles = select(RoleRecord.namespace).where(RoleRecord.namespace.is_not(None), _is_mine(actor))
    return union_all(of_organisations, of_roles)


def _given_repositories(actor: Actor) -> Select[int | None]:
    return select(RoleRecord.repository_id).where(RoleRecord.repository_id.is_not(None), _is_mine(actor))


def _opened(actor: Actor) -> ColumnElement[bool]:
    """The repositories that the actor's access token opens."""
    if actor.limits is None:
        return true()
    full = Repository.namespace + "/" + Repository.name
    return full.like(escape_like(actor.limits.pattern).replace("*", "%"), escape=LIKE_ESCAPE)
