"""Who is asking: credentials, uploader and client program of the request under way."""

from __future__ import annotations

import hashlib

from flask import Flask, Response, g, request

from common.names import RepositoryName
from common.tokens import Access, read_authorization
from registry_service.grants import Credentials, Gate
from registry_service.mirror.client import MIRROR_HEADER, asked_by

COOKIE = "grant"
PUSH_COOKIE = "push"
"""Set by a standalone registry when a push begins."""


def credentials() -> Credentials:
    return Credentials(request.headers.get("Authorization"), request.cookies.get(COOKIE))


def admit(gate: Gate, access: Access, repository: RepositoryName | None = None) -> Credentials:
    """Let the request in or raise Unauthenticated; a fresh grant goes back with the response as a cookie."""
    asking = credentials()
    g.grant = gate.admit(asking, access, repository)
    return asking


def repositories() -> list[RepositoryName]:
    """Those that the request's tokens are for: where routes name an image alone, a mirror knows by them whom to ask."""
    return [token.repository for token in read_authorization(request.headers.get("Authorization")) or ()]


def uploader() -> str:
    """Tells the pushes of two daemons apart, so that each has a stage of its own.

    A token belongs to one push. Without one, over TLS to a standalone registry, the account and the address
    are left, and the cookie that every daemon brings back.
    """
    authorization = request.headers.get("Authorization", "")
    tokens = read_authorization(authorization)
    # However the header spells it, the same token is the same push.
    who = str(tokens[0]) if tokens else f"{authorization} {request.remote_addr} {request.cookies.get(PUSH_COOKIE)}"
    return hashlib.sha256(who.encode("latin-1", "replace")).hexdigest()[:32]


def install(app: Flask) -> None:
    """Send fresh grants back: a cookie for this host, whichever registry behind it answers next."""

    @app.before_request
    def remember_mirrors() -> None:
        asked_by.set(tuple(filter(None, request.headers.get(MIRROR_HEADER, "").split(","))))

    @app.after_request
    def set_grant_cookie(response: Response) -> Response:
        grant = g.pop("grant", None)
        if grant is not None:
            response.headers.add("Set-Cookie", f"{COOKIE}={grant}; Path=/v1/; HttpOnly")
        return response
