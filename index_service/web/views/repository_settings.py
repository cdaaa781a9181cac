"""The settings pages of a repository: texts, visibility, access, transfer, deletion."""

from __future__ import annotations

from flask import Blueprint, Response
from markupsafe import Markup

from common.errors import Invalid
from common.names import RepositoryName
from index_service import markdown
from index_service.accounts import validators
from index_service.current import services
from index_service.pages.forms import EMPTY, FormState
from index_service.pages.repository_settings import RepositorySettingsPage
from index_service.repositories.policy import Action
from index_service.repositories.repository_settings import MAX_DESCRIPTION, MAX_README, Texts
from index_service.web.forms import Form
from index_service.web.languages import gettext
from index_service.web.request_context import client_address, require_reauthenticated, require_signed_in
from index_service.web.responses import flash, page, redirect_to, render_page
from index_service.web.urls import person_url, repository_url
from index_service.web.views.organisations import is_same
from index_service.web.views.people import read_receiver, receiver, validate_role, validate_visibility

TEXTS, ACCESS, TRANSFER, DELETE = "texts", "access", "transfer", "delete"

views = Blueprint("repository_settings", __name__)


@page(views, "/r/<repository:repository>/@settings", "/repositories/{repository}/@settings")
def texts(repository: str) -> Response:
    require_signed_in()
    return _show(RepositoryName.parse(repository), TEXTS)


@views.post("/r/<repository:repository>/@settings")
def describe(repository: str) -> Response:
    who, name = require_signed_in().actor, RepositoryName.parse(repository)
    form = Form.read("description", "readme", "source", "preview")
    form.validate("description", lambda text: validators.validate_text(text, MAX_DESCRIPTION))
    form.validate("readme", lambda text: validators.validate_text(text, MAX_README, lines=True))
    source = form.validate("source", validators.validate_website)
    if form.ok and form.ticked("preview"):
        return _show(name, TEXTS, form.state(), preview=markdown.readme(form["readme"], source or ""))
    texts = Texts(description=form["description"], readme=form["readme"], source_url=form["source"])
    form.attempt(services().permissions.describe, who, name, texts)
    if not form.ok:
        return _show(name, TEXTS, form.state(), form.status)
    flash("success", gettext("Saved."))
    return redirect_to(repository_url(name))


@page(views, "/r/<repository:repository>/@settings/access", "/repositories/{repository}/@roles")
def access(repository: str) -> Response:
    require_signed_in()
    return _show(RepositoryName.parse(repository), ACCESS)


@views.post("/r/<repository:repository>/@settings/access")
def give(repository: str) -> Response:
    who, name, form = require_reauthenticated().actor, RepositoryName.parse(repository), Form.read("person", "role")
    to, role = receiver(form), form.validate("role", validate_role)
    if to is not None and role is not None:
        form.attempt(services().permissions.grant_role, who, client_address(), name, to, role)
    if not form.ok:
        return _show(name, ACCESS, form.state(), form.status)
    flash("success", gettext("Access granted to %(name)s.", name=form["person"]))
    return redirect_to(repository_url(name, "settings/access"))


@views.post("/r/<repository:repository>/@settings/access/take")
def take(repository: str) -> Response:
    who, name, form = require_reauthenticated().actor, RepositoryName.parse(repository), Form.read("person")
    services().permissions.revoke_role(who, client_address(), name, read_receiver(form["person"]))
    flash("success", gettext("Access of %(name)s removed.", name=form["person"]))
    return redirect_to(repository_url(name, "settings/access" if services().permissions.manages(who, name) else ""))


@views.post("/r/<repository:repository>/@settings/visibility")
def set_visibility(repository: str) -> Response:
    who, name, form = require_reauthenticated().actor, RepositoryName.parse(repository), Form.read("visibility")
    is_private = form.validate("visibility", validate_visibility)
    if is_private is not None:
        form.attempt(services().permissions.set_private, who, client_address(), name, is_private=is_private)
    if not form.ok:
        return _show(name, ACCESS, form.state(), form.status)
    hidden, shown = gettext("Only people with access can see it now."), gettext("Everyone can see it now.")
    flash("success", hidden if is_private else shown)
    return redirect_to(repository_url(name, "settings/access"))


@page(views, "/r/<repository:repository>/@settings/transfer")
def transfer(repository: str) -> Response:
    require_reauthenticated()
    return _show(RepositoryName.parse(repository), TRANSFER)


@views.post("/r/<repository:repository>/@settings/transfer")
def submit_transfer(repository: str) -> Response:
    who, name, form = require_reauthenticated().actor, RepositoryName.parse(repository), Form.read("target")
    target = form.validate("target", _check_target)
    if target is not None:
        form.attempt(services().permissions.transfer, who, client_address(), name, target)
    if target is None or not form.ok:
        return _show(name, TRANSFER, form.state(), form.status)
    flash("success", gettext("%(old)s renamed to %(new)s. The registry will follow in a moment.", old=name, new=target))
    return redirect_to(repository_url(target))


@page(views, "/r/<repository:repository>/@settings/delete")
def delete(repository: str) -> Response:
    require_reauthenticated()
    return _show(RepositoryName.parse(repository), DELETE)


@views.post("/r/<repository:repository>/@settings/delete")
def submit_delete(repository: str) -> Response:
    who, name, form = require_reauthenticated().actor, RepositoryName.parse(repository), Form.read("confirm")
    form.validate("confirm", is_same(str(name)))
    form.attempt(services().deletion.delete_repository, who, name, client_address())
    if not form.ok:
        return _show(name, DELETE, form.state(), form.status)
    flash("success", gettext("%(name)s deleted.", name=name))
    return redirect_to(person_url(who.name))


def _check_target(text: str) -> RepositoryName:
    """A whole name, of a namespace and what follows it. Raises Invalid."""
    if "/" not in text:
        raise Invalid("Enter the full name, such as acme/app")
    return RepositoryName.parse(text).require_creatable()


def _show(
    name: RepositoryName, part: str, form: FormState = EMPTY, status: int = 200, *, preview: Markup | None = None
) -> Response:
    """A section of the settings; all but the texts are for administrators of the repository."""
    action = Action.WRITE if part == TEXTS else Action.MANAGE
    who = require_signed_in().actor
    settings = services().permissions.settings(who, name, action)
    shown = RepositorySettingsPage.of(services().summaries.of(who, name), settings, form, preview)
    return render_page(shown, f"settings/{part}.html", status)
