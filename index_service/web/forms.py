"""Forms as they come in: what was entered, what was wrong with it, and what came of asking for it.

A view reads a form, checks its fields, asks one service one question, and where `ok` has become false shows the page
with the form's `state()` once more:

    form = Form.read("email")
    email = form.check("email", fields.check_email)
    form.attempt(services().accounts.add_email, known(), email)
    if not form.ok:
        return show(EmailsPage(..., form=form.state()), "account/emails.html", form.status)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar
from unicodedata import category

from flask import request

from common.errors import Conflict, Failure, Forbidden, Invalid, TooMany, Unauthenticated
from index_service.pages.forms import FormState
from index_service.web import texts

P = ParamSpec("P")
T = TypeVar("T")

_FAILURES = (Invalid, Conflict, Forbidden, Unauthenticated, TooMany)


class Form:
    """Fields by name; those in `secrets` are never shown again."""

    def __init__(self, values: Mapping[str, str], secrets: tuple[str, ...] = ()) -> None:
        self._values = dict(values)
        self._secrets = secrets
        self._errors: dict[str, str] = {}
        self.status = 422

    @classmethod
    def read(cls, *names: str, secrets: tuple[str, ...] = ()) -> Form:
        """The named fields of this request and no others, blanks around them dropped where they are no secrets."""
        values = {name: _clean(request.form.get(name, "")) for name in names}
        return cls({**values, **{name: request.form.get(name, "") for name in secrets}}, secrets)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def ticked(self, name: str) -> bool:
        """Whether a checkbox of this name was set."""
        return self._values[name] != ""

    def values(self) -> dict[str, str]:
        return dict(self._values)

    @property
    def ok(self) -> bool:
        return not self._errors

    def refuse(self, name: str, text: str) -> None:
        """Say what is wrong with a field, or with the whole form where the name is empty; the first said counts."""
        self._errors.setdefault(name, text)

    def check(self, name: str, check: Callable[[str], T]) -> T | None:
        """The field as a value; None, and the form is not ok, where `check` raises Invalid."""
        try:
            return check(self[name])
        except Failure as failure:
            self.refuse(name, texts.of(failure))
            return None

    def attempt(self, question: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T | None:
        """Ask a service, unless the form is wrong already; None where it refuses, and the form says why.

        A failure's attribute `field`, where it has one, names what it is about.
        """
        if not self.ok:
            return None
        try:
            return question(*arguments, **named)
        except _FAILURES as failure:
            self.status = 429 if isinstance(failure, TooMany) else 422
            self.refuse(getattr(failure, "field", ""), texts.of(failure))
            return None

    def state(self) -> FormState:
        """What the page shows of it."""
        shown = {name: value for name, value in self._values.items() if name not in self._secrets}
        return FormState(shown, self._errors)


def _clean(text: str) -> str:
    """Line ends as they are everywhere but in forms, no blanks around, and no control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return "".join(char for char in text if char in "\n\t" or category(char) != "Cc")
