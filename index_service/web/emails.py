"""The emails of the site: plain-text templates in the reader's language, sent in the background."""

from __future__ import annotations

from typing import Any

from flask import Flask

from index_service.audit.log import Change
from index_service.mail.transport import Mailer, OutgoingEmail
from index_service.services.letters import CONFIRM, RESET, LetterContent
from index_service.web import languages
from index_service.web.languages import gettext, lazy
from index_service.web.rendering import render
from index_service.web.request_context import site

SUBJECTS = {
    CONFIRM: lazy("Confirm your e-mail address"),
    RESET: lazy("Set a new password"),
    Change.PASSWORD_CHANGED: lazy("Your password was changed"),
    Change.PASSWORD_RESET: lazy("Your password was reset"),
    Change.EMAIL_ADDED: lazy("An e-mail address was added to your account"),
    Change.EMAIL_CONFIRMED: lazy("An e-mail address of your account was confirmed"),
    Change.EMAIL_REMOVED: lazy("An e-mail address was removed from your account"),
    Change.EMAIL_MADE_MAIN: lazy("Your account has a new primary e-mail address"),
    Change.ACCESS_TOKEN_MADE: lazy("An access token was created for your account"),
    Change.SIGNED_IN: lazy("Your account was signed in to from a new network"),
    Change.ACCOUNT_MADE_ADMIN: lazy("Your account was granted administrator rights"),
    Change.ACCOUNT_UNMADE_ADMIN: lazy("Administrator rights were removed from your account"),
    Change.ACCOUNT_ACTIVATED: lazy("Your account was reopened"),
    Change.ACCOUNT_DEACTIVATED: lazy("Your account was closed"),
    Change.ACCESS_ENDED: lazy("Sessions or tokens of your account were ended"),
    Change.TOKENS_REVOKED: lazy("The tokens of your account were revoked"),
}
"""By the kind of a letter; those of notices also say what has happened."""

_PATHS = {CONFIRM: "sign_up.confirm", RESET: "sign_up.reset"}


class Postman:
    """Composes letters and sends them, without a request."""

    def __init__(self, app: Flask, mailer: Mailer) -> None:
        self._app = app
        self._mailer = mailer

    def send(self, letter: LetterContent) -> None:
        """Raises OSError or smtplib.SMTPException."""
        with self._app.app_context(), languages.speaking(letter.language):
            email = OutgoingEmail(letter.to, str(SUBJECTS[letter.kind]), self._text(letter))
        self._mailer.send(email, f"letter-{letter.id}-{letter.at.timestamp():.0f}")

    def _text(self, letter: LetterContent) -> str:
        facts: dict[str, Any] = {"name": letter.name, "address": letter.to, "site": site().url}
        if letter.kind in _PATHS:
            # From the settings, not from a request, whose Host header cannot be trusted.
            path = self._app.url_map.bind("").build(_PATHS[letter.kind], {"link": letter.link})
            return render(f"mail/{letter.kind}.txt", link=site().url + path, **facts)
        told = {key: letter.details.get(key, "") for key in ("by", "email", "token")}
        at = f"{letter.at:%Y-%m-%d %H:%M} UTC"
        what, browser = gettext(SUBJECTS[letter.kind].message), letter.details.get("address", "")
        link = facts["site"] + self._app.url_map.bind("").build("account.sessions")
        return render("mail/notice.txt", what=what, at=at, link=link, **told, **{**facts, "address": browser})
