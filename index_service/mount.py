"""The mount point: the site below the path of its public URL, the protocols at the root, where their clients look.

A proxy may pass paths on as they are or without their prefix; pages link alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PROTOCOLS = frozenset({"v1", "v2", "_ping", "_ready", "_status"})
"""What paths of protocols begin with."""


def first_part(path: str) -> str:
    """`v1` of `/v1/search`."""
    return path.split("/", 2)[1] if path.startswith("/") else ""


class Mount:
    """A WSGI application whose site is below `prefix`, such as `/hub`."""

    def __init__(self, app: WSGIApplication, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        inner = path.removeprefix(self._prefix) if f"{path}/".startswith(f"{self._prefix}/") else path
        # Below the prefix there is no protocol: a proxy that guards one by its path guards all of it.
        if first_part(inner) not in PROTOCOLS:
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = self._prefix, inner or "/"
        return self._app(environ, start_response)
