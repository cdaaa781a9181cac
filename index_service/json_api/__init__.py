"""The JSON API: everything the site shows and does, under `/api/v1`, described by an OpenAPI document.

Nothing here is a page, sets a cookie or redirects.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from index_service.converters import Number, SmallNumber
from index_service.cookies import SESSION, Cookies
from index_service.db import Clock
from index_service.json_api import openapi, requester
from index_service.json_api.routes import PREFIX, Digest, Named, Someone
from index_service.json_api.views import ROUTES
from index_service.settings import IndexSettings

__all__ = ["install"]

_HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Authorization, Cookie",
}


def install(app: Flask, settings: IndexSettings, clock: Clock) -> None:
    """Give an application the API."""
    parts = urlsplit(settings.site)
    cookies = Cookies(settings.secret_keys, secure=parts.scheme == "https")
    described = [route for routes in ROUTES for route in routes.described]
    document = openapi.document(described, site=settings.site, cookie=cookies.name(SESSION))
    origin = f"{parts.scheme}://{parts.netloc}"
    app.extensions[requester.EXTENSION] = requester.ApiContext(
        cookies=cookies, clock=clock, origin=origin, url=settings.site, host=parts.netloc, document=document
    )
    app.url_map.converters.update(digest=Digest, named=Named, number=Number, small_number=SmallNumber, someone=Someone)
    app.after_request(_finish)
    for routes in ROUTES:
        app.register_blueprint(routes.blueprint)


def _finish(response: Response) -> Response:
    if not request.path.startswith(f"{PREFIX}/"):
        return response
    if response.status_code == 401:
        # A challenge for Basic would make browsers open a password dialog of their own.
        response.headers["WWW-Authenticate"] = 'Bearer realm="wharfinger"'
    response.headers.update(_HEADERS)
    return response
