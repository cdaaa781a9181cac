"""Letters as they are written: in the reader's language, from templates of plain text."""

from __future__ import annotations

from flask import url_for

from index_service.mail.carriers import Letter
from index_service.services.accounts import ResetLetter
from index_service.web import languages
from index_service.web.asking import services, site
from index_service.web.rendering import render


def send_confirmation(name: str, address: str) -> None:
    """Ask the owner of an address to confirm that it is `name`'s; in the language of the page it was given on."""
    link = _absolute(url_for("joining.confirm", link=services().accounts.confirmation(address)))
    text = render("mail/confirm.txt", name=name, address=address, link=link, site=site().url)
    site().post.send(Letter(address, languages.gettext("Confirm your address"), text))


def send_reset(letter: ResetLetter | None) -> None:
    """To who forgot the password, in the person's own language; nothing where there is nobody to write to."""
    if letter is None:
        return
    with languages.speaking(letter.language or languages.current()):
        link = reset_url(letter.link)
        text = render("mail/reset.txt", name=letter.name, link=link, site=site().url)
        site().post.send(Letter(letter.to, languages.gettext("Set a new password"), text))


def reset_url(link: str) -> str:
    """Where a new password can be set."""
    return _absolute(url_for("joining.reset", link=link))


def _absolute(path: str) -> str:
    """By the settings and not by the request, whose Host anybody may write."""
    return site().url + path
