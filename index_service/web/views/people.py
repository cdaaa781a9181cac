"""The pages of a person or an organisation: repositories, stars, activity, access."""

from __future__ import annotations

from flask import Blueprint, Response, request

from common.errors import Invalid
from common.names import RepositoryName
from index_service import paging
from index_service.current import services
from index_service.pages.forms import EMPTY, FormState
from index_service.pages.people import AccessPage, ActivityPage, Holder, RepositoriesPage
from index_service.pages.repositories import RepositoryCard
from index_service.paging import Paging
from index_service.repositories.policy import Role
from index_service.search.finder import Hit
from index_service.services.permissions import Grantee
from index_service.web.forms import Form
from index_service.web.languages import gettext
from index_service.web.request_context import actor, client_address, require_reauthenticated, require_signed_in
from index_service.web.responses import flash, page, redirect_to, render_page
from index_service.web.urls import person_url

SORTS = ("pushed", "stars", "pulls", "name")

views = Blueprint("people", __name__)


@page(views, "/u/<name>", "/people/{name}")
def repositories(name: str) -> Response:
    asked = paging.asked(request.args, SORTS)
    found = services().profiles.repositories(actor(), name, asked.sort, asked.size, asked.number)
    return _show_repositories(name, asked, found, starred=False)


@page(views, "/u/<name>/@starred", "/people/{name}/starred")
def starred(name: str) -> Response:
    asked = paging.asked(request.args, SORTS)
    found = services().profiles.starred(actor(), name, asked.sort, asked.size, asked.number)
    return _show_repositories(name, asked, found, starred=True)


@page(views, "/u/<name>/@activity", "/people/{name}/activity")
def activity(name: str) -> Response:
    asked = paging.asked(request.args)
    profile = services().profiles.shown(actor(), name)
    found = services().profiles.activity(actor(), name, asked.size + 1, asked.offset)
    is_more = len(found.moves) > asked.size
    shown = ActivityPage(profile, tuple(found.moves[: asked.size]), found.shared, asked.number, is_more)
    return render_page(shown, "people/activity.html")


@page(views, "/u/<name>/@access", "/namespaces/{name}")
def access(name: str) -> Response:
    require_signed_in()
    return _show_access(name)


@views.post("/u/<name>/@access")
def give(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("person", "role")
    to, role = receiver(form), form.validate("role", validate_role)
    if to is not None and role is not None:
        form.attempt(services().permissions.grant_namespace_role, who, client_address(), name, to, role)
    if not form.ok:
        return _show_access(name, form.state(), form.status)
    flash("success", gettext("Access granted to %(name)s.", name=form["person"]))
    return redirect_to(person_url(name, "access"))


@views.post("/u/<name>/@access/take")
def take(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("person")
    services().permissions.revoke_namespace_role(who, client_address(), name, read_receiver(form["person"]))
    flash("success", gettext("Access of %(name)s removed.", name=form["person"]))
    return redirect_to(person_url(name, "access"))


@views.post("/u/<name>/@access/default")
def set_default(name: str) -> Response:
    who, form = require_reauthenticated().actor, Form.read("visibility")
    is_private = form.validate("visibility", validate_visibility)
    if is_private is not None:
        form.attempt(services().permissions.set_default, who, client_address(), name, is_private=is_private)
    if not form.ok:
        return _show_access(name, form.state(), form.status)
    flash("success", gettext("Saved."))
    return redirect_to(person_url(name, "access"))


def receiver(form: Form) -> Grantee | None:
    """The grantee that the field `person` of a form names."""
    return form.validate("person", read_receiver)


def read_receiver(text: str) -> Grantee:
    """A person's name, or a team's with `@` before it, which no name contains. Raises Invalid."""
    if not text.removeprefix("@"):
        raise Invalid("Choose a person or a team")
    return Grantee(text.removeprefix("@"), is_team=text.startswith("@"))


def validate_role(text: str) -> Role:
    """Raises Invalid."""
    if text not in map(str, Role):
        raise Invalid("Choose a role")
    return Role.parse(text)


def validate_visibility(text: str) -> bool:
    """Whether it is to be private. Raises Invalid."""
    if text not in ("public", "private"):
        raise Invalid("Choose who can see it")
    return text == "private"


def card(hit: Hit) -> RepositoryCard:
    """A hit as lists show it."""
    name = RepositoryName.parse(hit.name)
    return RepositoryCard(
        full_name=name,
        description=hit.description,
        is_private=hit.is_private,
        star_count=hit.star_count,
        pull_count=hit.pull_count,
        pushed_at=hit.pushed_at,
    )


def _show_repositories(name: str, asked: Paging, found: tuple[list[Hit], int], *, starred: bool) -> Response:
    hits, total = found
    profile = services().profiles.shown(actor(), name)
    shown = RepositoriesPage(profile, tuple(map(card, hits)), asked.of(total), starred)
    return render_page(shown, "people/repositories.html")


def _show_access(name: str, form: FormState = EMPTY, status: int = 200) -> Response:
    who = require_signed_in().actor
    found, profile = services().permissions.namespace(who, name), services().profiles.shown(who, name)
    shown = AccessPage(
        profile=profile,
        default_private=found.default_private,
        holders=Holder.all(found.given),
        teams=tuple(found.teams),
        quota=found.quota,
        form=form,
    )
    return render_page(shown, "people/access.html", status)
