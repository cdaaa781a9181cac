"""Permissions and settings of a repository or a namespace: roles, visibility, name and texts.

Each method is one request, served within a short transaction or refused by the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from sqlalchemy.orm import Session

from common.errors import Forbidden, NotFound
from common.names import RepositoryName
from index_service.accounts import directory, organisations
from index_service.accounts.actor import Actor
from index_service.accounts.models import Namespace, Team, User
from index_service.audit.log import AuditContext
from index_service.database import Database, conflict_on_duplicate
from index_service.db import Clock
from index_service.images.quotas import Quotas, QuotaUsage
from index_service.repositories import catalogue, repository_settings, repository_stats, role_assignments
from index_service.repositories.models import Repository
from index_service.repositories.policy import Action, Role
from index_service.repositories.repository_settings import Texts
from index_service.repositories.repository_stats import RepositoryStats
from index_service.repositories.role_assignments import Assignment, NamespaceScope, RepositoryScope, Scope
from index_service.repositories.roles import AccessControl
from index_service.search import documents
from index_service.services import former_names

TAKEN = "This name is taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettings:
    """All settings of a repository; those that only its administrators see are empty for other writers."""

    name: RepositoryName
    description: str
    readme: str
    source_url: str
    is_private: bool
    may_manage: bool
    holdings: RepositoryStats
    given: list[Assignment]
    teams: list[str]


@dataclass(frozen=True, slots=True)
class NamespaceSettings:
    """The settings and role assignments of a namespace; `teams` are those of its organisation, and `quota` is None
    without a limit."""

    default_private: bool
    given: list[Assignment]
    teams: list[str]
    quota: QuotaUsage | None


@dataclass(frozen=True, slots=True)
class Grantee:
    """The grantee of a role: a person, or a team of the namespace's organisation, by name."""

    name: str
    is_team: bool = False


class Permissions:
    """The requests of the settings pages."""

    def __init__(
        self, database: Database, access_control: AccessControl, quotas: Quotas, wake_up: Event, clock: Clock
    ) -> None:
        """`wake_up` is set when a job for a registry is enqueued."""
        self._database = database
        self._access_control = access_control
        self._quotas = quotas
        self._wake_up = wake_up
        self._clock = clock

    def settings(self, actor: Actor, name: RepositoryName, action: Action = Action.WRITE) -> RepositorySettings:
        """The settings, for an actor who may change the texts or has `action`. Raises as the policy does."""
        with self._database.reading() as session:
            found = self._access_control.require(session, actor, name, catalogue.find(session, name), action)
            manages = self._access_control.permits(session, actor, found, Action.MANAGE)
            return RepositorySettings(
                name=name,
                description=found.description,
                readme=found.readme,
                source_url=found.source_url,
                is_private=found.is_private,
                may_manage=manages,
                holdings=repository_stats.repository_stats(session, found),
                given=role_assignments.list_assignments(session, RepositoryScope(found)) if manages else [],
                teams=_teams(session, name.namespace) if manages else [],
            )

    def manages(self, actor: Actor, name: RepositoryName) -> bool:
        """Whether the repository exists and the actor administers it."""
        with self._database.reading() as session:
            found = catalogue.find(session, name)
            return found is not None and self._access_control.permits(session, actor, found, Action.MANAGE)

    def describe(self, actor: Actor, name: RepositoryName, texts: Texts) -> None:
        """Change the texts, which requires write access. Raises Invalid."""
        with self._changing(actor, name, Action.WRITE) as (session, repository):
            repository_settings.set_texts(repository, texts, self._clock())
            documents.refresh(session, repository.id)

    def change(
        self,
        actor: Actor,
        client_ip: str,
        name: RepositoryName,
        texts: Texts,
        *,
        is_private: bool | None = None,
    ) -> None:
        """Change all that is not None, or nothing; visibility requires an administrator. Raises Invalid."""
        action = Action.WRITE if is_private is None else Action.MANAGE
        with self._changing(actor, name, action) as (session, repository):
            repository_settings.set_texts(repository, texts, self._clock())
            documents.refresh(session, repository.id)
            if is_private is not None:
                repository_settings.set_private(
                    session, self._context(actor, client_ip), repository, is_private=is_private
                )

    def set_private(self, actor: Actor, client_ip: str, name: RepositoryName, *, is_private: bool) -> None:
        """Make the repository private or public."""
        with self._changing(actor, name) as (session, repository):
            repository_settings.set_private(session, self._context(actor, client_ip), repository, is_private=is_private)

    def grant_role(self, actor: Actor, client_ip: str, name: RepositoryName, to: Grantee, role: Role) -> None:
        """Raises NotFound for an unknown grantee, or Conflict for one that may not have a role."""
        with self._changing(actor, name) as (session, repository):
            _grant(session, self._context(actor, client_ip), RepositoryScope(repository), to, role)

    def revoke_role(self, actor: Actor, client_ip: str, name: RepositoryName, of: Grantee) -> None:
        """Raises NotFound if no role is assigned."""
        with self._changing(actor, name) as (session, repository):
            _revoke(session, self._context(actor, client_ip), RepositoryScope(repository), of)

    def transfer(self, actor: Actor, client_ip: str, name: RepositoryName, target: RepositoryName) -> None:
        """Rename the repository, here and at the registry; the roles of teams do not follow to another namespace.

        Out of its namespace it is moved only by an owner of that, since its owners lose it, and into one whose quota
        permits it. Raises Invalid, Conflict or Forbidden, and as the policy does where the target may not be taken.
        """
        with conflict_on_duplicate(TAKEN), self._changing(actor, name) as (session, repository):
            if target.namespace != name.namespace and not self._access_control.owns(session, actor, name.namespace):
                raise Forbidden("Only an owner of the namespace can move a repository out of it")
            self._access_control.require_creatable(session, actor, target)
            if target.namespace != name.namespace:
                self._quotas.require_room(session, target)
                self._quotas.require_bytes(session, target.namespace)
            former_names.rename(session, self._context(actor, client_ip), repository, target)
        self._wake_up.set()

    def namespace(self, actor: Actor, namespace: str) -> NamespaceSettings:
        """Raises Forbidden unless the actor administers the namespace."""
        with self._database.reading() as session:
            self._require_administrator(session, actor, namespace)
            default = session.get_one(Namespace, namespace).default_private
            return NamespaceSettings(
                default,
                role_assignments.list_assignments(session, NamespaceScope(namespace)),
                _teams(session, namespace),
                self._quotas.shown(session, namespace),
            )

    def set_default(self, actor: Actor, client_ip: str, namespace: str, *, is_private: bool) -> None:
        """Set the visibility of new repositories in the namespace. Raises Forbidden."""
        with self._administering(actor, namespace) as session:
            repository_settings.set_default_visibility(
                session, self._context(actor, client_ip), namespace, is_private=is_private
            )

    def grant_namespace_role(self, actor: Actor, client_ip: str, namespace: str, to: Grantee, role: Role) -> None:
        """Grant a role in a whole namespace. Raises Forbidden, NotFound or Conflict."""
        with self._administering(actor, namespace) as session:
            _grant(session, self._context(actor, client_ip), NamespaceScope(namespace), to, role)

    def revoke_namespace_role(self, actor: Actor, client_ip: str, namespace: str, of: Grantee) -> None:
        """Raises Forbidden or NotFound."""
        with self._administering(actor, namespace) as session:
            _revoke(session, self._context(actor, client_ip), NamespaceScope(namespace), of)

    @contextmanager
    def _changing(
        self, actor: Actor, name: RepositoryName, action: Action = Action.MANAGE
    ) -> Iterator[tuple[Session, Repository]]:
        with self._database.writing() as session:
            yield session, self._access_control.require(session, actor, name, catalogue.lock(session, name), action)

    @contextmanager
    def _administering(self, actor: Actor, namespace: str) -> Iterator[Session]:
        with self._database.writing() as session:
            self._require_administrator(session, actor, namespace)
            yield session

    def _require_administrator(self, session: Session, actor: Actor, namespace: str) -> None:
        if not self._access_control.administers(session, actor, namespace):
            raise Forbidden("Only an administrator of the namespace can do this")

    def _context(self, actor: Actor, client_ip: str) -> AuditContext:
        return AuditContext(actor, client_ip, self._clock())


def _grant(session: Session, context: AuditContext, scope: Scope, to: Grantee, role: Role) -> None:
    role_assignments.grant(session, context, _grantee(session, scope, to, directory.find_active), scope, role)


def _revoke(session: Session, context: AuditContext, scope: Scope, of: Grantee) -> None:
    role_assignments.revoke(session, context, _grantee(session, scope, of, directory.find_person), scope)


def _grantee(session: Session, scope: Scope, who: Grantee, find: Callable[[Session, str], User]) -> User | Team:
    if not who.is_team:
        return find(session, who.name)
    organisation = organisations.find(session, scope.namespace)
    if organisation is None:
        raise NotFound("no such team")
    return organisations.find_team(session, organisation, who.name)


def _teams(session: Session, namespace: str) -> list[str]:
    organisation = organisations.find(session, namespace)
    return [] if organisation is None else directory.team_names(session, organisation.id)
