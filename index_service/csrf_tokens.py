"""CSRF tokens and the origin check, which tell a person's own requests from those that another site makes the browser
send.

A request passes if the browser says that it comes from this site and it carries the CSRF token of the session or,
without a session, of the browser.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import request

from common import http
from index_service.cookies import Cookies

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def derive(cookies: Cookies, bound: str) -> str:
    """The CSRF token that a changing request has to carry; `bound` names the session or the browser."""
    return hashlib.sha256(cookies.signed("csrf", bound).encode()).hexdigest()


def of_session(cookies: Cookies, session: str) -> str:
    """The CSRF token of a session, identified by its digest; a new one after every sign-in."""
    return derive(cookies, f"session:{session}")


def is_of_session(cookies: Cookies, session: str, given: str) -> bool:
    return is_equal(given, of_session(cookies, session))


def is_equal(given: str, expected: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def is_same_origin(origin: str) -> bool:
    """Whether the request is same-origin as far as its headers say; `origin` is this site's.

    Sec-Fetch-Site is sufficient by itself: behind a proxy that ends TLS we may not know our own origin.
    """
    told = request.headers.get("Sec-Fetch-Site")
    if told is not None:
        return told in ("same-origin", "none")
    given = request.headers.get("Origin")
    return given is None or given in (origin, _requested_origin())


def _requested_origin() -> str:
    """The origin that the request was sent to, as browsers write it: lower-case, without the scheme's default port."""
    host = (http.request_host() or "").lower().removesuffix(_DEFAULT_PORTS[request.scheme])
    return f"{request.scheme}://{host}"
