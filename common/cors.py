"""CORS: which web pages of other origins may use the v1 protocol from a browser. None may unless the operator says so.

Credentials that a browser adds by itself, as cookies, are never allowed: a page sends the user's password or token
itself, or nothing. A page of any origin, `*`, may only read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from common import headers

ANY = "*"

KEPT_SECONDS = 600
"""How long a browser keeps the answer to a preflight request."""

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_READING = "GET, HEAD"
_ALL = "GET, HEAD, PUT, POST, DELETE"
_ASKED = ", ".join(("Authorization", "Content-Type", "If-None-Match", "Range", headers.TOKEN))
_SHOWN = ", ".join(
    (
        headers.TOKEN,
        headers.ENDPOINTS,
        headers.SIZE,
        headers.CHECKSUM_PAYLOAD,
        headers.REQUEST_ID,
        "ETag",
        "Content-Range",
    )
)


def origins(text: str) -> tuple[str, ...]:
    """A setting: origins as browsers send them, comma-separated; or any."""
    found = tuple(item.rstrip("/") for item in map(str.strip, text.split(",")) if item)
    for origin in found:
        if origin != ANY and _ORIGIN.fullmatch(origin) is None:
            raise ValueError(f"{origin!r} is no origin such as https://ui.example, nor *")
    if ANY in found and len(found) > 1:
        raise ValueError("* allows any origin: name no other beside it")
    return found


class Cors:
    """WSGI middleware: adds to responses of the v1 protocol what lets pages of these origins read them."""

    def __init__(self, behind: WSGIApplication, allowed: Iterable[str]) -> None:
        self._behind = behind
        self._allowed = frozenset(allowed)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(("/v1/", "/_ping")):
            return self._behind(environ, start_response)
        added = self._headers(environ)

        def start(status: str, sent: list[tuple[str, str]], *info: Any) -> Any:
            return start_response(status, sent + added, *info)

        return self._behind(environ, start)

    def _headers(self, environ: WSGIEnvironment) -> list[tuple[str, str]]:
        origin = environ.get("HTTP_ORIGIN", "")
        # What is cached for one origin is not for another.
        varying = [] if ANY in self._allowed else [("Vary", "Origin")]
        if not origin or (ANY not in self._allowed and origin not in self._allowed):
            return varying
        allowed = [("Access-Control-Allow-Origin", ANY if ANY in self._allowed else origin), *varying]
        if environ["REQUEST_METHOD"] == "OPTIONS":
            methods = _READING if ANY in self._allowed else _ALL
            preflight = {"Methods": methods, "Headers": _ASKED}
            allowed += [(f"Access-Control-Allow-{name}", value) for name, value in preflight.items()]
            return [*allowed, ("Access-Control-Max-Age", str(KEPT_SECONDS))]
        return [*allowed, ("Access-Control-Expose-Headers", _SHOWN)]
