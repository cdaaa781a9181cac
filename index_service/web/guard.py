"""What keeps other sites out: headers on every page, and proof that a form is one of ours.

A form is believed when the browser says that it comes from this very site and when it carries the token that belongs to
this session or, without one, to this browser.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import Response, request
from markupsafe import Markup

from common.errors import Forbidden
from index_service.web.asking import person, site

FIELD = "csrf"
MAX_FORM_BYTES = 2 * 1024 * 1024

CONTENT_SECURITY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class StrangeForm(Forbidden):
    """Sent by another site, or by a page older than this session."""

    def __init__(self) -> None:
        super().__init__("The form is too old or was not sent from this site; load its page again")


def check() -> None:
    """Before every request that could change something. Raises StrangeForm."""
    request.max_content_length = request.max_form_memory_size = MAX_FORM_BYTES
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if not _comes_from_here() or not hmac.compare_digest(request.form.get(FIELD, "").encode(), token().encode()):
        raise StrangeForm


def protect(response: Response) -> Response:
    """The headers of every answer that people see."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def token() -> str:
    """What a form has to bring; another after every sign-in."""
    found, cookies = person(), site().cookies
    bound = f"session:{found.session}" if found else f"visitor:{cookies.visitor()}"
    return hashlib.sha256(cookies.signed("csrf", bound).encode()).hexdigest()


def field() -> Markup:
    """The token as a hidden field."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token())


def _comes_from_here() -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin in (site().origin, request.host_url.rstrip("/"))
