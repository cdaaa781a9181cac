"""Organisations, their members and their teams."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from index_service.accounts.directory import MemberRow, TeamMemberRow, TeamRow
from index_service.services.organisations import OrganisationSettings, TeamShown

MemberRole = Literal["read", "write", "none"]
TeamRole = Literal["none", "read", "write", "admin"]

_MEMBER_ROLES: dict[str, MemberRole] = {"read": "read", "write": "write"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """The settings of an organisation; `default_private` is the visibility of new repositories."""

    name: str
    full_name: str
    about: str
    website: str
    member_role: MemberRole
    default_private: bool

    @classmethod
    def of(cls, name: str, found: OrganisationSettings) -> Organisation:
        return cls(
            name=name,
            full_name=found.profile.full_name,
            about=found.profile.about,
            website=found.profile.website,
            member_role=_MEMBER_ROLES.get(found.profile.member_role, "none"),
            default_private=found.default_private,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of an organisation."""

    name: str
    full_name: str
    is_owner: bool
    is_active: bool
    since: datetime

    @classmethod
    def of(cls, row: MemberRow) -> Member:
        return cls(
            name=row.name,
            full_name=row.full_name,
            is_owner=row.is_owner,
            is_active=row.is_active,
            since=row.since,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamListItem:
    """A team of an organisation; `members` counts them."""

    name: str
    about: str
    members: int

    @classmethod
    def of(cls, row: TeamRow) -> TeamListItem:
        return cls(name=row.name, about=row.about, members=row.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team; `role` is what it may do with all repositories of the organisation."""

    name: str
    about: str
    members: int
    role: TeamRole

    @classmethod
    def of(cls, found: TeamShown) -> Team:
        role: TeamRole = "none" if found.role is None else str(found.role)  # type: ignore[assignment]
        return cls(name=found.team.name, about=found.team.about, members=found.team.members, role=role)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMember:
    """A person in a team."""

    name: str
    full_name: str

    @classmethod
    def of(cls, row: TeamMemberRow) -> TeamMember:
        return cls(name=row.name, full_name=row.full_name)
