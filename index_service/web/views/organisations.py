"""The pages of organisations: making one, its members, its teams, its settings."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from common.errors import Invalid
from index_service import paging
from index_service.accounts.organisations import MEMBER_ROLES, OrganisationProfile
from index_service.current import services
from index_service.pages.forms import EMPTY, FormState
from index_service.pages.organisations import (
    MembersPage,
    NewOrganisationPage,
    OrganisationSettingsPage,
    TeamPage,
    TeamsPage,
)
from index_service.services.organisations import OrganisationSettings
from index_service.web.forms import Form
from index_service.web.languages import gettext
from index_service.web.request_context import actor, client_address, require_reauthenticated, require_signed_in
from index_service.web.responses import flash, page, redirect_to, render_page
from index_service.web.urls import person_url
from index_service.web.views.people import validate_role, validate_visibility

views = Blueprint("organisations", __name__)


@page(views, "/organisations/new")
def new() -> Response:
    require_signed_in()
    return render_page(NewOrganisationPage(), "organisations/new.html")


@views.post("/organisations/new")
def create() -> Response:
    who, form = require_signed_in().actor, Form.read("name", "full_name")
    form.attempt(
        services().organisations.create, who, client_address(), form["name"], OrganisationProfile(form["full_name"])
    )
    if not form.ok:
        return render_page(NewOrganisationPage(form.state()), "organisations/new.html", form.status)
    flash("success", gettext("Organisation %(name)s created. You are its owner.", name=form["name"]))
    return redirect_to(person_url(form["name"], "members"))


@page(views, "/u/<name>/@members", "/organisations/{name}/members")
def members(name: str) -> Response:
    return _show_members(name)


@views.post("/u/<name>/@members")
def add_member(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("person")
    form.attempt(services().organisations.add_member, who, client_address(), name, form["person"])
    if not form.ok:
        return _show_members(name, form.state(), form.status)
    flash("success", gettext("%(person)s added to the organisation.", person=form["person"]))
    return redirect_to(person_url(name, "members"))


@views.post("/u/<name>/@members/remove")
def remove_member(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("person")
    form.attempt(services().organisations.remove_member, who, client_address(), name, form["person"])
    if not form.ok:
        return _show_members(name, _only_errors(form), form.status)
    flash("success", gettext("%(person)s removed from the organisation.", person=form["person"]))
    return redirect_to(person_url(name, "members" if form["person"] != who.name else ""))


@views.post("/u/<name>/@members/owner")
def set_owner(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("person", "owner")
    question = services().organisations.set_owner
    form.attempt(question, who, client_address(), name, form["person"], is_owner=form.ticked("owner"))
    if not form.ok:
        return _show_members(name, _only_errors(form), form.status)
    flash("success", gettext("Saved."))
    return redirect_to(person_url(name, "members"))


@page(views, "/u/<name>/@teams", "/organisations/{name}/teams")
def teams(name: str) -> Response:
    return _show_teams(name)


@views.post("/u/<name>/@teams")
def create_team(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("name", "about")
    form.attempt(services().organisations.create_team, who, client_address(), name, form["name"], form["about"])
    if not form.ok:
        return _show_teams(name, form.state(), form.status)
    flash("success", gettext("Team %(name)s created.", name=form["name"]))
    return redirect_to(_team_url(name, form["name"]))


@page(views, "/u/<name>/@teams/<team>", "/organisations/{name}/teams/{team}")
def team(name: str, team: str) -> Response:
    return _show_team(name, team)


@views.post("/u/<name>/@teams/<team>")
def join_team(name: str, team: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("person")
    form.attempt(services().organisations.join_team, who, client_address(), name, team, form["person"])
    if not form.ok:
        return _show_team(name, team, form.state(), form.status)
    flash("success", gettext("%(person)s added to the team.", person=form["person"]))
    return redirect_to(_team_url(name, team))


@views.post("/u/<name>/@teams/<team>/leave")
def leave_team(name: str, team: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("person")
    services().organisations.leave_team(who, client_address(), name, team, form["person"])
    flash("success", gettext("%(person)s removed from the team.", person=form["person"]))
    return redirect_to(_team_url(name, team))


@views.post("/u/<name>/@teams/<team>/role")
def set_team_role(name: str, team: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("role")
    role = form.validate("role", validate_role) if form["role"] else None
    form.attempt(services().organisations.set_team_role, who, client_address(), name, team, role)
    if not form.ok:
        return _show_team(name, team, form.state(), form.status)
    flash("success", gettext("Saved."))
    return redirect_to(_team_url(name, team))


@views.post("/u/<name>/@teams/<team>/delete")
def delete_team(name: str, team: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("confirm")
    form.validate("confirm", is_same(team))
    form.attempt(services().organisations.delete_team, who, client_address(), name, team)
    if not form.ok:
        return _show_team(name, team, form.state(), form.status)
    flash("success", gettext("Team %(name)s deleted, with all its access.", name=team))
    return redirect_to(person_url(name, "teams"))


@page(views, "/u/<name>/@settings", "/organisations/{name}")
def settings(name: str) -> Response:
    require_signed_in()
    return _show_settings(name)


@views.post("/u/<name>/@settings")
def submit_settings(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("full_name", "about", "website", "member_role", "visibility")
    form.validate("member_role", _check_member_role)
    is_private = form.validate("visibility", validate_visibility)
    profile = OrganisationProfile(form["full_name"], form["about"], form["website"], _role(form["member_role"]))
    wanted = OrganisationSettings(profile, bool(is_private))
    form.attempt(services().organisations.change, who, client_address(), name, wanted)
    if not form.ok:
        return _show_settings(name, form.state(), form.status)
    flash("success", gettext("Saved."))
    return redirect_to(person_url(name, "settings"))


def is_same(wanted: str) -> Callable[[str], str]:
    """A validator that a name was typed, as a confirmation before a deletion."""

    def check(text: str) -> str:
        if text != wanted:
            raise Invalid("The name does not match")
        return text

    return check


def _only_errors(form: Form) -> FormState:
    """Only the errors: the values of a button do not belong in another form's fields."""
    return FormState(errors={"": " ".join(form.state().errors.values())})


def _team_url(name: str, team: str) -> str:
    return person_url(name, f"teams/{team}")


def _check_member_role(text: str) -> str:
    if _role(text) not in MEMBER_ROLES:
        raise Invalid("Choose a role")
    return text


def _role(text: str) -> str:
    return "" if text == "none" else text


def _show_members(name: str, form: FormState = EMPTY, status: int = 200) -> Response:
    asked = paging.asked(request.args)
    found = services().organisations.members(actor(), name, asked.size, asked.offset)
    profile = services().profiles.shown(actor(), name)
    shown = MembersPage(profile, tuple(found.rows), asked.of(found.total), found.is_owner, form)
    return render_page(shown, "organisations/members.html", status)


def _show_teams(name: str, form: FormState = EMPTY, status: int = 200) -> Response:
    asked = paging.asked(request.args)
    found = services().organisations.teams(actor(), name, asked.size, asked.offset)
    profile = services().profiles.shown(actor(), name)
    shown = TeamsPage(profile, tuple(found.rows), asked.of(found.total), found.is_owner, form)
    return render_page(shown, "organisations/teams.html", status)


def _show_team(name: str, team: str, form: FormState = EMPTY, status: int = 200) -> Response:
    asked = paging.asked(request.args)
    found = services().organisations.team(actor(), name, team, asked.size, asked.offset)
    profile = services().profiles.shown(actor(), name)
    paged = asked.of(found.team.members)
    role = "" if found.role is None else str(found.role)
    shown = TeamPage(
        profile=profile,
        team=found.team,
        role=role,
        members=tuple(found.rows),
        paging=paged,
        may_change=found.is_owner,
        form=form,
    )
    return render_page(shown, "organisations/team.html", status)


def _show_settings(name: str, form: FormState = EMPTY, status: int = 200) -> Response:
    who = require_signed_in().actor
    found, profile = services().organisations.settings(who, name), services().profiles.shown(who, name)
    shown = OrganisationSettingsPage(profile, found.profile.member_role, found.default_private, form)
    return render_page(shown, "organisations/settings.html", status)
