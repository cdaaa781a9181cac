"""The pages of one's own account."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Blueprint, Response, url_for

from common.errors import Invalid
from index_service.accounts import access_tokens, validators
from index_service.accounts.access_tokens import NewToken
from index_service.cookies import LANGUAGE, YEAR_SECONDS
from index_service.current import services
from index_service.pages.account import (
    EmailsPage,
    NewTokenPage,
    PasswordPage,
    ProfilePage,
    SessionsPage,
    TokenShown,
    TokensPage,
)
from index_service.pages.forms import EMPTY, FormState
from index_service.services.accounts import ProfileUpdate
from index_service.web import languages
from index_service.web.forms import Form
from index_service.web.languages import gettext, ngettext
from index_service.web.request_context import browser, client_address, require_reauthenticated, require_signed_in, site
from index_service.web.responses import flash, page, redirect_to, render_page
from index_service.web.views.sign_in import begin_session
from index_service.web.views.sign_up import too_many_letters

LIFETIMES = ("30", "90", "365", "")
"""Days that an access token may last; the empty one is until it is revoked."""

views = Blueprint("account", __name__)


@page(views, "/account", "/account")
def profile() -> Response:
    return render_page(ProfilePage.of(services().accounts.account(require_signed_in().actor)), "account/profile.html")


@views.post("/account")
def submit_profile() -> Response:
    actor = require_signed_in().actor
    form = Form.read("full_name", "about", "location", "company", "website", "language")
    form.validate("website", validators.validate_website)
    form.validate("language", _language)
    form.attempt(services().accounts.change_profile, actor, ProfileUpdate(**form.values()))
    if not form.ok:
        shown = ProfilePage.of(services().accounts.account(actor), form.state())
        return render_page(shown, "account/profile.html", form.status)
    languages.use(form["language"] or languages.current())
    flash("success", gettext("Profile saved."))
    response = redirect_to(url_for("account.profile"))
    if form["language"]:
        site().cookies.set(response, LANGUAGE, form["language"], YEAR_SECONDS)
    return response


@page(views, "/account/password")
def password() -> Response:
    require_signed_in()
    return render_page(PasswordPage(), "account/password.html")


@views.post("/account/password")
def submit_password() -> Response:
    who, form = require_signed_in(), Form.read(secrets=("current", "password"))
    form.validate("password", validators.validate_password)
    secret = form.attempt(services().accounts.change_password, who, form["current"], form["password"], browser())
    if secret is None:
        return render_page(PasswordPage(form.state()), "account/password.html", form.status)
    flash("success", gettext("Password changed. All other browsers are signed out."))
    return begin_session(secret, url_for("account.password"))


@page(views, "/account/emails", "/account/emails")
def addresses() -> Response:
    return _show_addresses()


@views.post("/account/emails")
def add_address() -> Response:
    actor, form = require_reauthenticated().actor, Form.read("email")
    form.validate("email", validators.validate_email)
    added = form.attempt(services().accounts.add_address, actor, form["email"], client_address())
    if added is None:
        return _show_addresses(form.state(), form.status)
    _send_confirmation(actor.name, added)
    return redirect_to(url_for("account.addresses"))


@views.post("/account/emails/confirm")
def send_confirmation() -> Response:
    actor, form = require_signed_in().actor, Form.read("email")
    waiting = services().accounts.unconfirmed(actor, form["email"], client_address())
    _send_confirmation(actor.name, waiting)
    return redirect_to(url_for("account.addresses"))


@views.post("/account/emails/main")
def make_main() -> Response:
    actor, form = require_reauthenticated().actor, Form.read("email")
    services().accounts.make_main(actor, form["email"], client_address())
    flash("success", gettext("%(email)s is now your primary address.", email=form["email"]))
    return redirect_to(url_for("account.addresses"))


@views.post("/account/emails/remove")
def remove_address() -> Response:
    actor, form = require_reauthenticated().actor, Form.read("email")
    form.attempt(services().accounts.remove_address, actor, form["email"], client_address())
    if not form.ok:
        return _show_addresses(FormState(errors=form.state().errors), form.status)
    flash("success", gettext("%(email)s removed.", email=form["email"]))
    return redirect_to(url_for("account.addresses"))


@page(views, "/account/sessions", "/account/sessions")
def sessions() -> Response:
    who = require_signed_in()
    return render_page(SessionsPage.of(services().accounts.sessions(who.actor), who.session), "account/sessions.html")


@views.post("/account/sessions/end")
def end_session() -> Response:
    form = Form.read("session")
    services().accounts.end_session(require_signed_in().actor, form["session"], client_address())
    flash("success", gettext("Browser signed out."))
    return redirect_to(url_for("account.sessions"))


@views.post("/account/sessions/end-others")
def end_other_sessions() -> Response:
    count = services().accounts.end_other_sessions(require_signed_in(), client_address())
    flash("success", ngettext("Signed out of %(num)s other browser.", "Signed out of %(num)s other browsers.", count))
    return redirect_to(url_for("account.sessions"))


@page(views, "/account/tokens", "/account/tokens")
def tokens() -> Response:
    return _show_tokens()


@views.post("/account/tokens")
def make_token() -> Response:
    actor = require_reauthenticated().actor
    form = Form.read("name", "access", "pattern", "lifetime")
    asked = _asked_token(form)
    secret = (
        None if asked is None else form.attempt(services().accounts.make_access_token, actor, asked, client_address())
    )
    if secret is None:
        return _show_tokens(form.state(), form.status)
    shown = NewTokenPage(actor.name, form["name"], secret, site().host, site().url)
    response = render_page(shown, "account/new_token.html", 201)
    response.headers["Cache-Control"] = "no-store"
    return response


@views.post("/account/tokens/revoke")
def revoke_token() -> Response:
    form = Form.read("token")
    name = services().accounts.revoke_access_token(require_signed_in().actor, _number(form["token"]), client_address())
    flash("success", gettext("Access token “%(name)s” revoked.", name=name))
    return redirect_to(url_for("account.tokens"))


def _send_confirmation(name: str, email: str) -> None:
    if services().accounts.send_confirmation(name, email, languages.current()):
        flash("success", gettext("We e-mailed a link to %(email)s. Open it to confirm the address.", email=email))
    else:
        flash("warn", too_many_letters(email))


def _asked_token(form: Form) -> NewToken | None:
    name = form.validate("name", access_tokens.validate_name)
    pattern = form.validate("pattern", access_tokens.validate_pattern)
    can_write = form.validate("access", _access)
    expires_at = form.validate("lifetime", _expiry)
    if name is None or pattern is None or can_write is None:
        return None
    return NewToken(name, pattern, can_write, expires_at)


def _show_addresses(form: FormState = EMPTY, status: int = 200) -> Response:
    shown = EmailsPage.of(services().accounts.addresses(require_signed_in().actor), form)
    return render_page(shown, "account/emails.html", status)


def _show_tokens(form: FormState = EMPTY, status: int = 200) -> Response:
    actor, now = require_signed_in().actor, site().clock()
    held = tuple(TokenShown.of(token, now) for token in services().accounts.access_tokens(actor))
    return render_page(TokensPage(actor.name, held, form), "account/tokens.html", status)


def _language(text: str) -> str:
    if text and text not in languages.LANGUAGES:
        raise Invalid("Choose one of the languages")
    return text


def _access(text: str) -> bool:
    if text not in ("read", "write"):
        raise Invalid("Choose what the token can do")
    return text == "write"


def _expiry(text: str) -> datetime | None:
    if text not in LIFETIMES:
        raise Invalid("Choose how long the token lasts")
    return site().clock() + timedelta(days=int(text)) if text else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
