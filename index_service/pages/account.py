"""The pages of one's own account."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from index_service.accounts.models import AccessToken, BrowserSession, Email, User
from index_service.pages.forms import EMPTY, FormState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePage:
    """A person's profile form."""

    name: str
    full_name: str
    about: str
    location: str
    company: str
    website: str
    language: str
    created_at: datetime
    form: FormState = EMPTY

    @classmethod
    def of(cls, user: User, form: FormState = EMPTY) -> ProfilePage:
        return cls(
            name=user.name,
            full_name=user.full_name,
            about=user.about,
            location=user.location,
            company=user.company,
            website=user.website,
            language=user.language,
            created_at=user.created_at,
            form=form,
        )


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """The form for another password."""

    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class Address:
    """One of the person's email addresses; email about the account goes to the primary one."""

    address: str
    is_main: bool
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class EmailsPage:
    """The main address first."""

    addresses: tuple[Address, ...]
    form: FormState = EMPTY

    @classmethod
    def of(cls, held: Iterable[Email], form: FormState = EMPTY) -> EmailsPage:
        rows = tuple(Address(email.address, index == 0, email.confirmed_at) for index, email in enumerate(held))
        return cls(rows, form)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionShown:
    """A browser that somebody is signed in with; `browser` is what it calls itself."""

    id: str
    is_current: bool
    browser: str
    address: str
    created_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """The last used first."""

    sessions: tuple[SessionShown, ...]

    @classmethod
    def of(cls, held: Iterable[BrowserSession], current: str) -> SessionsPage:
        return cls(
            tuple(
                SessionShown(
                    id=record.digest,
                    is_current=record.digest == current,
                    browser=record.browser,
                    address=record.address,
                    created_at=record.created_at,
                    seen_at=record.seen_at,
                )
                for record in held
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShown:
    """An access token as it is listed: never itself."""

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
    def of(cls, token: AccessToken, now: datetime) -> TokenShown:
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


@dataclass(frozen=True, slots=True)
class TokensPage:
    """The newest first; `name` is the account's."""

    name: str
    tokens: tuple[TokenShown, ...]
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class NewTokenPage:
    """A new token, shown once, and how to use it; `host` is the index as docker names it."""

    name: str
    token_name: str
    secret: str
    host: str
    url: str

    @property
    def login(self) -> str:
        """The command to type; docker prompts for the password, which keeps it out of the shell's history."""
        return f"docker login -u {self.name} {self.host}"

    @property
    def dockercfg(self) -> str:
        """The entry of ~/.dockercfg, which daemons up to 1.6 read."""
        auth = base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()
        return json.dumps({f"{self.url}/v1/": {"auth": auth, "email": ""}}, indent=2)

    @property
    def config(self) -> str:
        """The entry of ~/.docker/config.json, which clients since 1.7 read."""
        auth = base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()
        return json.dumps({"auths": {f"{self.url}/v1/": {"auth": auth}}}, indent=2)
