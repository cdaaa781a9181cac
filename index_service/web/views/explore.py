"""The home page: featured repositories and how to start."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response

from index_service.current import services
from index_service.pages.explore import ExplorePage
from index_service.web.request_context import actor, site
from index_service.web.responses import page, render_page

_LOCAL = "127."

views = Blueprint("explore", __name__)


@page(views, "/", "/explore")
def home() -> Response:
    parts = urlsplit(site().url)
    # Docker speaks plain HTTP to localhost by default.
    is_secure = parts.scheme == "https" or site().host.startswith((_LOCAL, "localhost"))
    return render_page(
        ExplorePage.of(site().host, services().search.explore(actor()), is_secure=is_secure), "explore.html"
    )
