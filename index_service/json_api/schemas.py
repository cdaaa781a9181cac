"""JSON Schema (2020-12) of request bodies and resources, and their JSON: msgspec, over dataclasses.

Requests are stricter than responses: a body takes no unknown field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"


def encode(answer: Any) -> bytes:
    """As JSON: timestamps in ISO 8601, in UTC."""
    return _encoder.encode(answer)


class Schemas:
    """The schemas of a document: each dataclass stands once in `components` and is referred to by its name."""

    def __init__(self, answers: Sequence[Any], bodies: Sequence[Any]) -> None:
        types = [*answers, *bodies]
        found, self.components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        self._found = dict(zip(types, found, strict=True))
        for schema in self.components.values():
            schema["description"] = " ".join(schema["description"].split())
        for body in bodies:
            self.components[self.of(body)["$ref"].rpartition("/")[2]]["additionalProperties"] = False

    def of(self, kind: Any) -> Schema:
        return self._found[kind]


def described(what: Any) -> str:
    """A docstring as running text, without the failures it names."""
    text = " ".join((what.__doc__ or "").split())
    return re.sub(r" ?Raises [^.]*\.", "", text).strip()


def _name(value: Any) -> str:
    """An image's id or a tag is a text of a class of its own."""
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value)} is no part of an answer")


_encoder = msgspec.json.Encoder(enc_hook=_name)
