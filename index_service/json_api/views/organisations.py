"""Organisations, their members and their teams."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from index_service import paging
from index_service.accounts import organisations
from index_service.current import services
from index_service.json_api.bodies import UNSET, UnsetType
from index_service.json_api.requester import by_password, client_address, proved
from index_service.json_api.resources.lists import Page
from index_service.json_api.resources.organisations import (
    Member,
    MemberRole,
    Organisation,
    Team,
    TeamListItem,
    TeamMember,
    TeamRole,
)
from index_service.json_api.resources.people import Profile
from index_service.json_api.routes import Routes, paged
from index_service.repositories.policy import Role
from index_service.services.organisations import OrganisationSettings

routes = Routes("organisations")


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """An organisation to create; `member_role` is what every member may do with all its repositories."""

    name: str
    full_name: str = ""
    about: str = ""
    website: str = ""
    member_role: MemberRole = "read"


@dataclass(frozen=True, slots=True)
class OrganisationChange:
    """Changes to an organisation; what is left out stays as it is."""

    full_name: str | UnsetType = UNSET
    about: str | UnsetType = UNSET
    website: str | UnsetType = UNSET
    member_role: MemberRole | UnsetType = UNSET
    default_private: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class NewMember:
    """A person to add to an organisation."""

    person: str


@dataclass(frozen=True, slots=True)
class MemberChange:
    """Whether a member is an owner of the organisation."""

    is_owner: bool


@dataclass(frozen=True, slots=True)
class NewTeam:
    """A team to create."""

    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class TeamChange:
    """What a team may do with all repositories of the organisation."""

    role: TeamRole


@routes.post("/organisations", who=by_password)
def create_organisation(body: NewOrganisation) -> Profile:
    """Create an organisation. The caller owns it."""
    profile = organisations.OrganisationProfile(body.full_name, body.about, body.website, _stored(body.member_role))
    services().organisations.create(by_password(), client_address(), body.name, profile)
    return Profile.of(services().profiles.shown(by_password(), body.name))


@routes.get("/organisations/<someone:name>", who=by_password)
def get_organisation(name: str) -> Organisation:
    """Get the settings of an organisation. Open to its owners; others get its profile."""
    return Organisation.of(name, services().organisations.settings(by_password(), name))


@routes.patch("/organisations/<someone:name>", who=proved)
def change_organisation(name: str, body: OrganisationChange) -> Organisation:
    """Edit an organisation. Open to its owners."""
    services().organisations.revise(proved(), client_address(), name, lambda now: _changed(now, body))
    return Organisation.of(name, services().organisations.settings(proved(), name))


@routes.get("/organisations/<someone:name>/members", who=by_password, query=paged())
def list_members(name: str) -> Page[Member]:
    """List the members of an organisation, owners first. Open to members."""
    asked = paging.asked(request.args)
    found = services().organisations.members(by_password(), name, asked.size, asked.offset)
    return Page.of(asked.of(found.total), map(Member.of, found.rows))


@routes.post("/organisations/<someone:name>/members", who=proved)
def add_member(name: str, body: NewMember) -> None:
    """Add a member to an organisation. Open to owners."""
    services().organisations.add_member(proved(), client_address(), name, body.person)


@routes.patch("/organisations/<someone:name>/members/<someone:person>", who=proved)
def change_member(name: str, person: str, body: MemberChange) -> None:
    """Make a member an owner of an organisation, or an owner a member. Open to owners."""
    services().organisations.set_owner(proved(), client_address(), name, person, is_owner=body.is_owner)


@routes.delete("/organisations/<someone:name>/members/<someone:person>", who=proved)
def remove_member(name: str, person: str) -> None:
    """Remove a member from an organisation, with all roles of that person in the namespace. Open to owners, and to
    every member for themselves."""
    services().organisations.remove_member(proved(), client_address(), name, person)


@routes.get("/organisations/<someone:name>/teams", who=by_password, query=paged())
def list_teams(name: str) -> Page[TeamListItem]:
    """List the teams of an organisation, by name. Open to members."""
    asked = paging.asked(request.args)
    found = services().organisations.teams(by_password(), name, asked.size, asked.offset)
    return Page.of(asked.of(found.total), map(TeamListItem.of, found.rows))


@routes.post("/organisations/<someone:name>/teams", who=proved)
def create_team(name: str, body: NewTeam) -> Team:
    """Create a team. Open to owners."""
    services().organisations.create_team(proved(), client_address(), name, body.name, body.about)
    return _team(name, body.name)


@routes.get("/organisations/<someone:name>/teams/<someone:team>", who=by_password)
def get_team(name: str, team: str) -> Team:
    """Get a team and its role. Open to members of the organisation."""
    return _team(name, team)


@routes.patch("/organisations/<someone:name>/teams/<someone:team>", who=proved)
def change_team(name: str, team: str, body: TeamChange) -> Team:
    """Set the role of a team in all repositories of the organisation. Open to owners."""
    role = None if body.role == "none" else Role.parse(body.role)
    services().organisations.set_team_role(proved(), client_address(), name, team, role)
    return _team(name, team)


@routes.delete("/organisations/<someone:name>/teams/<someone:team>", who=proved)
def delete_team(name: str, team: str) -> None:
    """Delete a team, with all its roles. Open to owners."""
    services().organisations.delete_team(proved(), client_address(), name, team)


@routes.get("/organisations/<someone:name>/teams/<someone:team>/members", who=by_password, query=paged())
def list_team_members(name: str, team: str) -> Page[TeamMember]:
    """List the members of a team, by name. Open to members of the organisation."""
    asked = paging.asked(request.args)
    found = services().organisations.team(by_password(), name, team, asked.size, asked.offset)
    return Page.of(asked.of(found.team.members), map(TeamMember.of, found.rows))


@routes.put("/organisations/<someone:name>/teams/<someone:team>/members/<someone:person>", who=proved)
def join_team(name: str, team: str, person: str) -> None:
    """Add a member of the organisation to a team. Open to owners."""
    services().organisations.join_team(proved(), client_address(), name, team, person)


@routes.delete("/organisations/<someone:name>/teams/<someone:team>/members/<someone:person>", who=proved)
def leave_team(name: str, team: str, person: str) -> None:
    """Remove a member from a team. Open to owners."""
    services().organisations.leave_team(proved(), client_address(), name, team, person)


def _team(name: str, team: str) -> Team:
    return Team.of(services().organisations.team(by_password(), name, team, 1, 0))


def _changed(now: OrganisationSettings, body: OrganisationChange) -> OrganisationSettings:
    profile = organisations.OrganisationProfile(
        now.profile.full_name if body.full_name is UNSET else body.full_name,
        now.profile.about if body.about is UNSET else body.about,
        now.profile.website if body.website is UNSET else body.website,
        now.profile.member_role if body.member_role is UNSET else _stored(body.member_role),
    )
    return OrganisationSettings(profile, now.default_private if body.default_private is UNSET else body.default_private)


def _stored(role: MemberRole) -> str:
    return "" if role == "none" else role
