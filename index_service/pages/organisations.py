"""The pages of organisations."""

from __future__ import annotations

from dataclasses import dataclass

from index_service.accounts.directory import MemberRow, TeamMemberRow, TeamRow
from index_service.pages.forms import EMPTY, FormState
from index_service.paging import Paging
from index_service.services.profiles import PublicProfile


@dataclass(frozen=True, slots=True)
class NewOrganisationPage:
    """The form for another organisation."""

    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Owners first; `may_change` says whether the reader is one."""

    profile: PublicProfile
    members: tuple[MemberRow, ...]
    paging: Paging
    may_change: bool
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class TeamsPage:
    """By name."""

    profile: PublicProfile
    teams: tuple[TeamRow, ...]
    paging: Paging
    may_change: bool
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamPage:
    """One team; `role` is what it may do with all repositories of the organisation, empty for nothing."""

    profile: PublicProfile
    team: TeamRow
    role: str
    members: tuple[TeamMemberRow, ...]
    paging: Paging
    may_change: bool
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class OrganisationSettingsPage:
    """What an owner may change; `member_role` is what every member may do, empty for nothing."""

    profile: PublicProfile
    member_role: str
    default_private: bool
    form: FormState = EMPTY
