"""Signing up, confirming an email address, and resetting a forgotten password."""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from index_service.accounts import validators
from index_service.cookies import SESSION
from index_service.current import services
from index_service.pages.sign_in import AskResetPage, ConfirmPage, ResetPage, SignUpPage
from index_service.web import languages
from index_service.web.forms import Form
from index_service.web.languages import gettext
from index_service.web.request_context import browser, signed_in, site
from index_service.web.responses import flash, page, redirect_to, render_page
from index_service.web.views.sign_in import begin_session

views = Blueprint("sign_up", __name__)


@page(views, "/sign-up")
def sign_up() -> Response:
    if signed_in() is not None:
        return redirect_to(url_for("account.profile"))
    return render_page(SignUpPage(_is_open()), "sign_in/sign_up.html")


@views.post("/sign-up")
def submit_sign_up() -> Response:
    form = Form.read("name", "email", secrets=("password",))
    form.validate("name", validators.validate_new_name)
    email = form.validate("email", validators.validate_email)
    form.validate("password", validators.validate_password)
    old = site().cookies.read(SESSION)
    secret = form.attempt(services().accounts.sign_up, form["name"], form["email"], form["password"], browser(), old)
    if secret is None or email is None:
        return render_page(SignUpPage(_is_open(), form.state()), "sign_in/sign_up.html", form.status)
    if services().accounts.send_confirmation(form["name"], email, languages.current()):
        welcome = gettext(
            "Welcome aboard! We e-mailed a link to %(email)s. Open it to confirm your address.", email=email
        )
        flash("success", welcome)
    else:
        flash("warn", too_many_letters(email))
    return begin_session(secret, url_for("explore.home"))


@page(views, "/confirm/<link>")
def confirm(link: str) -> Response:
    """Only shows a button: programs that prefetch the links in emails confirm nothing."""
    return render_page(ConfirmPage(services().accounts.to_confirm(link)), "sign_in/confirm.html")


@views.post("/confirm/<link>")
def submit_confirm(link: str) -> Response:
    email_address = services().accounts.confirm(link, browser().client_ip)
    flash("success", gettext("%(address)s confirmed.", address=email_address))
    return redirect_to(url_for("account.addresses") if signed_in() else url_for("sign_in.sign_in"))


@page(views, "/reset")
def ask_reset() -> Response:
    return render_page(AskResetPage(), "sign_in/ask_reset.html")


@views.post("/reset")
def submit_ask_reset() -> Response:
    """The response is the same whether or not the address belongs to an account."""
    form = Form.read("email")
    email = form.validate("email", validators.validate_email)
    form.attempt(services().accounts.request_reset, form["email"], browser().client_ip, languages.current())
    if not form.ok or email is None:
        return render_page(AskResetPage(form=form.state()), "sign_in/ask_reset.html", form.status)
    return render_page(AskResetPage(is_sent=True, form=form.state()), "sign_in/ask_reset.html")


@page(views, "/reset/<link>")
def reset(link: str) -> Response:
    return render_page(ResetPage(services().accounts.to_reset(link)), "sign_in/reset.html")


@views.post("/reset/<link>")
def submit_reset(link: str) -> Response:
    name, form = services().accounts.to_reset(link), Form.read(secrets=("password",))
    form.validate("password", validators.validate_password)
    form.attempt(services().accounts.reset, link, form["password"], browser())
    if not form.ok:
        return render_page(ResetPage(name, form.state()), "sign_in/reset.html", form.status)
    flash("success", gettext("Password changed. Sign in with your new password."))
    return redirect_to(url_for("sign_in.sign_in"))


def too_many_letters(email: str) -> str:
    """What to say in place of sending another."""
    return gettext("Too many letters went to %(email)s lately: ask for the link again in an hour.", email=email)


def _is_open() -> bool:
    return site().sign_up == "open"
