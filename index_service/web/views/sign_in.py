"""Signing in and out, entering the password again, choosing a language."""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from index_service.cookies import LANGUAGE, SESSION, VISITOR, YEAR_SECONDS
from index_service.current import services
from index_service.pages.sign_in import ProvePage, SignInPage
from index_service.web import languages
from index_service.web.forms import Form
from index_service.web.request_context import browser, next_path, require_signed_in, signed_in, site
from index_service.web.responses import page, redirect_to, render_page

views = Blueprint("sign_in", __name__)


@page(views, "/sign-in")
def sign_in() -> Response:
    if signed_in() is not None:
        return redirect_to(next_path())
    return render_page(SignInPage(next_path()), "sign_in/sign_in.html")


@views.post("/sign-in")
def submit_sign_in() -> Response:
    form = Form.read("name", secrets=("password",))
    old = site().cookies.read(SESSION)
    secret = form.attempt(services().accounts.sign_in, form["name"], form["password"], browser(), old)
    if secret is None:
        return render_page(SignInPage(next_path(), form.state()), "sign_in/sign_in.html", form.status)
    return begin_session(secret, next_path())


@views.post("/sign-out")
def sign_out() -> Response:
    who = signed_in()
    if who is not None:
        services().accounts.sign_out(who)
    response = redirect_to(url_for("explore.home"))
    site().cookies.drop(response, SESSION)
    # The browser is told to clear its cache: no page is left behind the back button.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@page(views, "/prove")
def prove() -> Response:
    return render_page(ProvePage(require_signed_in().actor.name, next_path()), "sign_in/prove.html")


@views.post("/prove")
def submit_prove() -> Response:
    who, form = require_signed_in(), Form.read(secrets=("password",))
    form.attempt(services().accounts.prove, who, form["password"], browser().client_ip)
    if not form.ok:
        return render_page(ProvePage(who.actor.name, next_path(), form.state()), "sign_in/prove.html", form.status)
    return redirect_to(next_path())


@views.post("/language")
def language() -> Response:
    """The choice in the footer of every page; stored in the account if one is signed in."""
    form, who = Form.read("language"), signed_in()
    chosen = form["language"] if form["language"] in languages.LANGUAGES else languages.DEFAULT
    if who is not None:
        services().accounts.change_language(who.actor, chosen)
    response = redirect_to(next_path())
    site().cookies.set(response, LANGUAGE, chosen, YEAR_SECONDS)
    return response


def begin_session(secret: str, path: str) -> Response:
    """Redirect with a new session, and drop the cookies of the browser's old one."""
    response = redirect_to(path)
    # The server decides how long it is valid, by its last use.
    site().cookies.set(response, SESSION, secret, YEAR_SECONDS)
    site().cookies.drop(response, VISITOR)
    return response
