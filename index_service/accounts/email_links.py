"""Links in emails: signed, stateless, and invalid by themselves once they were used.

A confirmation names the account and the email address it confirms, and ends when that is confirmed or removed. A reset
carries a fingerprint of the password hash it replaces and ends with that password, when the account loses the address
it was sent to, or when all access of the account is revoked, which its `reset_generation` counts. So no link has to be
stored, and none works twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from common.errors import NotFound
from index_service.accounts.models import User

CONFIRM_LASTS = timedelta(days=7)
RESET_LASTS = timedelta(hours=2)

_CONFIRM = "confirm-for-account"
_RESET = "reset-by-address"
"""Not "confirm" and "reset": links of those kinds named no account and no address, and end."""


class LinkExpired(NotFound):
    """The link has no valid signature, was used, or has expired; the answer does not say which."""

    def __init__(self) -> None:
        super().__init__("This link has been used or has expired")


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """The account that may set a new password, and the fingerprint of the hash it replaces.

    `email_address` is the one the link was sent to, None for one that an administrator created.
    """

    user_id: int
    fingerprint: str
    email_address: str | None

    def is_for(self, user: User) -> bool:
        """Whether the account still has the password it had, and its links were not ended since."""
        return self.fingerprint == _mark(user)


class EmailLinks:
    """Signs and reads the links of one index."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = list(reversed(keys))

    def sign_confirmation(self, user_id: int, email_address: str, now: datetime) -> str:
        return self._sign(_CONFIRM, [user_id, email_address], now + CONFIRM_LASTS)

    def read_confirmation(self, link: str, now: datetime) -> tuple[int, str]:
        """The account and the email address that a link confirms. Raises LinkExpired."""
        user_id, email_address = self._read(_CONFIRM, link, now)
        return user_id, email_address

    def sign_reset(self, user: User, now: datetime, email_address: str | None = None) -> str:
        return self._sign(_RESET, [user.id, _mark(user), email_address], now + RESET_LASTS)

    def read_reset(self, link: str, now: datetime) -> ResetRequest:
        """The reset that a link allows. Raises LinkExpired."""
        user_id, of_password, email_address = self._read(_RESET, link, now)
        return ResetRequest(user_id, of_password, email_address)

    def _sign(self, kind: str, data: list[Any], until: datetime) -> str:
        return str(self._serializer(kind).dumps([*data, int(until.timestamp())]))

    def _read(self, kind: str, link: str, now: datetime) -> list[Any]:
        try:
            *data, until = self._serializer(kind).loads(link)
        except (BadData, ValueError, TypeError) as error:
            raise LinkExpired from error
        if now.timestamp() >= until:
            raise LinkExpired
        return data

    def _serializer(self, kind: str) -> URLSafeSerializer:
        options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        return URLSafeSerializer(self._keys, salt=f"wharfinger.index.{kind}", signer_kwargs=options)


def _mark(user: User) -> str:
    """Enough of a stored hash to know it again, and nothing to guess a password with; another once links were ended."""
    generation = str(user.reset_generation) if user.reset_generation else ""
    return hashlib.sha256(f"{user.password_hash}{generation}".encode()).hexdigest()[:32]
