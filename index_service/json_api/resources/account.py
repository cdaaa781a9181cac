"""The caller's own account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from index_service.accounts import models


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account of the caller; an empty `language` is the browser's."""

    name: str
    full_name: str
    about: str
    location: str
    company: str
    website: str
    language: str
    created_at: datetime

    @classmethod
    def of(cls, user: models.User) -> Account:
        return cls(
            name=user.name,
            full_name=user.full_name,
            about=user.about,
            location=user.location,
            company=user.company,
            website=user.website,
            language=user.language,
            created_at=user.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailAddress:
    """An address of the account; messages about the account go to the main one."""

    address: str
    is_main: bool
    confirmed_at: datetime | None

    @classmethod
    def all(cls, held: Sequence[models.Email]) -> tuple[EmailAddress, ...]:
        """The first is the main one."""
        return tuple(
            cls(address=email.address, is_main=index == 0, confirmed_at=email.confirmed_at)
            for index, email in enumerate(held)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that is signed in; `browser` is its User-Agent."""

    id: str
    is_current: bool
    browser: str
    address: str
    created_at: datetime
    seen_at: datetime

    @classmethod
    def of(cls, record: models.BrowserSession, current: str) -> Session:
        return cls(
            id=record.digest,
            is_current=record.digest == current,
            browser=record.browser,
            address=record.address,
            created_at=record.created_at,
            seen_at=record.seen_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token without its secret."""

    id: int
    name: str
    pattern: str
    can_write: bool
    created_at: datetime
    expires_at: datetime | None
    is_expired: bool
    used_at: datetime | None
    used_from: str

    @classmethod
    def of(cls, token: models.AccessToken, now: datetime) -> AccessToken:
        return cls(
            id=token.id,
            name=token.name,
            pattern=token.pattern,
            can_write=token.can_write,
            created_at=token.created_at,
            expires_at=token.expires_at,
            is_expired=token.expires_at is not None and token.expires_at <= now,
            used_at=token.used_at,
            used_from=token.used_from,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedAccessToken:
    """An access token just created, with its secret, which is shown only once."""

    secret: str
    token: AccessToken
