"""Role assignments, and the settings of repositories and namespaces."""

from __future__ import annotations

from dataclasses import dataclass

from index_service.images.quotas import QuotaUsage
from index_service.json_api.resources.summaries import RepositorySummary
from index_service.repositories import repository_stats
from index_service.repositories.role_assignments import Assignment
from index_service.services import permissions, summaries
from index_service.services.permissions import NamespaceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    """A role that a person or a team was assigned; `everywhere` in all of the namespace."""

    name: str
    is_team: bool
    full_name: str
    role: str
    everywhere: bool

    @classmethod
    def of(cls, given: Assignment) -> RoleAssignment:
        return cls(
            name=given.team or given.person,
            is_team=bool(given.team),
            full_name=given.full_name,
            role=str(given.role),
            everywhere=given.everywhere,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRoles:
    """The role assignments of a repository; `teams` are those that could be assigned one."""

    holders: tuple[RoleAssignment, ...]
    teams: tuple[str, ...]

    @classmethod
    def of(cls, found: permissions.RepositorySettings) -> RepositoryRoles:
        return cls(holders=tuple(map(RoleAssignment.of, found.given)), teams=tuple(found.teams))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a namespace has, in bytes and repositories, and how much it may have, null without a limit."""

    bytes: int
    repositories: int
    bytes_allowed: int | None
    repositories_allowed: int | None

    @classmethod
    def of(cls, usage: QuotaUsage) -> Quota:
        return cls(
            bytes=usage.bytes,
            repositories=usage.repositories,
            bytes_allowed=usage.allowed.bytes or None,
            repositories_allowed=usage.allowed.repositories or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """The role assignments of a namespace, whether its new repositories are private, and its quota, null without a
    limit."""

    default_private: bool
    holders: tuple[RoleAssignment, ...]
    teams: tuple[str, ...]
    quota: Quota | None

    @classmethod
    def of(cls, found: NamespaceSettings) -> Namespace:
        return cls(
            default_private=found.default_private,
            holders=tuple(map(RoleAssignment.of, found.given)),
            teams=tuple(found.teams),
            quota=None if found.quota is None else Quota.of(found.quota),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What is deleted with a repository; `layer_bytes` as far as sizes are known."""

    tags: int
    images: int
    stars: int
    pulls: int
    layer_bytes: int

    @classmethod
    def of(cls, found: repository_stats.RepositoryStats) -> Holdings:
        return cls(
            tags=found.tags,
            images=found.images,
            stars=found.stars,
            pulls=found.pulls,
            layer_bytes=found.layer_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettings:
    """The settings of a repository; `holders` and `teams` are empty for callers who may not manage it."""

    head: RepositorySummary
    readme: str
    source_url: str
    holdings: Holdings
    holders: tuple[RoleAssignment, ...]
    teams: tuple[str, ...]

    @classmethod
    def of(cls, head: summaries.RepositorySummary, found: permissions.RepositorySettings) -> RepositorySettings:
        return cls(
            head=RepositorySummary.of(head),
            readme=found.readme,
            source_url=found.source_url,
            holdings=Holdings.of(found.holdings),
            holders=tuple(map(RoleAssignment.of, found.given)),
            teams=tuple(found.teams),
        )
