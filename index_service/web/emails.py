"""The emails of the site: in the reader's language, from plain-text templates."""

from __future__ import annotations

from flask import url_for

from index_service.current import services
from index_service.mail.transport import OutgoingEmail
from index_service.services.accounts import ResetEmail
from index_service.web import languages
from index_service.web.rendering import render
from index_service.web.request_context import site


def send_confirmation(name: str, address: str) -> None:
    """Ask the owner of an email address to confirm that it is `name`'s; in the language of the current page."""
    link = _absolute(url_for("sign_up.confirm", link=services().accounts.confirmation(address)))
    text = render("mail/confirm.txt", name=name, address=address, link=link, site=site().url)
    site().mailer.send(OutgoingEmail(address, languages.gettext("Confirm your address"), text))


def send_reset(email: ResetEmail | None) -> None:
    """Send the link that resets a password, in the person's own language; nothing without a recipient."""
    if email is None:
        return
    with languages.speaking(email.language or languages.current()):
        link = reset_url(email.link)
        text = render("mail/reset.txt", name=email.name, link=link, site=site().url)
        site().mailer.send(OutgoingEmail(email.to, languages.gettext("Set a new password"), text))


def reset_url(link: str) -> str:
    """The URL at which a new password can be set."""
    return _absolute(url_for("sign_up.reset", link=link))


def _absolute(path: str) -> str:
    """From the settings, not from the request, whose Host header cannot be trusted."""
    return site().url + path
