"""Authentication of API requests, by credential or session, and the requirements of routes; includes the CSRF check.

    proof                                     good for
    Basic, with the account's password        everything the account may do
    Basic or Bearer, with an access token     what the token was made for; never the account itself
    the site's session cookie                 everything; to change something also the token of the session, and for
                                              what is dangerous a password given lately

A wrong credential is refused, never treated as anonymous. A changing request must not come from another site: browsers
attach cookies, and passwords once entered, to whatever a page of another site requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import current_app, g, request

from common.errors import Forbidden, Unauthenticated
from index_service import csrf_tokens
from index_service.accounts import privileges
from index_service.accounts.actor import Actor
from index_service.accounts.sessions import SignedIn
from index_service.cookies import SESSION, Cookies
from index_service.current import services
from index_service.db import Clock
from index_service.services.credentials import read_basic

EXTENSION = "wharfinger-json-api"
CSRF_HEADER = "X-CSRF-Token"


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """What the API's views depend on; `origin`, `url` and `host` are the site's, `document` describes the API."""

    cookies: Cookies
    clock: Clock
    origin: str
    url: str
    host: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Requester:
    """The requester: anonymous, authenticated by a credential, or signed in with a browser."""

    actor: Actor | None = None
    signed_in: SignedIn | None = None


class CsrfFailure(Forbidden):
    """The CSRF check failed: another site may have sent the request."""

    def __init__(self) -> None:
        super().__init__(
            f"Not sent from this site: with a session, {CSRF_HEADER} has to bring the csrf field of any of its forms"
        )


def api_context() -> ApiContext:
    found: ApiContext = current_app.extensions[EXTENSION]
    return found


def requester() -> Requester:
    """The requester, looked up once per request. Raises Unauthenticated, Forbidden or TooMany."""
    if "asker" not in g:
        g.asker = _find()
    found: Requester = g.asker
    return found


def actor() -> Actor | None:
    return requester().actor


def anybody() -> None:
    """Anybody; but a credential, if sent, has to be right."""
    requester()


def known() -> Actor:
    """Raises Unauthenticated for a caller without a login."""
    found = actor()
    if found is None:
        raise Unauthenticated("Requires authorization")
    return found


def by_password() -> Actor:
    """An actor without an access token. Raises Unauthenticated or Forbidden."""
    found = known()
    if found.limits is not None:
        raise Forbidden("Access tokens are not accepted for this")
    return found


def proved() -> Actor:
    """An actor who sent the password, or entered it in the session recently. Raises Unauthenticated or Forbidden."""
    found, session = by_password(), requester().signed_in
    if session is not None and not privileges.is_reauthenticated(session.proved_at, api_context().clock()):
        raise Forbidden("Enter your password again: at /prove, or with this request")
    return found


def administrator() -> Actor:
    """Raises Unauthenticated or Forbidden."""
    return privileges.require_administrator(actor())


def proved_administrator() -> Actor:
    administrator()
    return proved()


def client_address() -> str:
    """The client's IP address, as far as the configured proxies are trusted."""
    return (request.remote_addr or "local")[:45]


def _find() -> Requester:
    changes = request.method not in ("GET", "HEAD")
    if changes and not csrf_tokens.is_same_origin(api_context().origin):
        raise CsrfFailure
    value = request.headers.get("Authorization", "").strip()
    if value:
        return Requester(_by_header(value))
    secret = api_context().cookies.read(SESSION)
    found = services().accounts.signed_in(secret) if secret else None
    if found is None:
        return Requester()
    if changes and not csrf_tokens.is_of_session(
        api_context().cookies, found.session, request.headers.get(CSRF_HEADER, "")
    ):
        raise CsrfFailure
    return Requester(found.actor, found)


def _by_header(value: str) -> Actor | None:
    scheme, _, given = value.partition(" ")
    authentication = services().authentication
    if scheme.lower() == "bearer":
        return authentication.sign_in_bearer(given.strip(), client_address())
    if scheme.lower() != "basic":
        raise Unauthenticated("Unknown authorization scheme: use Basic or Bearer")
    name, password = read_basic(given)
    # Clients without a login may send an empty name and password.
    return authentication.sign_in_client(name, password, client_address()) if name or password else None
