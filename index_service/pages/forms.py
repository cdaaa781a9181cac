"""What stands in a form: what was entered, and what was wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FormState:
    """Values and errors by field; the error of the whole form has the empty name. Passwords are never given back."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str, default: object = "") -> str:
        """What was entered, or what stands there to begin with."""
        return self.values.get(name, "" if default is None else str(default))


EMPTY = FormState()
