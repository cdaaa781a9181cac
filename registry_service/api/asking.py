"""Who is asking: credentials, uploader and client program of the request under way."""

from __future__ import annotations

import hashlib
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, g, request
from werkzeug.sansio.http import parse_cookie

from common.names import RepositoryName
from common.tokens import Access, read_authorization
from registry_service.grants import Credentials, Gate
from registry_service.mirror.client import MIRROR_HEADER, via_mirrors

COOKIE = "grant"
PUSH_COOKIE = "push"
"""Set by a standalone registry when a push begins."""

_MIRRORS = f"HTTP_{MIRROR_HEADER.upper().replace('-', '_')}"


def credentials(environ: WSGIEnvironment) -> Credentials:
    # Bytes that are no text stay what WSGI makes of them: this parser takes any, the one of werkzeug.http raises.
    cookies = environ.get("HTTP_COOKIE")
    return Credentials(environ.get("HTTP_AUTHORIZATION"), parse_cookie(cookies).get(COOKIE) if cookies else None)


def admit(gate: Gate, access: Access, repository: RepositoryName | None = None) -> Credentials:
    """Let the request in or raise Unauthenticated; a fresh grant goes back with the response as a cookie."""
    asking = credentials(request.environ)
    g.grant = gate.admit(asking, access, repository)
    return asking


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


def remember_mirrors(environ: WSGIEnvironment) -> None:
    """By way of which mirrors this request came."""
    named = environ.get(_MIRRORS)
    via_mirrors.set(tuple(filter(None, named.split(","))) if named else ())


def grant_cookie(grant: str) -> tuple[str, str]:
    """The header that sends a fresh grant back: for this host, whichever registry behind it answers next."""
    return "Set-Cookie", f"{COOKIE}={grant}; Path=/v1/; HttpOnly"


def install(app: Flask) -> None:
    @app.before_request
    def begin() -> None:
        remember_mirrors(request.environ)

    @app.after_request
    def set_grant_cookie(response: Response) -> Response:
        grant = g.pop("grant", None)
        if grant is not None:
            response.headers.add(*grant_cookie(grant))
        return response
