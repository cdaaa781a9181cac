"""The pages of signing in and up, entering the password again, confirming an email address, resetting a password."""

from __future__ import annotations

from dataclasses import dataclass

from index_service.pages.forms import EMPTY, FormState


@dataclass(frozen=True, slots=True)
class SignInPage:
    """`next` is where to go on to."""

    next: str
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class ProvePage:
    """The form that asks for the password again."""

    name: str
    next: str
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class SignUpPage:
    """`is_open` is False where accounts are not made by people themselves."""

    is_open: bool
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """An address about to be confirmed; empty where the link has ended."""

    address: str


@dataclass(frozen=True, slots=True)
class AskResetPage:
    """`is_sent` once an address was given, whoever's it is."""

    is_sent: bool = False
    form: FormState = EMPTY


@dataclass(frozen=True, slots=True)
class ResetPage:
    """Whose password a link replaces."""

    name: str
    form: FormState = EMPTY
