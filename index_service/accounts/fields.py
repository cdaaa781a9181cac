"""What a name, a password and an address may look like (protocol §2.1)."""

from __future__ import annotations

import re

from common.errors import Invalid
from common.names import LIBRARY

PASSWORD_LENGTHS = range(5, 257)

_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_NAME = re.compile(r"(?=.{2,30}\Z)[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")


def check_name(text: object) -> str:
    """A new account's name is a namespace too: 2 to 30 characters of its grammar, and not `library`. Raises Invalid."""
    if not isinstance(text, str) or _NAME.fullmatch(text) is None:
        raise Invalid("Invalid username: use 2 to 30 of a-z 0-9, joined by one of . _ - in between")
    if text == LIBRARY:
        raise Invalid("Invalid username: library is kept for official repositories")
    return text


def check_password(text: object) -> str:
    """Raises Invalid."""
    if not isinstance(text, str) or len(text) not in PASSWORD_LENGTHS:
        raise Invalid(f"Invalid password: use {PASSWORD_LENGTHS[0]} to {PASSWORD_LENGTHS[-1]} characters")
    return text


def check_email(text: object) -> str:
    """The address in lower case, as addresses are compared. Raises Invalid."""
    if not isinstance(text, str) or len(text) > 254 or _EMAIL.fullmatch(text) is None:
        raise Invalid("Invalid email address")
    return text.lower()


def may_be_name(text: str) -> bool:
    """Whether an account could have this name; what could not is not even looked for."""
    return _NAME.fullmatch(text) is not None
