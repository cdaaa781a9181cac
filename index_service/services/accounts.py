"""A person's own account: signing up, in and out, and everything on the account's pages.

Each method is one request, served within short transactions or refused. Passwords are hashed outside of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update

from common import request_record
from common.errors import Forbidden, TooMany
from index_service.accounts import (
    access_tokens,
    authentication,
    email_addresses,
    known_networks,
    password_changes,
    sessions,
    validators,
)
from index_service.accounts.access_tokens import NewToken
from index_service.accounts.actor import Actor
from index_service.accounts.email_addresses import NoSuchAddress
from index_service.accounts.email_links import EmailLinks, LinkExpired
from index_service.accounts.models import AccessToken, BrowserSession, Email, User
from index_service.accounts.registration import NameTaken
from index_service.accounts.sessions import SignedIn
from index_service.audit.log import AuditContext, Named
from index_service.client_address import network_of
from index_service.database import UNWRITABLE, Database
from index_service.db import Clock
from index_service.mail import outbox
from index_service.services import letters
from index_service.services.authentication import Authentication
from index_service.services.login_guard import LETTERS_PERIOD, LoginGuard
from index_service.services.registration import Registration, SignUp


class SignUpClosed(Forbidden):
    def __init__(self) -> None:
        super().__init__("Sign-up is closed; ask an administrator for an account")


@dataclass(frozen=True, slots=True)
class Browser:
    """The IP address and the User-Agent of a browser."""

    client_ip: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileUpdate:
    """A change of a person's profile; None leaves a field as it is."""

    full_name: str | None = None
    about: str | None = None
    location: str | None = None
    company: str | None = None
    website: str | None = None
    language: str | None = None


_VALIDATORS: dict[str, Callable[[str], str]] = {
    "full_name": lambda text: validators.validate_text(text, 100),
    "about": lambda text: validators.validate_text(text, 500, lines=True),
    "location": lambda text: validators.validate_text(text, 100),
    "company": lambda text: validators.validate_text(text, 100),
    "website": validators.validate_website,
    "language": str,
}
"""Of each part of a profile what makes sure of it, or raises Invalid."""


class Accounts:
    """The requests of the pages around accounts."""

    def __init__(
        self,
        database: Database,
        authentication: Authentication,
        registration: Registration,
        guard: LoginGuard,
        links: EmailLinks,
        clock: Clock,
        *,
        sign_up: str,
        session_days: int,
    ) -> None:
        self._database = database
        self._authentication = authentication
        self._registration = registration
        self._guard = guard
        self._links = links
        self._clock = clock
        self._sign_up = sign_up
        self._longest = timedelta(days=session_days)

    # Signing in and out

    def signed_in(self, secret: str) -> SignedIn | None:
        """The signed-in person of a cookie; periodically updates the session's last use."""
        now = self._clock()
        with self._database.reading() as session:
            found = sessions.find(session, secret, now, self._longest)
        if found is not None:
            request_record.note_account(found.actor.name, None)
        if found is not None and found.is_due(now):
            with suppress(*UNWRITABLE), self._database.writing() as session:
                sessions.touch(session, found, now)
        return found

    def sign_in(self, name: str, password: str, browser: Browser, old: str = "") -> str:
        """Sign in with a new session that replaces the browser's `old` one; returns its secret.

        Raises WrongCredential, AccountInactive or TooMany.
        """
        return self._begin(self._authentication.sign_in(name, password, browser.client_ip), browser, old)

    def sign_out(self, who: SignedIn) -> None:
        with self._database.writing() as session:
            sessions.end(session, who.actor.id, who.session)

    def prove(self, who: SignedIn, password: str, client_ip: str) -> None:
        """Reauthenticate with the password before a dangerous action. Raises WrongPassword or TooMany."""
        self._authentication.prove(who.actor.name, password, client_ip)
        with self._database.writing() as session:
            sessions.record_reauthentication(session, who.session, self._clock())

    # Signing up, confirming, resetting

    def sign_up(self, name: str, email: str, password: str, browser: Browser, old: str = "") -> str:
        """Create an account, signed in with a session that replaces the browser's `old` one; returns its secret.

        Raises Invalid, NameTaken, SignUpClosed or TooMany.
        """
        if self._sign_up != "open":
            raise SignUpClosed
        if self._registration.sign_up(name, password, email, browser.client_ip) is not SignUp.CREATED:
            raise NameTaken
        with self._database.reading() as session:
            user = authentication.require(session, name)
        return self._begin(authentication.actor_of(user), browser, old)

    def send_confirmation(self, name: str, email_address: str, language: str) -> bool:
        """Write the letter that confirms an email address of an account; False if too many letters were sent there."""
        with self._database.writing() as session:
            if not self._guard.may_write_to(session, email_address):
                return False
            user = authentication.require(session, name)
            letters.write_confirmation(session, user.id, email_address, self._clock(), user.language or language)
            return True

    def to_confirm(self, link: str) -> str:
        """The email address that a link would confirm. Raises LinkExpired."""
        user_id, email_address = self._links.read_confirmation(link, self._clock())
        with self._database.reading() as session:
            if email_addresses.find_unconfirmed(session, user_id, email_address) is None:
                raise LinkExpired
        return email_address

    def confirm(self, link: str, client_ip: str) -> str:
        """Confirm the email address of a link; `client_ip` is the browser's, for the audit log. Raises
        LinkExpired, or AddressTaken if another account has confirmed it."""
        context = self._context(None, client_ip)
        user_id, confirmed = self._links.read_confirmation(link, context.at)
        with self._database.writing() as session:
            if not email_addresses.confirm(session, context, user_id, confirmed):
                raise LinkExpired
        return confirmed

    def request_reset(self, email: str, client_ip: str, language: str) -> None:
        """Request letters that reset a password. Raises TooMany.

        Whether the address has an account is found out when they are sent: the time of the response tells nothing.
        """
        to = email.lower()
        self._guard.count(f"reset {to}", client_ip)
        with self._database.writing() as session:
            is_allowed = self._guard.may_write_to(session, to)
            if is_allowed:
                details = {"address": client_ip}
                outbox.add(session, letters.RESET_ASKED, to, self._clock(), language=language, details=details)
        if not is_allowed:
            raise TooMany("Too many attempts, try again later", int(LETTERS_PERIOD.total_seconds()))

    def to_reset(self, link: str) -> str:
        """The account whose password a link would reset. Raises LinkExpired."""
        with self._database.reading() as session:
            context = self._context(None, "")
            return password_changes.resettable(session, context, self._links, link).name

    def reset(self, link: str, password: str, browser: Browser) -> None:
        """A new password; all access that the account had ends. Raises LinkExpired or Invalid."""
        with self._database.reading() as session:
            user = password_changes.resettable(session, self._context(None, ""), self._links, link)
        hashed = self._authentication.hashed_for(password, user)
        with self._database.writing() as session:
            context = self._context(None, browser.client_ip)
            user = password_changes.resettable(session, context, self._links, link, hold=True)
            password_changes.reset(session, context, user, hashed)
            # Whoever reads the account's letters is not stopped by those who guess its password.
            network = network_of(browser.client_ip)
            known_networks.record(session, user.id, known_networks.PASSWORD, network, context.at)

    def _begin(self, actor: Actor, browser: Browser, old: str) -> str:
        with self._database.writing() as session:
            now = self._clock()
            secret = sessions.create(session, actor, now, browser.client_ip, browser.name, old)
            sessions.delete_expired(session, now)
            return secret

    # The account's pages

    def account(self, actor: Actor) -> User:
        """The stored account."""
        with self._database.reading() as session:
            return session.scalars(select(User).where(User.id == actor.id)).one()

    def change_profile(self, actor: Actor, profile: ProfileUpdate) -> None:
        """Raises Invalid."""
        values = {
            name: check(text) for name, check in _VALIDATORS.items() if (text := getattr(profile, name)) is not None
        }
        if values:
            with self._database.writing() as session:
                session.execute(update(User).where(User.id == actor.id).values(values))

    def change_language(self, actor: Actor, language: str) -> None:
        with self._database.writing() as session:
            session.execute(update(User).where(User.id == actor.id).values(language=language))

    def change_password(self, who: SignedIn, current: str, password: str, browser: Browser) -> str:
        """Returns the secret of a session for this browser; `accounts/access.py` says which access ends.

        Raises WrongPassword, TooMany or Invalid.
        """
        self._authentication.prove(who.actor.name, current, browser.client_ip)
        hashed = self._authentication.hashed_for(password, who.actor)
        with self._database.writing() as session:
            context = self._context(who.actor, browser.client_ip)
            actor = password_changes.change_own(session, context, who.actor, hashed)
            return sessions.create(session, actor, context.at, browser.client_ip, browser.name)

    def addresses(self, actor: Actor) -> list[Email]:
        """The email addresses, the primary one first."""
        with self._database.reading() as session:
            return email_addresses.listed(session, actor.id)

    def add_address(self, actor: Actor, email: str, client_ip: str) -> str:
        """Add an unconfirmed email address; returns it is stored.

        Raises Invalid, AddressTaken, TooManyAddresses or, over the rate limit, TooMany.
        """
        checked = validators.validate_email(email)
        self._guard.count(f"letters {actor.name}", client_ip)
        with self._database.writing() as session:
            email_addresses.add(session, self._context(actor, client_ip), actor, checked)
        return checked

    def remove_address(self, actor: Actor, email: str, client_ip: str) -> None:
        """Raises NotFound or LastAddress."""
        with self._database.writing() as session:
            email_addresses.remove(session, self._context(actor, client_ip), actor, email)

    def make_main(self, actor: Actor, email: str, client_ip: str) -> None:
        """Raises NotFound unless the email address is the actor's and confirmed."""
        with self._database.writing() as session:
            email_addresses.make_main(session, self._context(actor, client_ip), actor, email)

    def unconfirmed(self, actor: Actor, email: str, client_ip: str) -> str:
        """An unconfirmed email address of the actor.

        Raises NotFound or, over the rate limit, TooMany.
        """
        self._guard.count(f"letters {actor.name}", client_ip)
        held = [kept.address for kept in self.addresses(actor) if kept.confirmed_at is None]
        if email not in held:
            raise NoSuchAddress
        return email

    def sessions(self, actor: Actor) -> list[BrowserSession]:
        """The browser sessions, the last used first."""
        with self._database.reading() as session:
            return sessions.list_active(session, actor.id, self._clock())

    def end_session(self, actor: Actor, digest: str, client_ip: str) -> None:
        """Raises NotFound."""
        with self._database.writing() as session:
            sessions.revoke(session, self._context(actor, client_ip), actor, digest)

    def end_other_sessions(self, who: SignedIn, client_ip: str) -> int:
        """Sign out all other browsers; returns how many."""
        with self._database.writing() as session:
            return sessions.revoke_others(session, self._context(who.actor, client_ip), who.actor, who.session)

    def access_tokens(self, actor: Actor) -> list[AccessToken]:
        """The access tokens, the newest first."""
        with self._database.reading() as session:
            return access_tokens.list_all(session, actor.id)

    def make_access_token(self, actor: Actor, asked: NewToken, client_ip: str) -> str:
        """Returns the token, which is shown only once. Raises TooManyTokens."""
        with self._database.writing() as session:
            return access_tokens.create(session, self._context(actor, client_ip), actor, asked)

    def revoke_access_token(self, actor: Actor, token_id: int, client_ip: str) -> str:
        """Revokes the token and the protocol tokens issued for it; returns its name. Raises NotFound."""
        with self._database.writing() as session:
            return access_tokens.revoke(session, self._context(actor, client_ip), actor, token_id)

    def _context(self, actor: Named | None, client_ip: str) -> AuditContext:
        return AuditContext(actor, client_ip, self._clock())
