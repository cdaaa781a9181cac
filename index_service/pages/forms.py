"""The state of a form: its values and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FormState:
    """Values and errors by field; the error of the whole form has the empty name. Passwords are never given back."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str, default: object = "") -> str:
        """The entered value, or the initial one."""
        return self.values.get(name, "" if default is None else str(default))


EMPTY = FormState()
