"""URLs of pages, as browsers see them: below the path where the site is mounted, except in letters.

A repository's name is written as people say it, without `library/`.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import has_request_context, request
from werkzeug.routing import PathConverter

from common.names import LIBRARY


class RepositoryConverter(PathConverter):
    """A repository's name with all its slashes; parts of its page begin with `@`, which no name holds."""

    regex = r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*"

    def to_url(self, value: object) -> str:
        return short(str(value))


def short(full_name: str) -> str:
    """`busybox` for `library/busybox`, and every other name as it is."""
    return full_name.removeprefix(f"{LIBRARY}/")


def mounted(path: str) -> str:
    """The URL of a path within the site."""
    return f"{request.script_root}{path}" if has_request_context() else path


def repository_url(full_name: object, part: str = "") -> str:
    """The URL of a repository's page, or of a part of it such as `tags`."""
    path = mounted(f"/r/{quote(short(str(full_name)))}")
    return f"{path}/@{part}" if part else path


def image_url(image_id: object, part: str = "") -> str:
    """The URL of an image's page, or of a part of it such as `graph`."""
    return mounted(f"/i/{quote(str(image_id))}{'/' + part if part else ''}")


def person_url(name: object, part: str = "") -> str:
    """The URL of a person's or an organisation's page, or of a part of it such as `settings`."""
    return mounted(f"/u/{quote(str(name))}{'/@' + part if part else ''}")
