"""Role assignments and settings, of one repository or of a whole namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from common.names import RepositoryName
from index_service.current import services
from index_service.json_api.requester import by_password, client_address, known, proved
from index_service.json_api.resources.roles import Namespace, RepositoryRoles, RepositorySettings
from index_service.json_api.routes import Routes
from index_service.repositories.policy import Action, Role
from index_service.services.permissions import Grantee

routes = Routes("roles")


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A role; each includes those before it."""

    role: Literal["read", "write", "admin"]


@dataclass(frozen=True, slots=True)
class NamespaceChange:
    """Whether what is pushed to a namespace under a new name is private."""

    default_private: bool


@routes.get("/repositories/<named:repository>/@settings", who=known)
def get_settings(repository: str) -> RepositorySettings:
    """Get the settings of a repository. Open to all who may write; roles are shown to its administrators."""
    name = RepositoryName.parse(repository)
    settings = services().permissions.settings(known(), name)
    return RepositorySettings.of(services().summaries.of(known(), name), settings)


@routes.get("/repositories/<named:repository>/@roles", who=known)
def list_roles(repository: str) -> RepositoryRoles:
    """List the roles in a repository. Open to its administrators."""
    found = services().permissions.settings(known(), RepositoryName.parse(repository), Action.MANAGE)
    return RepositoryRoles.of(found)


@routes.put("/repositories/<named:repository>/@roles/people/<someone:person>", who=proved)
def give_role(repository: str, person: str, body: RoleChange) -> None:
    """Set the role of a person in a repository."""
    _give(repository, Grantee(person), body)


@routes.delete("/repositories/<named:repository>/@roles/people/<someone:person>", who=proved)
def take_role(repository: str, person: str) -> None:
    """Remove the role of a person in a repository."""
    _take(repository, Grantee(person))


@routes.put("/repositories/<named:repository>/@roles/teams/<someone:team>", who=proved)
def give_team_role(repository: str, team: str, body: RoleChange) -> None:
    """Set the role of a team in a repository of its organisation."""
    _give(repository, Grantee(team, is_team=True), body)


@routes.delete("/repositories/<named:repository>/@roles/teams/<someone:team>", who=proved)
def take_team_role(repository: str, team: str) -> None:
    """Remove the role of a team in a repository."""
    _take(repository, Grantee(team, is_team=True))


@routes.get("/namespaces/<someone:namespace>", who=by_password)
def get_namespace(namespace: str) -> Namespace:
    """List the roles in all of a namespace. Open to those who may manage it."""
    return Namespace.of(services().permissions.namespace(by_password(), namespace))


@routes.patch("/namespaces/<someone:namespace>", who=proved)
def change_namespace(namespace: str, body: NamespaceChange) -> None:
    """Set the visibility of new repositories in a namespace."""
    services().permissions.set_default(proved(), client_address(), namespace, is_private=body.default_private)


@routes.put("/namespaces/<someone:namespace>/roles/people/<someone:person>", who=proved)
def give_role_everywhere(namespace: str, person: str, body: RoleChange) -> None:
    """Set the role of a person in all of a namespace."""
    _give_everywhere(namespace, Grantee(person), body)


@routes.delete("/namespaces/<someone:namespace>/roles/people/<someone:person>", who=proved)
def take_role_everywhere(namespace: str, person: str) -> None:
    """Remove the role of a person in all of a namespace."""
    services().permissions.revoke_namespace_role(proved(), client_address(), namespace, Grantee(person))


@routes.put("/namespaces/<someone:namespace>/roles/teams/<someone:team>", who=proved)
def give_team_role_everywhere(namespace: str, team: str, body: RoleChange) -> None:
    """Set the role of a team in all of its organisation's namespace."""
    _give_everywhere(namespace, Grantee(team, is_team=True), body)


@routes.delete("/namespaces/<someone:namespace>/roles/teams/<someone:team>", who=proved)
def take_team_role_everywhere(namespace: str, team: str) -> None:
    """Remove the role of a team in all of its organisation's namespace."""
    services().permissions.revoke_namespace_role(proved(), client_address(), namespace, Grantee(team, is_team=True))


def _give(repository: str, to: Grantee, body: RoleChange) -> None:
    name = RepositoryName.parse(repository)
    services().permissions.grant_role(proved(), client_address(), name, to, Role.parse(body.role))


def _take(repository: str, of: Grantee) -> None:
    services().permissions.revoke_role(proved(), client_address(), RepositoryName.parse(repository), of)


def _give_everywhere(namespace: str, to: Grantee, body: RoleChange) -> None:
    services().permissions.grant_namespace_role(proved(), client_address(), namespace, to, Role.parse(body.role))
