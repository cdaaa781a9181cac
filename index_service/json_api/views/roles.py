"""Who may do what: with one repository, or with all of a namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from common.names import RepositoryName
from index_service.json_api.asking import address, by_password, known, proved, services
from index_service.json_api.routes import Routes
from index_service.pages.people import Holder
from index_service.pages.repository_settings import RepositorySettingsPage
from index_service.repositories.policy import Action, Role
from index_service.services.permissions import Receiver

routes = Routes("roles")


@dataclass(frozen=True, slots=True)
class RoleBody:
    """What somebody may do; each role holds those before it."""

    role: Literal["read", "write", "admin"]


@dataclass(frozen=True, slots=True)
class Roles:
    """Who was given a role; `teams` could be given one too."""

    holders: tuple[Holder, ...]
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamespaceRoles:
    """Who was given a role in all of a namespace, and whether what is pushed under a new name is private."""

    default_private: bool
    holders: tuple[Holder, ...]
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamespaceChange:
    """What is to be changed of a namespace."""

    default_private: bool


@routes.get("/repositories/<named:repository>/@settings", who=known)
def get_settings(repository: str) -> RepositorySettingsPage:
    """All that can be changed of a repository. Open to all who may write; roles are shown to its administrators."""
    name = RepositoryName.parse(repository)
    settings = services().permissions.settings(known(), name)
    return RepositorySettingsPage.of(services().summaries.of(known(), name), settings)


@routes.get("/repositories/<named:repository>/@roles", who=known)
def list_roles(repository: str) -> Roles:
    """Who may do what with a repository. Open to its administrators."""
    found = services().permissions.settings(known(), RepositoryName.parse(repository), Action.MANAGE)
    return Roles(Holder.all(found.given), tuple(found.teams))


@routes.put("/repositories/<named:repository>/@roles/people/<someone:person>", who=proved)
def give_role(repository: str, person: str, body: RoleBody) -> None:
    """Give a person a role, or another instead of the one there is."""
    _give(repository, Receiver(person), body)


@routes.delete("/repositories/<named:repository>/@roles/people/<someone:person>", who=proved)
def take_role(repository: str, person: str) -> None:
    """Take a person's role."""
    _take(repository, Receiver(person))


@routes.put("/repositories/<named:repository>/@roles/teams/<someone:team>", who=proved)
def give_team_role(repository: str, team: str, body: RoleBody) -> None:
    """Give a team of the namespace's organisation a role, or another instead of the one there is."""
    _give(repository, Receiver(team, is_team=True), body)


@routes.delete("/repositories/<named:repository>/@roles/teams/<someone:team>", who=proved)
def take_team_role(repository: str, team: str) -> None:
    """Take a team's role."""
    _take(repository, Receiver(team, is_team=True))


@routes.get("/namespaces/<someone:namespace>", who=by_password)
def get_namespace(namespace: str) -> NamespaceRoles:
    """Who may do what with all of a namespace. Open to whoever may do everything there."""
    found = services().permissions.namespace(by_password(), namespace)
    return NamespaceRoles(found.default_private, Holder.all(found.given), tuple(found.teams))


@routes.patch("/namespaces/<someone:namespace>", who=proved)
def change_namespace(namespace: str, body: NamespaceChange) -> None:
    """Say who may see what is pushed there under a new name."""
    services().permissions.set_default(proved(), address(), namespace, is_private=body.default_private)


@routes.put("/namespaces/<someone:namespace>/roles/people/<someone:person>", who=proved)
def give_role_everywhere(namespace: str, person: str, body: RoleBody) -> None:
    """Give a person a role in all of a namespace, or another instead of the one there is."""
    _give_everywhere(namespace, Receiver(person), body)


@routes.delete("/namespaces/<someone:namespace>/roles/people/<someone:person>", who=proved)
def take_role_everywhere(namespace: str, person: str) -> None:
    """Take a person's role in all of a namespace."""
    services().permissions.take_everywhere(proved(), address(), namespace, Receiver(person))


@routes.put("/namespaces/<someone:namespace>/roles/teams/<someone:team>", who=proved)
def give_team_role_everywhere(namespace: str, team: str, body: RoleBody) -> None:
    """Give a team a role in all of its organisation's namespace, or another instead of the one there is."""
    _give_everywhere(namespace, Receiver(team, is_team=True), body)


@routes.delete("/namespaces/<someone:namespace>/roles/teams/<someone:team>", who=proved)
def take_team_role_everywhere(namespace: str, team: str) -> None:
    """Take a team's role in all of its organisation's namespace."""
    services().permissions.take_everywhere(proved(), address(), namespace, Receiver(team, is_team=True))


def _give(repository: str, to: Receiver, body: RoleBody) -> None:
    name = RepositoryName.parse(repository)
    services().permissions.give(proved(), address(), name, to, Role.parse(body.role))


def _take(repository: str, of: Receiver) -> None:
    services().permissions.take(proved(), address(), RepositoryName.parse(repository), of)


def _give_everywhere(namespace: str, to: Receiver, body: RoleBody) -> None:
    services().permissions.give_everywhere(proved(), address(), namespace, to, Role.parse(body.role))
