"""The HTTP API for Docker clients: the v1 index protocol (§2).

A slash at the end of a path means the repository itself, as in `PUT /v1/repositories/ns/images/`; without it
the same words name a part of a repository, here the images of `library/ns` (protocol §3.9).
"""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import PathConverter

from index_service.api import repositories, search, users

__all__ = ["install"]


class RepositoryItself(PathConverter):
    """A repository's name where nothing follows it; a name that ends like a part needs the slash."""

    regex = r"[^/].*?(?<!/images)(?<!/auth)(?<!/tags)"


def install(app: Flask) -> None:
    """Give an application all routes of the index."""
    app.url_map.converters["itself"] = RepositoryItself
    app.before_request(search.greet_podman)
    for views in (users, repositories, search):
        app.register_blueprint(views.views, url_prefix="/v1")
