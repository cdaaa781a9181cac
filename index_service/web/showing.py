"""How an answer to people is dressed: one page object becomes HTML or, at its twin's address, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, current_app, request, url_for

from index_service.pages.plain import plain
from index_service.web.asking import own_path, site
from index_service.web.rendering import render

TWIN = "_json"

View = Callable[..., Response]


def page(views: Blueprint, rule: str, twin: str | None = None) -> Callable[[View], View]:
    """Register a view for the HTML page at `rule` and its JSON at `twin`, which is `rule` with `.json` behind it."""

    def register(view: View) -> View:
        name = view.__name__
        views.add_url_rule(rule, name, view, methods=["GET"])
        views.add_url_rule(twin or f"{rule}.json", name + TWIN, view, methods=["GET"])
        return view

    return register


def show(shown: Any, template: str, status: int = 200) -> Response:
    """A page; `template` finds it as `page`, and its parts by their names in it."""
    response = private(_as_json(shown, status) if is_twin() else _as_html(shown, template, status))
    if status != 200:
        return response
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response


def private(response: Response) -> Response:
    """An answer that is for one reader, and may be another a moment later."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie, Accept-Language"
    return response


def is_twin() -> bool:
    return (request.endpoint or "").endswith(TWIN)


def twin_url() -> str | None:
    """Where the same page is JSON; None for what has no such twin, as a failure or the answer to a form."""
    endpoint = request.endpoint
    if request.method not in ("GET", "HEAD") or endpoint is None or not _has_rule(endpoint + TWIN):
        return None
    return _address(endpoint + TWIN, {})


def this_path() -> str:
    """The page one is on, to come back to: for a form that was sent, the page it was sent from."""
    if request.method in ("GET", "HEAD"):
        return request.full_path.rstrip("?")
    sent_from = urlsplit(request.referrer or "")
    if sent_from.netloc != request.host:
        return "/"
    return own_path(f"{sent_from.path}?{sent_from.query}" if sent_from.query else sent_from.path)


def url_with(**changes: Any) -> str:
    """This page with other arguments in its query; None takes one away."""
    return _address(str(request.endpoint), changes)


def same_page(**names: Any) -> str:
    """This page, or its twin, of something else; without a query."""
    return url_for(str(request.endpoint), **names)


def go_on(path: str) -> Response:
    """Lead on to another page, as after a form was taken."""
    response = Response(status=303)
    response.location = path
    return response


def flash(kind: str, text: str) -> None:
    """Say something on the page that is shown next: `kind` is success, note, warn or alarm."""
    site().cookies.flash(kind, text)


def flashes() -> list[tuple[str, str]]:
    """What was to be said on this page, once: kinds and texts."""
    return site().cookies.flashes()


def _as_html(shown: Any, template: str, status: int) -> Response:
    return Response(render(template, page=shown), status, content_type="text/html; charset=utf-8")


def _as_json(shown: Any, status: int) -> Response:
    text = json.dumps(plain(shown), ensure_ascii=False, indent=2)
    return Response(text + "\n", status, content_type="application/json; charset=utf-8")


def _has_rule(endpoint: str) -> bool:
    return endpoint in current_app.view_functions


def _address(endpoint: str, changes: dict[str, Any]) -> str:
    """An address with this request's query. What anybody may write there must not become an option of `url_for`."""
    arguments: dict[str, Any] = {**request.args.to_dict(flat=False), **changes}
    query = urlencode({name: value for name, value in arguments.items() if value is not None}, doseq=True)
    path = url_for(endpoint, **(request.view_args or {}))
    return f"{path}?{query}" if query else path
