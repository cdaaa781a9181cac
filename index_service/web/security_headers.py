"""The security headers of pages: Content-Security-Policy and its like."""

from __future__ import annotations

from flask import Response

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


_YEAR_SECONDS = 365 * 24 * 3600


def require_https(response: Response) -> Response:
    """Tell browsers to reach this host in no other way; other hosts of its domain may be reached as they like."""
    response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_SECONDS}"
    return response


def add(response: Response) -> Response:
    """Add them to a response, which may have set its own."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
