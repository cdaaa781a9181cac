"""Organisations, their members and their teams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flask import request

from index_service.accounts.directory import MemberRow, TeamMemberRow, TeamRow
from index_service.accounts.organisations import Profile
from index_service.json_api.answers import Listing
from index_service.json_api.asking import address, by_password, proved, services
from index_service.json_api.routes import Routes, paged
from index_service.json_api.shapes import ABSENT, Absent
from index_service.pages import paging
from index_service.repositories.policy import Role
from index_service.services.organisations import OrganisationSettings
from index_service.services.profiles import Shown

routes = Routes("organisations")

MemberRole = Literal["read", "write", "none"]


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """An organisation to be made; `member_role` is what every member may do with all its repositories."""

    name: str
    full_name: str = ""
    about: str = ""
    website: str = ""
    member_role: MemberRole = "read"


@dataclass(frozen=True, slots=True)
class OrganisationChange:
    """What is to be changed of an organisation; what is left out stays as it is."""

    full_name: str | Absent = ABSENT
    about: str | Absent = ABSENT
    website: str | Absent = ABSENT
    member_role: MemberRole | Absent = ABSENT
    default_private: bool | Absent = ABSENT


@dataclass(frozen=True, slots=True)
class OrganisationTold:
    """What an owner may change; `default_private` says who may see what is pushed under a new name."""

    name: str
    full_name: str
    about: str
    website: str
    member_role: MemberRole
    default_private: bool


@dataclass(frozen=True, slots=True)
class PersonBody:
    """A person, by name."""

    person: str


@dataclass(frozen=True, slots=True)
class MemberChange:
    """Whether a member is an owner of the organisation."""

    is_owner: bool


@dataclass(frozen=True, slots=True)
class NewTeam:
    """A team to be made."""

    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class TeamTold:
    """A team; `role` is what it may do with all repositories of the organisation."""

    name: str
    about: str
    members: int
    role: Literal["none", "read", "write", "admin"]


@dataclass(frozen=True, slots=True)
class TeamChange:
    """What a team may do with all repositories of the organisation."""

    role: Literal["none", "read", "write", "admin"]


@routes.post("/organisations", who=by_password)
def create_organisation(body: NewOrganisation) -> Shown:
    """Make an organisation, and own it."""
    profile = Profile(body.full_name, body.about, body.website, _stored(body.member_role))
    services().organisations.create(by_password(), address(), body.name, profile)
    return services().profiles.shown(by_password(), body.name)


@routes.get("/organisations/<someone:name>", who=by_password)
def get_organisation(name: str) -> OrganisationTold:
    """What an organisation says of itself and lets its members do. Open to its owners; others ask for its profile."""
    return _told(name, services().organisations.settings(by_password(), name))


@routes.patch("/organisations/<someone:name>", who=proved)
def change_organisation(name: str, body: OrganisationChange) -> OrganisationTold:
    """Change an organisation. Open to its owners."""
    services().organisations.revise(proved(), address(), name, lambda now: _changed(now, body))
    return _told(name, services().organisations.settings(proved(), name))


@routes.get("/organisations/<someone:name>/members", who=by_password, query=paged())
def list_members(name: str) -> Listing[MemberRow]:
    """The members, owners first. Open to members."""
    asked = paging.asked(request.args)
    found = services().organisations.members(by_password(), name, asked.size, asked.offset)
    return Listing.of(asked.of(found.total), found.rows)


@routes.post("/organisations/<someone:name>/members", who=proved)
def add_member(name: str, body: PersonBody) -> None:
    """Make a person a member. Open to owners."""
    services().organisations.add_member(proved(), address(), name, body.person)


@routes.patch("/organisations/<someone:name>/members/<someone:person>", who=proved)
def change_member(name: str, person: str, body: MemberChange) -> None:
    """Make a member an owner, or an owner a member. Open to owners."""
    services().organisations.set_owner(proved(), address(), name, person, is_owner=body.is_owner)


@routes.delete("/organisations/<someone:name>/members/<someone:person>", who=proved)
def remove_member(name: str, person: str) -> None:
    """Remove a member, and every role of that person in the namespace. Open to owners, and to everybody for oneself."""
    services().organisations.remove_member(proved(), address(), name, person)


@routes.get("/organisations/<someone:name>/teams", who=by_password, query=paged())
def list_teams(name: str) -> Listing[TeamRow]:
    """The teams, by name. Open to members."""
    asked = paging.asked(request.args)
    found = services().organisations.teams(by_password(), name, asked.size, asked.offset)
    return Listing.of(asked.of(found.total), found.rows)


@routes.post("/organisations/<someone:name>/teams", who=proved)
def create_team(name: str, body: NewTeam) -> TeamTold:
    """Make a team. Open to owners."""
    services().organisations.create_team(proved(), address(), name, body.name, body.about)
    return _team(name, body.name)


@routes.get("/organisations/<someone:name>/teams/<someone:team>", who=by_password)
def get_team(name: str, team: str) -> TeamTold:
    """A team, and what it may do. Open to members of the organisation."""
    return _team(name, team)


@routes.patch("/organisations/<someone:name>/teams/<someone:team>", who=proved)
def change_team(name: str, team: str, body: TeamChange) -> TeamTold:
    """Say what a team may do with all repositories of the organisation. Open to owners."""
    role = None if body.role == "none" else Role.parse(body.role)
    services().organisations.set_team_role(proved(), address(), name, team, role)
    return _team(name, team)


@routes.delete("/organisations/<someone:name>/teams/<someone:team>", who=proved)
def delete_team(name: str, team: str) -> None:
    """Delete a team, and every role it was given. Open to owners."""
    services().organisations.delete_team(proved(), address(), name, team)


@routes.get("/organisations/<someone:name>/teams/<someone:team>/members", who=by_password, query=paged())
def list_team_members(name: str, team: str) -> Listing[TeamMemberRow]:
    """Who is in a team, by name. Open to members of the organisation."""
    asked = paging.asked(request.args)
    found = services().organisations.team(by_password(), name, team, asked.size, asked.offset)
    return Listing.of(asked.of(found.team.members), found.rows)


@routes.put("/organisations/<someone:name>/teams/<someone:team>/members/<someone:person>", who=proved)
def join_team(name: str, team: str, person: str) -> None:
    """Put a member of the organisation into a team. Open to owners."""
    services().organisations.join_team(proved(), address(), name, team, person)


@routes.delete("/organisations/<someone:name>/teams/<someone:team>/members/<someone:person>", who=proved)
def leave_team(name: str, team: str, person: str) -> None:
    """Take a person out of a team. Open to owners."""
    services().organisations.leave_team(proved(), address(), name, team, person)


def _team(name: str, team: str) -> TeamTold:
    found = services().organisations.team(by_password(), name, team, 1, 0)
    role = "none" if found.role is None else str(found.role)
    return TeamTold(found.team.name, found.team.about, found.team.members, role)  # type: ignore[arg-type]


def _changed(now: OrganisationSettings, body: OrganisationChange) -> OrganisationSettings:
    profile = Profile(
        now.profile.full_name if body.full_name is ABSENT else body.full_name,
        now.profile.about if body.about is ABSENT else body.about,
        now.profile.website if body.website is ABSENT else body.website,
        now.profile.member_role if body.member_role is ABSENT else _stored(body.member_role),
    )
    return OrganisationSettings(
        profile, now.default_private if body.default_private is ABSENT else body.default_private
    )


def _told(name: str, found: OrganisationSettings) -> OrganisationTold:
    kept = found.profile
    role: MemberRole = "write" if kept.member_role == "write" else "read" if kept.member_role == "read" else "none"
    return OrganisationTold(name, kept.full_name, kept.about, kept.website, role, found.default_private)


def _stored(role: MemberRole) -> str:
    return "" if role == "none" else role
