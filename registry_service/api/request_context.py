"""The context of the current request: the registry, its credentials and authorization, its uploader."""

from __future__ import annotations

import hashlib
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, current_app, g, request
from werkzeug.sansio.http import parse_cookie

from common import headers
from common.names import ImageId, RepositoryName
from common.tokens import Access, read_authorization
from registry_service.grants import Credentials
from registry_service.mirror.client import via_mirrors
from registry_service.services import Registry

EXTENSION = "wharfinger-registry"

GRANT_COOKIE = "grant"
PUSH_COOKIE = "push"
"""Set by a standalone registry when a push begins."""

_MIRRORS = f"HTTP_{headers.MIRROR.upper().replace('-', '_')}"


def credentials(environ: WSGIEnvironment) -> Credentials:
    # Bytes that are no text stay what WSGI makes of them: this parser takes any, the one of werkzeug.http raises.
    cookies = environ.get("HTTP_COOKIE")
    return Credentials(environ.get("HTTP_AUTHORIZATION"), parse_cookie(cookies).get(GRANT_COOKIE) if cookies else None)


def registry() -> Registry:
    """The services of the current application."""
    services: Registry = current_app.extensions[EXTENSION]
    return services


def admit(access: Access, repository: RepositoryName | None = None) -> Credentials:
    """Authorize the request or raise Unauthenticated; a new grant is sent with the response as a cookie."""
    sent = credentials(request.environ)
    g.grant = registry().gate.admit(sent, access, repository)
    return sent


def uploader() -> str:
    """An identifier of the uploader, so that the pushes of two daemons have separate stages.

    A token belongs to one push. Without one, over TLS to a standalone registry, the account, the address and the push
    cookie identify it.
    """
    authorization = request.headers.get("Authorization", "")
    tokens = read_authorization(authorization)
    # Parsed, because a header may spell the same token in several ways.
    who = str(tokens[0]) if tokens else f"{authorization} {request.remote_addr} {request.cookies.get(PUSH_COOKIE)}"
    return hashlib.sha256(who.encode("latin-1", "replace")).hexdigest()[:32]


def conclude(sent: Credentials, image: ImageId) -> None:
    """Publish an image that the uploader sent without a checksum, because the request needs it."""
    registry().push.conclude(image, uploader(), holder=registry().gate.holder(sent))


def set_mirrors(environ: WSGIEnvironment) -> None:
    """Record the mirrors that the request has passed through."""
    named = environ.get(_MIRRORS)
    via_mirrors.set(tuple(filter(None, named.split(","))) if named else ())


def cookie_header(environ: WSGIEnvironment, name: str, value: str) -> tuple[str, str]:
    """The header that sets a cookie, valid at every registry process behind this host; a page of another site cannot
    have it sent.
    """
    secure = "; Secure" if environ["wsgi.url_scheme"] == "https" else ""
    return "Set-Cookie", f"{name}={value}; Path=/v1/; HttpOnly; SameSite=Strict{secure}"


def install(app: Flask, services: Registry) -> None:
    app.extensions[EXTENSION] = services

    @app.before_request
    def begin() -> None:
        set_mirrors(request.environ)

    @app.after_request
    def set_grant_cookie(response: Response) -> Response:
        grant = g.pop("grant", None)
        if grant is not None:
            response.headers.add(*cookie_header(request.environ, GRANT_COOKIE, grant))
        return response
