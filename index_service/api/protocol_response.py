"""Responses of the protocol: token headers and empty bodies."""

from __future__ import annotations

from flask import Response

from common import headers
from common.http import reply
from index_service.services.protocol import Issued


def issued_headers(issued: Issued) -> dict[str, str]:
    """The three headers of a route that issues tokens (protocol §2.3); no other route may send them (§1.4)."""
    return {
        headers.TOKEN: str(issued.token),
        "WWW-Authenticate": f"Token {issued.token}",
        headers.ENDPOINTS: issued.endpoint,
    }


def reply_empty() -> Response:
    """204, which has no body."""
    response = reply(None, 204)
    response.set_data(b"")
    return response
