"""Signing in and out, entering the password again, choosing a language."""

from __future__ import annotations

from flask import Blueprint, Response

from index_service.cookies import LANGUAGE, SESSION, VISITOR, YEAR_SECONDS
from index_service.pages.entering import ProvePage, SignInPage
from index_service.web import languages
from index_service.web.asking import browser, known, next_path, person, services, site
from index_service.web.forms import Form
from index_service.web.showing import go_on, page, show

views = Blueprint("entering", __name__)


@page(views, "/sign-in")
def sign_in() -> Response:
    if person() is not None:
        return go_on(next_path())
    return show(SignInPage(next_path()), "entering/sign_in.html")


@views.post("/sign-in")
def submit_sign_in() -> Response:
    form = Form.read("name", secrets=("password",))
    old = site().cookies.read(SESSION)
    secret = form.attempt(services().accounts.sign_in, form["name"], form["password"], browser(), old)
    if secret is None:
        return show(SignInPage(next_path(), form.state()), "entering/sign_in.html", form.status)
    return begin_session(secret, next_path())


@views.post("/sign-out")
def sign_out() -> Response:
    who = person()
    if who is not None:
        services().accounts.sign_out(who)
    response = go_on("/")
    site().cookies.drop(response, SESSION)
    # The browser is told to clear its cache: no page is left behind the back button.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@page(views, "/prove")
def prove() -> Response:
    return show(ProvePage(known().actor.name, next_path()), "entering/prove.html")


@views.post("/prove")
def submit_prove() -> Response:
    who, form = known(), Form.read(secrets=("password",))
    form.attempt(services().accounts.prove, who, form["password"], browser().address)
    if not form.ok:
        return show(ProvePage(who.actor.name, next_path(), form.state()), "entering/prove.html", form.status)
    return go_on(next_path())


@views.post("/language")
def language() -> Response:
    """The choice in the footer of every page; stored in the account if one is signed in."""
    form, who = Form.read("language"), person()
    chosen = form["language"] if form["language"] in languages.LANGUAGES else languages.DEFAULT
    if who is not None:
        services().accounts.change_language(who.actor, chosen)
    response = go_on(next_path())
    site().cookies.set(response, LANGUAGE, chosen, YEAR_SECONDS)
    return response


def begin_session(secret: str, path: str) -> Response:
    """Redirect with a new session, and drop the cookies of the browser's old one."""
    response = go_on(path)
    # The server decides how long it is valid, by its last use.
    site().cookies.set(response, SESSION, secret, YEAR_SECONDS)
    site().cookies.drop(response, VISITOR)
    return response
