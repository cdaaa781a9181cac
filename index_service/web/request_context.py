"""The request context of a view: who is signed in, the language, the client's address, and the services."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import current_app, g, request

from common.errors import Forbidden, Invalid, Unauthenticated
from index_service.accounts import privileges
from index_service.accounts.actor import Actor
from index_service.accounts.sessions import SignedIn
from index_service.cookies import LANGUAGE, SESSION, Cookies
from index_service.current import services
from index_service.db import Clock
from index_service.mount import PROTOCOLS, first_part
from index_service.services.accounts import Browser
from index_service.web import languages
from index_service.web.urls import mounted

EXTENSION = "wharfinger-site"
MAX_BROWSER = 255
MAX_QUERY = 255

_NO_PAGES = {"api", *PROTOCOLS}
_SAME_SITE_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1000}")


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the views depend on."""

    cookies: Cookies
    clock: Clock
    url: str
    sign_up: str
    endpoints: tuple[str, ...]
    security_contact: str

    @property
    def host(self) -> str:
        """The index as docker names it: host, and port unless it is the scheme's default."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class ReauthenticationRequired(Forbidden):
    """The password has to be entered again first."""

    def __init__(self) -> None:
        super().__init__("Enter your password again to continue")


def site() -> Site:
    found: Site = current_app.extensions[EXTENSION]
    return found


def is_site_path(path: str) -> bool:
    """Whether the path is one of the site, not of a protocol, whose clients never get a page."""
    return path.startswith("/") and first_part(path) not in _NO_PAGES


def signed_in() -> SignedIn | None:
    """The signed-in person, looked up once per request."""
    if "person" not in g:
        g.person = _find_signed_in()
    found: SignedIn | None = g.person
    return found


def actor() -> Actor | None:
    """The signed-in person as an actor, as services take it."""
    found = signed_in()
    return None if found is None else found.actor


def require_signed_in() -> SignedIn:
    """The signed-in person. Raises Unauthenticated, which redirects to the sign-in page and back."""
    found = signed_in()
    if found is None:
        raise Unauthenticated("Sign in first")
    return found


def require_reauthenticated() -> SignedIn:
    """The signed-in person, recently reauthenticated. Raises Unauthenticated or ReauthenticationRequired."""
    found = require_signed_in()
    if not privileges.is_reauthenticated(found.proved_at, site().clock()):
        raise ReauthenticationRequired
    return found


def require_admin() -> Actor:
    """Raises Unauthenticated, or Forbidden unless the actor is an administrator."""
    return privileges.require_administrator(require_signed_in().actor)


def client_address() -> str:
    """The browser's IP address, as far as the configured proxies are trusted."""
    return (request.remote_addr or "local")[:45]


def browser() -> Browser:
    """The browser's IP address and User-Agent, whose printable characters are truncated to what is stored."""
    name = "".join(filter(str.isprintable, request.headers.get("User-Agent", "")))
    return Browser(client_address(), name[:MAX_BROWSER])


def same_site_path(text: str | None, default: str = "") -> str:
    """A safe path to redirect to; everything else, such as another site's URL, becomes the default or the home page."""
    return text if text and _SAME_SITE_PATH.fullmatch(text) else default or mounted("/")


def next_path(default: str = "") -> str:
    """The path that a form or a URL asks to be redirected to."""
    return same_site_path(request.values.get("next"), default)


def search_query() -> str:
    """The search query of the URL. Raises Invalid."""
    text = request.args.get("q", "")
    if len(text) > MAX_QUERY:
        raise Invalid("The query is too long")
    return text


def choose_language() -> None:
    """The person's language, else the one chosen in this browser, else the best match of Accept-Language."""
    found = signed_in()
    chosen = (found.language if found else "") or site().cookies.read(LANGUAGE)
    languages.use(chosen if chosen in languages.LANGUAGES else languages.best(list(request.accept_languages)))


def _find_signed_in() -> SignedIn | None:
    secret = site().cookies.read(SESSION)
    return services().accounts.signed_in(secret) if secret else None
