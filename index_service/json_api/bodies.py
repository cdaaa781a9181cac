"""Request bodies: a JSON object becomes a dataclass, or is refused in one line that names the field and the remedy.

msgspec validates; unknown fields are refused too: nothing can be set that the route does not offer. A body is flat: its
fields are no objects.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from flask import request
from msgspec import UNSET, Meta, UnsetType, inspect

from common.errors import Invalid
from common.http import read_json

MAX_BYTES = 1024 * 1024
"""Enough for the longest README, each of its characters escaped."""

MAX_ENTRIES = 1000

T = TypeVar("T")

Timestamp = Annotated[datetime, Meta(tz=True)]
Names = Annotated[tuple[str, ...], Meta(max_length=MAX_ENTRIES)]

_FIELD = re.compile(r"\$\.(\w+)(\[)?")
"""Where msgspec says that something is wrong: in a field, or in an entry of its list."""


def read(shape: type[T]) -> T:
    """The body of this request. Raises Invalid or TooLarge."""
    return parse(shape, read_json(request, MAX_BYTES))


def parse(shape: type[T], data: Any) -> T:
    """Raises Invalid."""
    if not isinstance(data, dict):
        raise Invalid("The body has to be a JSON object")
    fields = _fields(shape)  # type: ignore[arg-type]
    if unknown := sorted(data.keys() - fields.keys()):
        raise Invalid(f"Unknown {_listed(unknown)}; known here: {', '.join(fields)}")
    if missing := [name for name, field in fields.items() if field.required and name not in data]:
        raise Invalid(f"Missing {_listed(missing)}")
    for name, value in data.items():
        for text in value if isinstance(value, list) else [value]:
            validate_text(name, text) if isinstance(text, str) else None
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        raise Invalid(_refusal(fields, str(error))) from error


def sent(value: T | UnsetType) -> T | None:
    """A field's value; None if the body left it out."""
    return None if value is UNSET else value


def validate_text(name: str, value: str) -> str:
    """A text that a database can keep. Raises Invalid."""
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise Invalid(f"{name} has characters that cannot be kept")
    return value


def validate_length(name: str, value: str, most: int) -> str:
    """Raises Invalid."""
    if len(value) > most:
        raise Invalid(f"{name} is longer than {most} characters")
    return value


@cache
def _fields(shape: Any) -> dict[str, inspect.Field]:
    described: Any = inspect.type_info(shape)
    return {field.name: field for field in described.fields}


def _listed(names: list[str]) -> str:
    word = "field" if len(names) == 1 else "fields"
    return f"{word} {', '.join(repr(name[:40]) for name in names[:5])}"


def _refusal(fields: dict[str, inspect.Field], error: str) -> str:
    """What msgspec found wrong, in the words of the field's type."""
    for name, in_list in _FIELD.findall(error):
        kind: Any = fields[name].type
        return f"{name} has to be {_wanted(kind.item_type if in_list else kind)}"
    return error


def _wanted(kind: inspect.Type) -> str:
    match kind:
        case inspect.UnionType():
            return ", or ".join(_wanted(each) for each in kind.types)
        case inspect.LiteralType():
            return f"one of {', '.join(map(repr, kind.values))}"
        case inspect.VarTupleType():
            return f"a list of up to {MAX_ENTRIES}"
        case inspect.DateTimeType():
            return "a timestamp with its zone, such as 2030-01-31T12:00:00Z"
        case _:
            return _WORDS[type(kind)]


_WORDS: dict[type[inspect.Type], str] = {
    inspect.StrType: "a text",
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.NoneType: "null",
}
