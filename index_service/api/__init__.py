"""The HTTP API for Docker clients: the v1 index protocol (§2), and `/v2/` for today's clients.

A slash at the end of a path means the repository itself, as in `PUT /v1/repositories/ns/images/`; without it
the same words name a part of a repository, here the images of `library/ns` (protocol §3.9).
"""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import PathConverter

from common.distribution import PREFIX
from index_service.api import distribution, keys, repositories, search, status, users

__all__ = ["install"]


class RepositoryItself(PathConverter):
    """A repository's name where nothing follows it; a name that ends like a part needs the slash."""

    regex = r"[^/].*?(?<!/images)(?<!/auth)(?<!/tags)"


def install(app: Flask, *, origin: str) -> None:
    """Give an application all routes of the index. `origin` is its public URL without a path, empty if not known."""
    app.url_map.converters["itself"] = RepositoryItself
    app.before_request(distribution.send_to_v1)
    app.register_blueprint(status.views)
    for views in (keys, users, repositories, search):
        app.register_blueprint(views.views, url_prefix="/v1")
    app.config["ORIGIN"] = origin
    app.register_blueprint(distribution.views, url_prefix=PREFIX)
