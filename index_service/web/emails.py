"""The emails of the site: in the reader's language, from plain-text templates."""

from __future__ import annotations

from flask import copy_current_request_context, url_for

from index_service.current import services
from index_service.mail.transport import OutgoingEmail
from index_service.services.accounts import ResetEmail
from index_service.web import languages
from index_service.web.rendering import render
from index_service.web.request_context import site


def send_confirmation(name: str, address: str) -> bool:
    """Ask the owner of an email address to confirm that it is `name`'s; in the language of the current page. False if
    too many letters were sent there already."""
    signed = services().accounts.confirmation(name, address)
    if signed is None:
        return False
    link = _absolute(url_for("sign_up.confirm", link=signed))
    text = render("mail/confirm.txt", name=name, address=address, link=link, site=site().url)
    site().mailer.send(OutgoingEmail(address, languages.gettext("Confirm your address"), text))
    return True


def send_resets(email: str, address: str) -> None:
    """Send what resets the password of the accounts with this email address, in the background: how long a response
    takes tells nothing about them. `address` is the browser's IP address."""
    language = languages.current()

    @copy_current_request_context
    def send() -> None:
        with languages.speaking(language):
            for letter in services().accounts.reset_emails(email, address):
                send_reset(letter)

    site().mailer.run(send)


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
