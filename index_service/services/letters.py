"""Letters: sent from the outbox by a background thread of each worker.

What they are composed of is looked up when they are sent: whether the account still has the address, and the link,
which is signed then, so that no database holds one.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from index_service.accounts import email_addresses, password_changes
from index_service.accounts.email_links import EmailLinks
from index_service.accounts.models import User
from index_service.audit.log import AuditContext
from index_service.database import Database
from index_service.db import Clock
from index_service.mail import outbox
from index_service.mail.outbox import LeasedLetter
from index_service.metrics import LETTERS_SENT

CONFIRM = "confirm"
RESET_ASKED = "reset-asked"
RESET = "reset"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterContent:
    """What a letter says, to whom and in which language; `kind` is CONFIRM, RESET, or the change that a notice tells
    of."""

    id: int
    to: str
    kind: str
    language: str
    name: str
    link: str
    details: Mapping[str, str]
    at: datetime


class Letters:
    """Sends what is due."""

    def __init__(self, database: Database, links: EmailLinks, clock: Clock) -> None:
        self._database = database
        self._links = links
        self._clock = clock

    def send_next(self, send: Callable[[LetterContent], None]) -> bool:
        """Send the letter that has been due longest. Returns whether to go on: a letter was due, and not the mail
        server down. Raises Unavailable if the database is."""
        with self._database.reading() as session:
            if not outbox.is_any_due(session, self._clock()):
                return False
        with self._database.writing() as session:
            letter = outbox.lease(session, self._clock())
        if letter is None:
            return False
        if letter.kind == RESET_ASKED:
            self._find_accounts(letter)
            return True
        with self._database.reading() as session:
            content = self._content(session, letter)
        return self._finish(letter) if content is None else self._send(letter, content, send)

    def _send(self, letter: LeasedLetter, content: LetterContent, send: Callable[[LetterContent], None]) -> bool:
        try:
            send(content)
        except smtplib.SMTPRecipientsRefused as refusal:
            codes = [code for code, _ in refusal.recipients.values()]
            if all(code >= 500 for code in codes):
                logger.error("a letter was refused, and is given up: %s", codes)
                LETTERS_SENT.add("given_up")
                return self._finish(letter)
            return self._postpone(letter, f"refused for now: {codes}")
        except (OSError, smtplib.SMTPException) as error:
            return self._postpone(letter, str(error))
        except Exception:
            logger.exception("a letter could not be composed")
            self._postpone(letter, "not composed")
            return True
        LETTERS_SENT.add("sent")
        return self._finish(letter)

    def _finish(self, letter: LeasedLetter) -> bool:
        with self._database.writing() as session:
            outbox.remove(session, letter)
        return True

    def _postpone(self, letter: LeasedLetter, why: str) -> bool:
        with self._database.writing() as session:
            is_kept = outbox.postpone(session, letter, self._clock())
        LETTERS_SENT.add("postponed" if is_kept else "given_up")
        logger.error("a letter could not be sent, and is %s: %s", "tried again later" if is_kept else "given up", why)
        return False

    def _find_accounts(self, letter: LeasedLetter) -> None:
        """Write the letters that reset a password, for each account that the reader of the address may reset."""
        with self._database.writing() as session:
            # The request is unauthenticated: the account is not its actor.
            context = AuditContext(None, letter.details["address"], self._clock())
            for user in email_addresses.owners_for_reset(session, letter.recipient):
                password_changes.record_request(session, context, user)
                write_reset(session, user, letter.recipient, context.at, letter.language)
            outbox.remove(session, letter)

    def _content(self, session: Session, letter: LeasedLetter) -> LetterContent | None:
        """None if there is nothing to say any more."""
        user = None if letter.user_id is None else session.get(User, letter.user_id)
        if user is None:
            return None
        link = ""
        if letter.kind == CONFIRM:
            if email_addresses.find_unconfirmed(session, user.id, letter.recipient) is None:
                return None
            link = self._links.sign_confirmation(user.id, letter.recipient, self._clock())
        elif letter.kind == RESET:
            is_current = letter.details["generation"] == str(user.reset_generation)
            if not (user.is_active and is_current and email_addresses.is_of(session, user.id, letter.recipient)):
                return None
            link = self._links.sign_reset(user, self._clock(), letter.recipient)
        return LetterContent(
            id=letter.id,
            to=letter.recipient,
            kind=letter.kind,
            language=letter.language,
            name=user.name,
            link=link,
            details=letter.details,
            at=letter.created_at,
        )


def write_confirmation(session: Session, user_id: int, recipient: str, now: datetime, language: str) -> None:
    """Write the letter that confirms an address."""
    outbox.add(session, CONFIRM, recipient, now, user_id=user_id, language=language)


def write_reset(session: Session, user: User, recipient: str, now: datetime, language: str) -> None:
    """Write the letter that resets a password, unless it or the account's access changes before it is sent."""
    details = {"generation": str(user.reset_generation)}
    outbox.add(session, RESET, recipient, now, user_id=user.id, language=user.language or language, details=details)
