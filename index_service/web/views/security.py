"""Where people who find a vulnerability turn to (RFC 9116)."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response

from common.errors import NotFound
from index_service.web.request_context import site

VALID = timedelta(days=90)

views = Blueprint("security", __name__)


@views.get("/.well-known/security.txt")
def contact() -> Response:
    """The contact that the operator has set; it is valid from now on."""
    if not site().security_contact:
        raise NotFound("This site names no security contact")
    lines = (
        f"Contact: {site().security_contact}",
        f"Expires: {site().clock() + VALID:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {site().url}/.well-known/security.txt",
    )
    return Response("".join(f"{line}\n" for line in lines), content_type="text/plain; charset=utf-8")
