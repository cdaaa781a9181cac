"""How an answer to people is dressed: a page object becomes HTML, which names the API's resource for the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Blueprint, Response, request, url_for

from common import http
from index_service.web.rendering import render
from index_service.web.request_context import same_site_path, site
from index_service.web.urls import mounted

View = Callable[..., Response]

_API = "/api/v1"

_alternates: dict[str, tuple[str, tuple[str, ...]]] = {}
"""By endpoints of pages: the resource of the API that tells what a page shows, and what it is not asked."""


def page(views: Blueprint, rule: str, alternate: str = "", *, without: tuple[str, ...] = ()) -> Callable[[View], View]:
    """Register a view for the page at `rule`; `alternate` is the path within the API of a resource that tells the same,
    where there is one, with the names in `rule` that it needs. It is asked with the page's query, `without` what it
    would take otherwise."""

    def register(view: View) -> View:
        if alternate:
            _alternates[f"{views.name}.{view.__name__}"] = (_API + alternate, without)
        return views.get(rule)(view)

    return register


def render_page(shown: Any, template: str, status: int = 200) -> Response:
    """A page; `template` gets it as `page`."""
    alternate = alternate_url() if status == 200 else None
    text = render(template, page=shown, alternate=alternate)
    response = cache_privately(Response(text, status, content_type="text/html; charset=utf-8"))
    if status != 200:
        return response
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response


def cache_privately(response: Response) -> Response:
    """Mark a response as private to one reader, to be revalidated at every use."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie, Accept-Language"
    return response


def alternate_url() -> str | None:
    """Where the API tells what this page shows, with the same query; None where it does not, as for a form's answer."""
    found = _alternates.get(str(request.endpoint))
    if request.method not in ("GET", "HEAD") or found is None:
        return None
    resource, without = found
    path = mounted(resource).format(**{name: quote(str(value)) for name, value in (request.view_args or {}).items()})
    return f"{path}?{query}" if (query := _query(dict.fromkeys(without))) else path


def current_path() -> str:
    """The current page, to come back to: for a submitted form, the page it was sent from."""
    if request.method in ("GET", "HEAD"):
        return mounted(request.full_path.rstrip("?"))
    sent_from = urlsplit(request.referrer or "")
    if sent_from.netloc != http.request_host():
        return mounted("/")
    return same_site_path(f"{sent_from.path}?{sent_from.query}" if sent_from.query else sent_from.path)


def url_with(**changes: Any) -> str:
    """The URL of this page with other query arguments; None removes one."""
    path = url_for(str(request.endpoint), **(request.view_args or {}))
    return f"{path}?{query}" if (query := _query(changes)) else path


def same_page(**names: Any) -> str:
    """This page of something else; without a query."""
    return url_for(str(request.endpoint), **names)


def redirect_to(path: str) -> Response:
    """Redirect to another page, as after a form was accepted."""
    response = Response(status=303)
    response.location = path
    return response


def flash(kind: str, text: str) -> None:
    """Flash a message on the next page: `kind` is success, note, warn or alarm."""
    site().cookies.flash(kind, text)


def flashes() -> list[tuple[str, str]]:
    """The messages flashed for this page, once: kinds and texts."""
    return site().cookies.flashes()


def _query(changes: dict[str, Any]) -> str:
    """This request's query with these changes. What anybody may write there must not become an option of `url_for`."""
    arguments: dict[str, Any] = {**request.args.to_dict(flat=False), **changes}
    return urlencode({name: value for name, value in arguments.items() if value is not None}, doseq=True)
