"""Validators of what people enter: names, passwords, email addresses (protocol §2.1) and the texts of a profile."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from common.errors import Invalid
from common.names import LIBRARY
from index_service.accounts import reserved_names
from index_service.accounts.common_passwords import is_common

PASSWORD_LENGTHS = range(8, 257)
"""Of a new password; those set when five characters were enough still log in."""

# Without quotes, brackets and commas, which in an email's header would make two recipients of one.
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_NAME = re.compile(r"(?=.{2,30}\Z)[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class WeakPassword(Invalid):
    """A password that nobody may choose."""

    field = "password"


def validate_name(text: object) -> str:
    """An account's name is a namespace too: 2 to 30 characters of its grammar, except `library`. Raises Invalid."""
    if not isinstance(text, str) or _NAME.fullmatch(text) is None:
        raise Invalid("Invalid username: use 2 to 30 of a-z 0-9, joined by one of . _ - in between")
    if text == LIBRARY:
        raise Invalid("Invalid username: library is reserved for official repositories")
    return text


def validate_new_name(text: object) -> str:
    """A name that a stranger may register. Raises Invalid."""
    name = validate_name(text)
    reserved_names.require_free(name, "username")
    return name


def validate_password(text: object, *owner: str) -> str:
    """A new password of the account with this name and these email addresses, after NIST SP 800-63B: its length, and
    what everybody would guess first, but no rules on what it consists of. Raises WeakPassword."""
    if not isinstance(text, str) or len(text) not in PASSWORD_LENGTHS:
        raise WeakPassword(f"Invalid password: use {PASSWORD_LENGTHS[0]} to {PASSWORD_LENGTHS[-1]} characters")
    if text.lower() in {part.lower() for each in owner for part in (each, each.partition("@")[0])}:
        raise WeakPassword("Invalid password: choose another than the username or the email address")
    if is_common(text):
        raise WeakPassword("Invalid password: too many people use it; choose another")
    return text


def validate_email(text: object) -> str:
    """The email address in lower case, as addresses are compared. Raises Invalid."""
    if not isinstance(text, str) or len(text) > 254 or _EMAIL.fullmatch(text) is None:
        raise Invalid("Invalid email address")
    return text.lower()


def validate_text(text: object, length: int, *, lines: bool = False) -> str:
    """Any text of up to `length` characters, stripped, with normalised line ends; one line unless `lines`.

    Raises Invalid, also for control characters, which databases and pages trip over or which turn writing around.
    """
    if not isinstance(text, str):
        raise Invalid("Invalid text")
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > length:
        raise Invalid("Invalid text: it is too long")
    if _UNPRINTABLE.search(text) or (not lines and "\n" in text):
        raise Invalid("Invalid text: it has characters that cannot be shown")
    return text


def validate_website(text: object) -> str:
    """A URL that a page may link to, or nothing. Raises Invalid."""
    text = validate_text(text, 255)
    if text and not _is_website(text):
        raise Invalid("Invalid website: give an address that begins with http:// or https://")
    return text


def _is_website(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r'[\s<>"\\^`{|}]', text)


def fold_name(text: str) -> str:
    """An existing account's name as somebody entered it: names are lower-case, so any case means the same one."""
    return text.strip().lower()


def may_be_email(text: str) -> bool:
    """Whether an account could have this email address; others are not queried."""
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def may_be_name(text: str) -> bool:
    """Whether an account could have this name; others are not queried."""
    return _NAME.fullmatch(text) is not None
