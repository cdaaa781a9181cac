"""The pages of a person, an organisation or `library`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.names import RepositoryName
from index_service.images.quotas import QuotaUsage
from index_service.pages.forms import EMPTY, FormState
from index_service.pages.repositories import RepositoryCard
from index_service.paging import Paging
from index_service.repositories.role_assignments import Assignment
from index_service.repositories.tag_history import TagHistoryEvent
from index_service.services.profiles import PublicProfile


@dataclass(frozen=True, slots=True)
class RepositoriesPage:
    """What is pushed to a namespace, as far as the reader may see it; `starred` where it is what a person likes."""

    profile: PublicProfile
    repositories: tuple[RepositoryCard, ...]
    paging: Paging
    starred: bool = False


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """Tags set and deleted, the newest first; only images that their repository holds `shared` have a page. `number` is
    this page's, `is_more` whether another follows."""

    profile: PublicProfile
    moves: tuple[TagHistoryEvent, ...]
    shared: set[tuple[RepositoryName, str]]
    number: int
    is_more: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """A role assignment of a person or a team; `everywhere` for the whole namespace."""

    name: str
    is_team: bool
    full_name: str
    role: str
    everywhere: bool

    @classmethod
    def all(cls, given: Iterable[Assignment]) -> tuple[Holder, ...]:
        return tuple(
            cls(each.team or each.person, bool(each.team), each.full_name, str(each.role), each.everywhere)
            for each in given
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPage:
    """The role assignments of a namespace; `teams` can be granted a role, `quota` is None without a limit."""

    profile: PublicProfile
    default_private: bool
    holders: tuple[Holder, ...]
    teams: tuple[str, ...]
    quota: QuotaUsage | None
    form: FormState = EMPTY
