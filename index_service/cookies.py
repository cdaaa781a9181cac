"""The cookies of the site, and their signed values.

If the site is served over https, cookies are `Secure` and have the prefix `__Host-`, so that no other host of the
domain can set one.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from flask import Response, g, request
from itsdangerous import BadData, URLSafeSerializer

SESSION = "session"
VISITOR = "visitor"
LANGUAGE = "language"
FLASH = "flash"

YEAR_SECONDS = 365 * 24 * 3600


class Cookies:
    """Names, signs and sets cookies for one site."""

    def __init__(self, keys: tuple[str, ...], *, secure: bool) -> None:
        self._keys = list(reversed(keys))
        self._secure = secure

    def name(self, kind: str) -> str:
        return f"__Host-wharfinger-{kind}" if self._secure else f"wharfinger-{kind}"

    def read(self, kind: str) -> str:
        """The cookie as it was sent; empty if it is missing."""
        return request.cookies.get(self.name(kind), "")

    def set(self, response: Response, kind: str, value: str, seconds: int | None = None) -> None:
        """For `seconds`, or until the browser is closed."""
        response.set_cookie(
            self.name(kind), value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="Lax"
        )

    def drop(self, response: Response, kind: str) -> None:
        response.delete_cookie(self.name(kind), path="/", secure=self._secure, httponly=True, samesite="Lax")

    def signed(self, kind: str, value: Any) -> str:
        return str(self._serializer(kind).dumps(value))

    def unsigned(self, kind: str, text: str) -> Any:
        """The signed value; None if the signature is invalid or for another purpose."""
        try:
            return self._serializer(kind).loads(text)
        except BadData:
            return None

    def visitor(self) -> str:
        """The random id of a browser without a session, which its CSRF tokens are bound to."""
        if "visitor" not in g:
            known = self.unsigned(VISITOR, self.read(VISITOR))
            g.visitor = known if isinstance(known, str) else secrets.token_urlsafe(16)
            g.new_visitor = g.visitor != known
        name: str = g.visitor
        return name

    def flash(self, kind: str, text: str) -> None:
        """Flash a message on the next page: `kind` is success, note, warn or alarm."""
        g.setdefault("flashes", []).append([kind, text])

    def flashes(self) -> list[tuple[str, str]]:
        """The flashed messages, once."""
        said = self.unsigned(FLASH, self.read(FLASH))
        g.flashed = said is not None
        return [(kind, text) for kind, text in [*(said or []), *g.pop("flashes", [])]]

    def finish(self, response: Response) -> None:
        """Set the cookies that this request changed."""
        if g.get("new_visitor"):
            self.set(response, VISITOR, self.signed(VISITOR, g.visitor))
        if g.get("flashes"):
            self.set(response, FLASH, self.signed(FLASH, g.flashes), 120)
        elif g.get("flashed"):
            self.drop(response, FLASH)

    def _serializer(self, kind: str) -> URLSafeSerializer:
        options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(self._keys, salt=f"wharfinger.site.{kind}", signer_kwargs=options)
