"""Dataclasses as JSON Schema (2020-12), in the same words as `pages.plain` makes JSON of them.

What comes in is told more strictly than what goes out: a body takes no field that it does not know, and only its fields
without a default have to be there.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"

_SIMPLE: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    type(None): {"type": "null"},
    Any: {},
}
_ARRAYS = (list, set, frozenset, Sequence, Iterable, Collection)
_OBJECTS = (dict, Mapping)


class Absent(Enum):
    """What a field of a body is that was not sent, where that means something else than null."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


def is_record(cls: Any) -> bool:
    """Whether it is told as an object: names are dataclasses too, and have words of their own."""
    return dataclasses.is_dataclass(cls) and isinstance(cls, type) and cls.__str__ is object.__str__


def is_field_told(field: dataclasses.Field[Any]) -> bool:
    return not field.metadata.get("html_only")


class Shapes:
    """The schemas of a document: each dataclass stands once in `components` and is referred to by its name."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._names: dict[Any, str] = {}

    def answer(self, annotation: Any) -> Schema:
        """The schema of what is sent."""
        return self._of(annotation, closed=False)

    def body(self, annotation: Any) -> Schema:
        """The schema of what is taken."""
        return self._of(annotation, closed=True)

    def _of(self, annotation: Any, *, closed: bool) -> Schema:
        if annotation in _SIMPLE:
            return dict(_SIMPLE[annotation])
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            return self._either([each for each in arguments if each is not Absent], closed=closed)
        if origin is Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin is tuple:
            return self._tuple(arguments, closed=closed)
        if origin in _ARRAYS:
            return {"type": "array", "items": self._of(arguments[0], closed=closed)}
        if origin in _OBJECTS:
            return {"type": "object", "additionalProperties": self._of(arguments[1], closed=closed)}
        return self._class(annotation, origin or annotation, closed=closed)

    def _class(self, annotation: Any, cls: Any, *, closed: bool) -> Schema:
        if is_record(cls):
            return self._reference(annotation, closed=closed)
        if isinstance(cls, type) and issubclass(cls, Enum):
            return {"type": "string", "enum": [str(member) for member in cls]}
        return {"type": "string"}

    def _either(self, kinds: list[Any], *, closed: bool) -> Schema:
        schemas = [self._of(kind, closed=closed) for kind in kinds]
        if len(schemas) == 1:
            return schemas[0]
        if all(schema.keys() <= {"type", "format"} for schema in schemas) and len(schemas) == 2:
            return {**schemas[0], **schemas[1], "type": [schema["type"] for schema in schemas]}
        return {"anyOf": schemas}

    def _tuple(self, kinds: tuple[Any, ...], *, closed: bool) -> Schema:
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            return {"type": "array", "items": self._of(kinds[0], closed=closed)}
        length = len(kinds)
        items = [self._of(kind, closed=closed) for kind in kinds]
        return {"type": "array", "prefixItems": items, "minItems": length, "maxItems": length}

    def _reference(self, annotation: Any, *, closed: bool) -> Schema:
        if annotation not in self._names:
            name = self._names[annotation] = self._free_name(annotation)
            # It may hold itself: the name is there before what it means.
            self.components[name] = {}
            self.components[name] = self._object(annotation, closed=closed)
        return {"$ref": PREFIX + self._names[annotation]}

    def _object(self, annotation: Any, *, closed: bool) -> Schema:
        cls, known = get_origin(annotation) or annotation, _type_arguments(annotation)
        hints, fields = get_type_hints(cls), [each for each in dataclasses.fields(cls) if is_field_told(each)]
        properties = {field.name: self._of(_filled(hints[field.name], known), closed=closed) for field in fields}
        required = [field.name for field in fields if not closed or is_required(field)]
        schema: Schema = {"type": "object", "description": described(cls), "properties": properties}
        if required:
            schema["required"] = required
        return {**schema, "additionalProperties": False} if closed else schema

    def _free_name(self, annotation: Any) -> str:
        """The class's name; with its module's before it where another class has it already."""
        cls = get_origin(annotation) or annotation
        name = cls.__name__ + "".join(f"Of{_word(each)}" for each in get_args(annotation))
        if name in self.components:
            name = "".join(map(str.title, cls.__module__.rpartition(".")[2].split("_"))) + name
        if name in self.components:
            raise ValueError(f"two shapes are named {name}")
        return name


def is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def described(what: Any) -> str:
    """A docstring as running text, without the failures it names."""
    text = " ".join((what.__doc__ or "").split())
    return re.sub(r" ?Raises [^.]*\.", "", text).strip()


def _word(argument: Any) -> str:
    return "".join(re.findall(r"\w+", getattr(argument, "__name__", str(argument))))


def _type_arguments(annotation: Any) -> dict[Any, Any]:
    parameters = getattr(get_origin(annotation), "__parameters__", ())
    return dict(zip(parameters, get_args(annotation), strict=True))


def _filled(hint: Any, known: Mapping[Any, Any]) -> Any:
    """A field's type, once it is known what its class is a class of."""
    if isinstance(hint, TypeVar):
        return known[hint]
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(known[each] for each in parameters)] if parameters else hint
