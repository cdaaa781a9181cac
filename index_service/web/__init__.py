"""The site: pages, forms, templates and their security.

A view has three steps: it parses the request, calls one service, and renders the result. What a page shows is a
dataclass of `index_service.pages`, rendered by `responses.render_page`; programs use the API instead, to which the
page's `<link rel="alternate">` leads.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from index_service.converters import Number
from index_service.cookies import Cookies
from index_service.db import Clock
from index_service.settings import IndexSettings
from index_service.web import (
    assets,
    csrf,
    environment,
    error_pages,
    languages,
    request_context,
    security_headers,
    urls,
)
from index_service.web.views import VIEWS

__all__ = ["install"]


def install(app: Flask, settings: IndexSettings, clock: Clock) -> None:
    """Give an application the site."""
    secure = urlsplit(settings.site).scheme == "https"
    cookies = Cookies(settings.secret_keys, secure=secure)
    app.extensions[request_context.EXTENSION] = request_context.Site(
        cookies=cookies,
        clock=clock,
        url=settings.site,
        sign_up=settings.sign_up,
        endpoints=settings.registry_endpoints,
        security_contact=settings.security_contact,
    )
    app.extensions[assets.EXTENSION] = assets.load()
    languages.load()
    environment.install(app)
    app.before_request(_begin)
    if secure:
        # Called after `_finish`, which makes a page of an error.
        app.after_request(security_headers.require_https)
    app.after_request(_finish)
    app.url_map.converters["repository"] = urls.RepositoryConverter
    app.url_map.converters["number"] = Number
    app.register_error_handler(request_context.ReauthenticationRequired, error_pages.redirect_to_password)
    for views in (assets.views, *VIEWS):
        app.register_blueprint(views)


def _begin() -> None:
    if request_context.is_site_path(request.path) and request.endpoint != "assets.static":
        request_context.choose_language()
        csrf.verify()


def _finish(response: Response) -> Response:
    if not request_context.is_site_path(request.path):
        return response
    response = error_pages.to_error_page(response)
    if request.endpoint != "assets.static":
        request_context.site().cookies.finish(response)
    return security_headers.add(response)
