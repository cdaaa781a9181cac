"""One's own account: profile, access tokens, sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flask import request

from common.errors import Invalid
from index_service.accounts import access_tokens
from index_service.accounts.access_tokens import NewToken
from index_service.json_api.answers import All, Listing
from index_service.json_api.asking import address, asker, by_password, door, known, proved, services
from index_service.json_api.routes import LIST_SORTS, Routes, paged
from index_service.json_api.shapes import ABSENT, Absent
from index_service.pages import paging
from index_service.pages.account import Address, EmailsPage, ProfilePage, SessionShown, SessionsPage, TokenShown
from index_service.pages.repositories import RepositoryCard
from index_service.services.accounts import Profile

routes = Routes("account")


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What is to be changed of one's profile; what is left out stays as it is. An empty `language` is the browser's."""

    full_name: str | Absent = ABSENT
    about: str | Absent = ABSENT
    location: str | Absent = ABSENT
    company: str | Absent = ABSENT
    website: str | Absent = ABSENT
    language: Literal["", "en", "zh"] | Absent = ABSENT


@dataclass(frozen=True, slots=True)
class TokenBody:
    """An access token to be made. It opens repositories whose full names match `pattern`, in which `*` is any run of
    characters, to read or to write too, until `expires_at`; without that, until it is revoked."""

    name: str
    pattern: str = "*"
    access: Literal["read", "write"] = "read"
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenMade:
    """An access token, told this once."""

    secret: str
    token: TokenShown


@routes.get("/account", who=known)
def get_account() -> ProfilePage:
    """Who the caller is, and what is told of that person."""
    return ProfilePage.of(services().accounts.account(known()))


@routes.patch("/account", who=by_password)
def change_account(body: ProfileChange) -> ProfilePage:
    """Change one's profile."""
    profile = Profile(
        None if body.full_name is ABSENT else body.full_name,
        None if body.about is ABSENT else body.about,
        None if body.location is ABSENT else body.location,
        None if body.company is ABSENT else body.company,
        None if body.website is ABSENT else body.website,
        None if body.language is ABSENT else body.language,
    )
    services().accounts.change_profile(by_password(), profile)
    return ProfilePage.of(services().accounts.account(by_password()))


@routes.get("/account/starred", who=known, query=paged(LIST_SORTS))
def list_starred() -> Listing[RepositoryCard]:
    """What one likes."""
    asked = paging.asked(request.args, LIST_SORTS)
    hits, total = services().profiles.starred(known(), known().name, asked.sort, asked.size, asked.number)
    return Listing.of(asked.of(total), map(RepositoryCard.of, hits))


@routes.get("/account/emails", who=by_password)
def list_emails() -> All[Address]:
    """One's addresses, the main one first. They are changed on the site, which sends letters to them."""
    return All.of(EmailsPage.of(services().accounts.addresses(by_password())).addresses)


@routes.get("/account/tokens", who=by_password)
def list_access_tokens() -> All[TokenShown]:
    """One's access tokens, the newest first."""
    return All.of(_tokens())


@routes.post("/account/tokens", who=proved)
def create_access_token(body: TokenBody) -> TokenMade:
    """Make an access token."""
    asked = NewToken(
        access_tokens.check_name(body.name),
        access_tokens.check_pattern(body.pattern),
        body.access == "write",
        _future(body.expires_at),
    )
    secret, told = services().accounts.make_access_token(proved(), asked, address()), access_tokens.digest
    held = {token.digest: token for token in services().accounts.access_tokens(proved())}
    return TokenMade(secret, TokenShown.of(held[told(secret)], door().clock()))


@routes.delete("/account/tokens/<small_number:token>", who=by_password)
def revoke_access_token(token: int) -> None:
    """Revoke an access token, and what was issued with it."""
    services().accounts.revoke_access_token(by_password(), token, address())


@routes.get("/account/sessions", who=by_password)
def list_sessions() -> All[SessionShown]:
    """The browsers one is signed in with, the last used first."""
    session = asker().signed_in
    held = services().accounts.sessions(by_password())
    return All.of(SessionsPage.of(held, session.session if session else "").sessions)


@routes.delete("/account/sessions/<digest:session>", who=by_password)
def end_session(session: str) -> None:
    """Sign a browser out."""
    services().accounts.end_session(by_password(), session, address())


def _tokens() -> list[TokenShown]:
    now = door().clock()
    return [TokenShown.of(token, now) for token in services().accounts.access_tokens(by_password())]


def _future(moment: datetime | None) -> datetime | None:
    if moment is not None and moment <= door().clock():
        raise Invalid("expires_at has to lie in the future")
    return moment
