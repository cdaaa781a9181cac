"""Bodies of requests: a JSON object becomes a dataclass, or is refused in words that name what to mend.

A field that the dataclass does not have is refused too: nothing can be set that the route does not offer.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from flask import request

from common.errors import Invalid
from common.http import read_json
from index_service.json_api.shapes import Absent, is_required

MAX_BYTES = 1024 * 1024
"""Enough for the longest README, each of its characters escaped."""

MAX_ENTRIES = 1000

T = TypeVar("T")


def read(shape: type[T]) -> T:
    """The body of this request. Raises Invalid or TooLarge."""
    return parse(shape, read_json(request, MAX_BYTES))


def parse(shape: type[T], data: Any) -> T:
    """Raises Invalid."""
    if not isinstance(data, dict):
        raise Invalid("The body has to be a JSON object")
    fields = {field.name: field for field in dataclasses.fields(shape)}  # type: ignore[arg-type]
    if unknown := sorted(data.keys() - fields.keys()):
        raise Invalid(f"Unknown {_listed(unknown)}; known here: {', '.join(fields)}")
    if missing := [name for name, field in fields.items() if is_required(field) and name not in data]:
        raise Invalid(f"Missing {_listed(missing)}")
    hints = get_type_hints(shape)
    return shape(**{name: _value(name, value, hints[name]) for name, value in data.items()})


def check_text(name: str, value: str) -> str:
    """A text that a database can keep. Raises Invalid."""
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise Invalid(f"{name} has characters that cannot be kept")
    return value


def check_length(name: str, value: str, most: int) -> str:
    """Raises Invalid."""
    if len(value) > most:
        raise Invalid(f"{name} is longer than {most} characters")
    return value


def _listed(names: list[str]) -> str:
    word = "field" if len(names) == 1 else "fields"
    return f"{word} {', '.join(repr(name[:40]) for name in names[:5])}"


def _value(name: str, value: Any, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _of_union(name, value, arguments)
    if origin is Literal:
        return _of_literal(name, value, arguments)
    if origin is tuple:
        return _of_list(name, value, arguments[0])
    if hint is datetime:
        return _moment(name, value)
    if type(value) is not hint:
        raise Invalid(f"{name} has to be {_WORDS[hint]}")
    return check_text(name, value) if hint is str else value


def _of_union(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    if value is None and type(None) in kinds:
        return None
    (kind,) = [kind for kind in kinds if kind not in (type(None), Absent)]
    return _value(name, value, kind)


def _of_literal(name: str, value: Any, words: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in words:
        raise Invalid(f"{name} has to be one of {', '.join(map(repr, words))}")
    return value


def _of_list(name: str, value: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        raise Invalid(f"{name} has to be a list of up to {MAX_ENTRIES}")
    return tuple(_value(name, each, kind) for each in value)


def _moment(name: str, value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        found = None
    if found is None or datetime.fromisoformat(value).tzinfo is None:
        raise Invalid(f"{name} has to be a moment with its zone, such as 2030-01-31T12:00:00Z")
    return found


_WORDS: Mapping[Any, str] = {str: "a text", bool: "true or false", int: "a whole number"}
