"""Submitted forms: their fields, validation, and the errors to show.

A view reads a form, validates its fields, calls one service, and if `ok` is false shows the page with the form's
`state()` again:

    form = Form.read("email")
    email = form.validate("email", validators.validate_email)
    form.attempt(services().accounts.add_email, known(), email)
    if not form.ok:
        return render_page(EmailsPage(..., form=form.state()), "account/emails.html", form.status)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar
from unicodedata import category

from flask import request

from common.errors import Conflict, Failure, Forbidden, Invalid, TooMany, Unauthenticated
from index_service.pages.forms import FormState
from index_service.web import error_texts

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
        """The named fields of this request and no others, stripped unless they are secrets."""
        values = {name: _clean(request.form.get(name, "")) for name in names}
        return cls({**values, **{name: request.form.get(name, "") for name in secrets}}, secrets)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def ticked(self, name: str) -> bool:
        """Whether a checkbox of this name was ticked."""
        return self._values[name] != ""

    def values(self) -> dict[str, str]:
        return dict(self._values)

    @property
    def ok(self) -> bool:
        return not self._errors

    def refuse(self, name: str, text: str) -> None:
        """Set the error of a field, or of the whole form if the name is empty; the first one counts."""
        self._errors.setdefault(name, text)

    def validate(self, name: str, check: Callable[[str], T]) -> T | None:
        """The validated field; None, and the form is not ok, if `check` raises Invalid."""
        try:
            return check(self[name])
        except Failure as failure:
            self.refuse(name, error_texts.explain(failure))
            return None

    def attempt(self, question: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T | None:
        """Call a service, unless the form has errors already; None if it refuses, with the failure as the form's error.

        A failure's attribute `field`, if it has one, names the field.
        """
        if not self.ok:
            return None
        try:
            return question(*arguments, **named)
        except _FAILURES as failure:
            self.status = 429 if isinstance(failure, TooMany) else 422
            self.refuse(getattr(failure, "field", ""), error_texts.explain(failure))
            return None

    def state(self) -> FormState:
        """What the page shows of it."""
        shown = {name: value for name, value in self._values.items() if name not in self._secrets}
        return FormState(shown, self._errors)


def _clean(text: str) -> str:
    """With normalised line ends, stripped, and without control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return "".join(char for char in text if char in "\n\t" or category(char) != "Cc")
