"""What tells a request that somebody meant from one that another site made the person's browser send.

It is believed when the browser says that it comes from this very site and when it carries the token that belongs to
the session or, without one, to the browser.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import request

from index_service.cookies import Cookies


def token(cookies: Cookies, bound: str) -> str:
    """What a request has to bring that changes something; `bound` names the session or the browser."""
    return hashlib.sha256(cookies.signed("csrf", bound).encode()).hexdigest()


def of_session(cookies: Cookies, session: str) -> str:
    """The token of a session, known by its digest; another after every sign-in."""
    return token(cookies, f"session:{session}")


def is_of_session(cookies: Cookies, session: str, given: str) -> bool:
    return is_equal(given, of_session(cookies, session))


def is_equal(given: str, expected: str) -> bool:
    """Compared so that no time tells how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def comes_from_here(origin: str) -> bool:
    """Whether nothing says that another site made a browser send this request; `origin` is this site's.

    A browser's own word on it holds by itself: behind a proxy that ends TLS we may not know what we are called.
    """
    told = request.headers.get("Sec-Fetch-Site")
    if told is not None:
        return told in ("same-origin", "none")
    given = request.headers.get("Origin")
    return given is None or given in (origin, request.host_url.rstrip("/"))
