"""One's own account: profile, access tokens, sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from flask import request

from common.errors import Invalid
from index_service import paging
from index_service.accounts import access_tokens
from index_service.accounts.access_tokens import NewToken
from index_service.current import services
from index_service.json_api.bodies import UNSET, Timestamp, UnsetType, sent
from index_service.json_api.requester import api_context, by_password, client_address, known, proved, requester
from index_service.json_api.resources.account import AccessToken, Account, CreatedAccessToken, EmailAddress, Session
from index_service.json_api.resources.lists import List, Page
from index_service.json_api.resources.repositories import RepositoryListItem
from index_service.json_api.routes import LIST_SORTS, Routes, paged
from index_service.services.accounts import ProfileUpdate

routes = Routes("account")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """Changes to the profile of the account; what is left out stays as it is. An empty `language` is the browser's."""

    full_name: str | UnsetType = UNSET
    about: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    company: str | UnsetType = UNSET
    website: str | UnsetType = UNSET
    language: Literal["", "en", "zh"] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    """An access token to create. It opens repositories whose full names match `pattern`, in which `*` is any run of
    characters, to read or to write too, until `expires_at`; without that, until it is revoked."""

    name: str
    pattern: str = "*"
    access: Literal["read", "write"] = "read"
    expires_at: Timestamp | None = None


@routes.get("/account", who=known)
def get_account() -> Account:
    """Get the account of the caller."""
    return Account.of(services().accounts.account(known()))


@routes.patch("/account", who=by_password)
def change_account(body: AccountChange) -> Account:
    """Edit the profile of the account."""
    profile = ProfileUpdate(
        full_name=sent(body.full_name),
        about=sent(body.about),
        location=sent(body.location),
        company=sent(body.company),
        website=sent(body.website),
        language=sent(body.language),
    )
    services().accounts.change_profile(by_password(), profile)
    return Account.of(services().accounts.account(by_password()))


@routes.get("/account/starred", who=known, query=paged(LIST_SORTS))
def list_starred() -> Page[RepositoryListItem]:
    """List the repositories that the caller starred."""
    asked = paging.asked(request.args, LIST_SORTS)
    hits, total = services().profiles.starred(known(), known().name, asked.sort, asked.size, asked.number)
    return Page.of(asked.of(total), map(RepositoryListItem.of, hits))


@routes.get("/account/emails", who=by_password)
def list_emails() -> List[EmailAddress]:
    """List the email addresses of the account, the main one first. They are changed on the site, which confirms
    them."""
    return List.of(EmailAddress.all(services().accounts.addresses(by_password())))


@routes.get("/account/tokens", who=by_password)
def list_access_tokens() -> List[AccessToken]:
    """List the access tokens of the account, the newest first."""
    now = api_context().clock()
    return List.of(AccessToken.of(token, now) for token in services().accounts.access_tokens(by_password()))


@routes.post("/account/tokens", who=proved)
def create_access_token(body: NewAccessToken) -> CreatedAccessToken:
    """Create an access token."""
    asked = NewToken(
        access_tokens.validate_name(body.name),
        access_tokens.validate_pattern(body.pattern),
        body.access == "write",
        _future(body.expires_at),
    )
    secret, told = services().accounts.make_access_token(proved(), asked, client_address()), access_tokens.digest
    held = {token.digest: token for token in services().accounts.access_tokens(proved())}
    return CreatedAccessToken(secret=secret, token=AccessToken.of(held[told(secret)], api_context().clock()))


@routes.delete("/account/tokens/<small_number:token>", who=by_password)
def revoke_access_token(token: int) -> None:
    """Revoke an access token, and what was issued with it."""
    services().accounts.revoke_access_token(by_password(), token, client_address())


@routes.get("/account/sessions", who=by_password)
def list_sessions() -> List[Session]:
    """List the sessions of the account, the last used first."""
    signed_in = requester().signed_in
    current = signed_in.session if signed_in else ""
    return List.of(Session.of(record, current) for record in services().accounts.sessions(by_password()))


@routes.delete("/account/sessions/<digest:session>", who=by_password)
def end_session(session: str) -> None:
    """End a session."""
    services().accounts.end_session(by_password(), session, client_address())


def _future(expires_at: datetime | None) -> datetime | None:
    if expires_at is None:
        return None
    if expires_at <= api_context().clock():
        raise Invalid("expires_at has to lie in the future")
    try:
        return expires_at.astimezone(UTC)
    except OverflowError as error:
        raise Invalid("expires_at has to be a timestamp before the year 10000") from error
