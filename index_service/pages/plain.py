"""A page as JSON would say it: dataclasses are objects, moments ISO 8601 in UTC, names strings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Nothing but dicts, lists, strings, numbers, booleans and None."""
    if value is None or isinstance(value, bool | float) or type(value) is int:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_object(value) if _is_record(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return str(value)
    return _plain_other(value)


def plain_object(page: Any) -> dict[str, Any]:
    """One dataclass; what is for HTML alone is left out."""
    fields = [field for field in dataclasses.fields(page) if not field.metadata.get("html_only")]
    return {field.name: plain(getattr(page, field.name)) for field in fields}


def _plain_other(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, int):
        return int(value)
    return str(value)


def _is_record(value: Any) -> bool:
    """Whether it is made of its fields; names and lazy texts are dataclasses too, and have words of their own."""
    return type(value).__str__ is object.__str__
