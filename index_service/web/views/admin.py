"""The pages of the index's administrators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from flask import Blueprint, Response, request, url_for

from common.errors import Invalid
from index_service import paging
from index_service.accounts.access import SELECTABLE, Selection
from index_service.accounts.actor import Actor
from index_service.accounts.directory import PEOPLE_SORTS, STATES
from index_service.audit.log import Change
from index_service.audit.queries import AuditFilter
from index_service.current import services
from index_service.images.quotas import QuotaChange, read_bytes, read_count
from index_service.images.storage_usage import STORAGE_SORTS, ordered
from index_service.pages.admin import (
    AdminPage,
    AuditPage,
    EndAccessPage,
    PeoplePage,
    PersonPage,
    QuotaPage,
    RegistriesPage,
    ResetLinkPage,
    StoragePage,
)
from index_service.pages.forms import EMPTY, FormState
from index_service.web.forms import Form
from index_service.web.languages import gettext
from index_service.web.request_context import (
    client_address,
    require_admin,
    require_reauthenticated,
    require_signed_in,
    site,
)
from index_service.web.responses import current_path, flash, page, redirect_to, render_page

LATEST = 8
"""The number of audit log entries on the overview page."""

KINDS = tuple(dict.fromkeys(change.partition(".")[0] for change in Change))

views = Blueprint("admin", __name__)


@page(views, "/admin", "/admin")
def overview() -> Response:
    who, ask = require_admin(), services().administration
    registries, (latest, _) = ask.registries(who), ask.audit(who, AuditFilter(), LATEST, 0)
    shown = AdminPage(ask.counts(who), tuple(registries.rows), registries.waiting, tuple(latest))
    return render_page(shown, "admin/overview.html")


@page(views, "/admin/people", "/admin/people")
def people() -> Response:
    return _show_people(require_admin())


@views.post("/admin/people")
def change_person() -> Response:
    who, form = _proved_admin(), Form.read("person", "change")
    change = form.validate("change", _check_change)
    if change is not None:
        form.attempt(change, who, client_address(), form["person"])
    if not form.ok:
        return _show_people(who, form.state(), form.status)
    flash("success", gettext("Saved."))
    return redirect_to(current_path())


@views.post("/admin/people/reset")
def reset_person() -> Response:
    who, form = _proved_admin(), Form.read("person", "send")
    sends = form.ticked("send")
    found = form.attempt(services().administration.reset_link, who, client_address(), form["person"], sends=sends)
    if found is None:
        return _show_people(who, form.state(), form.status)
    url = site().origin + url_for("sign_up.reset", link=found.link)
    shown = ResetLinkPage(found.name, url, found.email, sends and found.email is not None)
    response = render_page(shown, "admin/reset_link.html", 201)
    response.headers["Cache-Control"] = "no-store"
    return response


@page(views, "/admin/people/<name>", "/admin/people/{name}")
def person(name: str) -> Response:
    found = services().administration.person(require_admin(), name)
    return render_page(PersonPage.of(found, require_signed_in().session, site().clock()), "admin/person.html")


@page(views, "/admin/people/<name>/end")
def ask_to_end_access(name: str) -> Response:
    who, kind = require_admin(), _printable("kind")
    _selection(kind, _printable("id"))
    found = services().administration.person(who, name)
    return render_page(EndAccessPage(found.person.name, kind, _printable("id")), "admin/end_access.html")


@views.post("/admin/people/<name>/end")
def end_access(name: str) -> Response:
    who, form = _proved_admin(), Form.read("kind", "id")
    services().administration.end_access(who, client_address(), name, _selection(form["kind"], form["id"]))
    flash("success", gettext("Access ended."))
    return redirect_to(url_for("admin.person", name=name))


@page(views, "/admin/registries", "/admin/registries")
def registries() -> Response:
    found = services().administration.registries(require_admin())
    return render_page(RegistriesPage(tuple(found.rows), found.waiting), "admin/registries.html")


@page(views, "/admin/storage", "/admin/storage/namespaces")
def storage() -> Response:
    measured = services().administration.storage(require_admin())
    kept = measured.storage
    asked = paging.asked(request.args, STORAGE_SORTS).of(len(kept.namespaces))
    rows = ordered(kept.namespaces, asked.sort)[asked.offset : asked.offset + asked.size]
    allowed = services().administration.allowed(require_admin(), [row.namespace for row in rows])
    return render_page(StoragePage(tuple(rows), asked, kept, measured.at, allowed), "admin/storage.html")


@views.get("/admin/quotas")
def choose_quota() -> Response:
    require_admin()
    name = _printable("namespace")
    return redirect_to(url_for("admin.quota", name=name) if name else url_for("admin.storage"))


@page(views, "/admin/quotas/<name>", "/admin/quotas/{name}")
def quota(name: str) -> Response:
    return _show_quota(require_admin(), name)


@views.post("/admin/quotas/<name>")
def set_quota(name: str) -> Response:
    who, form = _proved_admin(), Form.read("bytes", "repositories")
    change = QuotaChange(
        bytes=form.validate("bytes", read_bytes), repositories=form.validate("repositories", read_count)
    )
    form.attempt(services().administration.set_quota, who, client_address(), name, change)
    if not form.ok:
        return _show_quota(who, name, form.state(), form.status)
    flash("success", gettext("Saved."))
    return redirect_to(url_for("admin.quota", name=name))


@page(views, "/admin/audit", "/admin/audit", without=("since", "until"))
def audit() -> Response:
    who, asked, text = require_admin(), paging.asked(request.args), _printable
    since, until = _day(text("since")), _day(text("until"))
    wanted = AuditFilter(
        text("actor"), text("action"), text("subject"), since, None if until is None else until + timedelta(days=1)
    )
    entries, total = services().administration.audit(who, wanted, asked.size, asked.offset)
    shown = AuditPage(
        entries=tuple(entries),
        paging=asked.of(total),
        actor=wanted.actor,
        action=wanted.action,
        subject=wanted.subject,
        since=text("since"),
        until=text("until"),
        kinds=KINDS,
    )
    return render_page(shown, "admin/audit.html")


def _proved_admin() -> Actor:
    require_admin()
    return require_reauthenticated().actor


def _selection(kind: str, identifier: str) -> Selection:
    """Raises Invalid."""
    if kind not in SELECTABLE or (kind == "all" and identifier):
        raise Invalid("Choose what to end")
    return Selection(SELECTABLE[kind], identifier)


def _check_change(text: str) -> Callable[[Actor, str, str], None]:
    ask = services().administration
    changes: dict[str, Callable[[Actor, str, str], None]] = {
        "close": partial(ask.set_active, is_active=False),
        "open": partial(ask.set_active, is_active=True),
        "make-admin": partial(ask.set_admin, is_admin=True),
        "unmake-admin": partial(ask.set_admin, is_admin=False),
    }
    if text not in changes:
        raise Invalid("Choose what to change")
    return changes[text]


def _printable(name: str) -> str:
    """A query argument, without characters that no name contains and databases refuse."""
    return "".join(filter(str.isprintable, request.args.get(name, ""))).strip()[:511]


def _day(text: str) -> datetime | None:
    """The beginning of a day, in UTC. Raises Invalid."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if text else None
    except ValueError as error:
        raise Invalid("Enter a date such as 2015-06-08") from error


def _show_quota(who: Actor, name: str, form: FormState = EMPTY, status: int = 200) -> Response:
    return render_page(QuotaPage(services().administration.quota(who, name), form), "admin/quota.html", status)


def _show_people(who: Actor, form: FormState = EMPTY, status: int = 200) -> Response:
    asked = paging.asked(request.args, PEOPLE_SORTS)
    words, state = _printable("q"), _printable("state") or STATES[0]
    if state not in STATES:
        raise Invalid("Invalid filter")
    rows, total = services().administration.people(who, words, state, asked.sort, asked.size, asked.offset)
    shown = PeoplePage(people=tuple(rows), paging=asked.of(total), q=words, state=state, states=STATES, form=form)
    return render_page(shown, "admin/people.html", status)
