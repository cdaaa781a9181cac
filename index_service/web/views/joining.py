"""Signing up, confirming an email address, and resetting a forgotten password."""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from index_service.accounts import fields
from index_service.cookies import SESSION
from index_service.pages.entering import AskResetPage, ConfirmPage, ResetPage, SignUpPage
from index_service.web import letters
from index_service.web.asking import browser, person, services, site
from index_service.web.forms import Form
from index_service.web.languages import gettext
from index_service.web.showing import flash, go_on, page, show
from index_service.web.views.entering import begin_session

views = Blueprint("joining", __name__)


@page(views, "/sign-up")
def sign_up() -> Response:
    if person() is not None:
        return go_on(url_for("account.profile"))
    return show(SignUpPage(_is_open()), "entering/sign_up.html")


@views.post("/sign-up")
def submit_sign_up() -> Response:
    form = Form.read("name", "email", secrets=("password",))
    form.check("name", fields.check_name)
    email = form.check("email", fields.check_email)
    form.check("password", fields.check_password)
    old = site().cookies.read(SESSION)
    secret = form.attempt(services().accounts.sign_up, form["name"], form["email"], form["password"], browser(), old)
    if secret is None or email is None:
        return show(SignUpPage(_is_open(), form.state()), "entering/sign_up.html", form.status)
    letters.send_confirmation(form["name"], email)
    flash(
        "success",
        gettext("Welcome aboard! We have sent a link to %(email)s: follow it to confirm your address.", email=email),
    )
    return begin_session(secret, "/")


@page(views, "/confirm/<link>")
def confirm(link: str) -> Response:
    """Only shows a button: programs that prefetch the links in emails confirm nothing."""
    return show(ConfirmPage(services().accounts.to_confirm(link)), "entering/confirm.html")


@views.post("/confirm/<link>")
def submit_confirm(link: str) -> Response:
    address = services().accounts.confirm(link, browser().address)
    flash("success", gettext("%(address)s is confirmed.", address=address))
    return go_on(url_for("account.addresses") if person() else url_for("entering.sign_in"))


@page(views, "/reset")
def ask_reset() -> Response:
    return show(AskResetPage(), "entering/ask_reset.html")


@views.post("/reset")
def submit_ask_reset() -> Response:
    """The response is the same whether or not the address belongs to an account."""
    form = Form.read("email")
    email = form.check("email", fields.check_email)
    letter = form.attempt(services().accounts.ask_reset, form["email"], browser().address)
    if not form.ok or email is None:
        return show(AskResetPage(form=form.state()), "entering/ask_reset.html", form.status)
    letters.send_reset(letter)
    return show(AskResetPage(is_sent=True, form=form.state()), "entering/ask_reset.html")


@page(views, "/reset/<link>")
def reset(link: str) -> Response:
    return show(ResetPage(services().accounts.to_reset(link)), "entering/reset.html")


@views.post("/reset/<link>")
def submit_reset(link: str) -> Response:
    name, form = services().accounts.to_reset(link), Form.read(secrets=("password",))
    form.check("password", fields.check_password)
    form.attempt(services().accounts.reset, link, form["password"], browser())
    if not form.ok:
        return show(ResetPage(name, form.state()), "entering/reset.html", form.status)
    flash("success", gettext("The new password is set. Sign in with it."))
    return go_on(url_for("entering.sign_in"))


def _is_open() -> bool:
    return site().sign_up == "open"
