"""An image's JSON as Docker 1.12 decodes it into its struct `V1Image`, and writes that, in linear time.

What does not fit a field Docker refuses with the whole image; here the field stays as it was. A key that comes again,
in any case, counts as in Go: strings, numbers and lists are replaced, structs and maps updated in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import Invalid
from registry_service.oci import gojson
from registry_service.oci.gojson import Number, Object
from registry_service.oci.times import ZERO, rfc3339

_INTEGER = re.compile(r"-?[0-9]+")
_MAX_INTEGER = 2**63

Values = dict[str, Any]
"""The fields of a struct by name: what was decoded, or the zero of the field's kind."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How fields of one type are decoded into what they held before, and written."""

    zero: Callable[[], Any]
    decode: Callable[[Any, Any], Any]
    encode: Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: _Kind
    is_omitted: bool = False
    """Whether it is not written while it is empty."""


class _Struct:
    """Fields in the order in which they are written."""

    def __init__(self, *fields: _Field) -> None:
        self._fields = fields
        self._by_name = {field.name: field for field in fields}
        self._by_folded_name = {gojson.folded(field.name): field for field in fields}

    def zero(self) -> Values:
        return {field.name: field.kind.zero() for field in self._fields}

    def decode(self, members: Object, values: Values) -> Values:
        for key, value in members:
            name = gojson.clean(key)
            field = self._by_name.get(name) or self._by_folded_name.get(gojson.folded(name))
            if field is not None:
                values[field.name] = field.kind.decode(value, values[field.name])
        return values

    def encode(self, values: Mapping[str, Any]) -> bytes:
        return gojson.object_(
            (field.name, field.kind.encode(values[field.name]))
            for field in self._fields
            if not (field.is_omitted and not values[field.name])
        )


def _string(value: Any, before: str) -> str:
    return gojson.clean(value) if type(value) is str else before


def _boolean(value: Any, before: bool) -> bool:
    return value if isinstance(value, bool) else before


def _integer(value: Any, before: int) -> int:
    if isinstance(value, Number) and len(value) <= 20 and _INTEGER.fullmatch(value):
        number = int(value)
        return number if -_MAX_INTEGER <= number < _MAX_INTEGER else before
    return before


def _time(value: Any, before: str) -> str:
    return (rfc3339(value) if type(value) is str else None) or before


def _strings(value: Any, before: list[str] | None) -> list[str] | None:
    if value is None:
        return None
    return [_string(each, "") for each in value] if _is_list(value) else before


def _words(value: Any, before: list[str] | None) -> list[str] | None:
    """Of a command: a string counts as one word, and a list with anything but strings is refused whole."""
    if type(value) is str:
        return [gojson.clean(value)]
    if _is_list(value) and not all(each is None or type(each) is str for each in value):
        return before
    return _strings(value, before)


def _names(value: Any, before: dict[str, None] | None) -> dict[str, None] | None:
    if value is None:
        return None
    if not isinstance(value, Object):
        return before
    names = before or {}
    names.update((gojson.clean(key), None) for key, _ in value)
    return names


def _labels(value: Any, before: dict[str, str] | None) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Object):
        return before
    labels = before or {}
    labels.update((gojson.clean(key), _string(each, "")) for key, each in value)
    return labels


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and not isinstance(value, Object)


def _write_strings(values: list[str] | None) -> bytes:
    return b"null" if values is None else gojson.array(map(gojson.string, values))


def _write_names(names: Mapping[str, None] | None) -> bytes:
    return b"null" if names is None else gojson.map_((name, b"{}") for name in names)


def _write_labels(labels: Mapping[str, str] | None) -> bytes:
    return b"null" if labels is None else gojson.map_((key, gojson.string(value)) for key, value in labels.items())


def _struct(struct: _Struct) -> _Kind:
    def decode(value: Any, before: Values) -> Values:
        return struct.decode(value, before) if isinstance(value, Object) else before

    return _Kind(struct.zero, decode, struct.encode)


def _pointer(struct: _Struct) -> _Kind:
    """A struct that may be absent."""

    def decode(value: Any, before: Values | None) -> Values | None:
        if value is None:
            return None
        before = before or struct.zero()
        return struct.decode(value, before) if isinstance(value, Object) else before

    return _Kind(_absent, decode, struct.encode)


def _absent() -> None:
    """The zero of pointers, lists and maps."""


_STRING = _Kind(str, _string, gojson.string)
_BOOLEAN = _Kind(bool, _boolean, lambda value: b"true" if value else b"false")
_NUMBER = _Kind(int, _integer, lambda value: b"%d" % value)
_TIME = _Kind(lambda: ZERO, _time, gojson.string)
_STRINGS = _Kind(_absent, _strings, _write_strings)
_WORDS = _Kind(_absent, _words, _write_strings)
_NAMES = _Kind(_absent, _names, _write_names)
_LABELS = _Kind(_absent, _labels, _write_labels)

_HEALTHCHECK = _Struct(
    _Field("Test", _STRINGS, is_omitted=True),
    _Field("Interval", _NUMBER, is_omitted=True),
    _Field("Timeout", _NUMBER, is_omitted=True),
    _Field("Retries", _NUMBER, is_omitted=True),
)

_CONFIG = _Struct(
    _Field("Hostname", _STRING),
    _Field("Domainname", _STRING),
    _Field("User", _STRING),
    _Field("AttachStdin", _BOOLEAN),
    _Field("AttachStdout", _BOOLEAN),
    _Field("AttachStderr", _BOOLEAN),
    _Field("ExposedPorts", _NAMES, is_omitted=True),
    _Field("Tty", _BOOLEAN),
    _Field("OpenStdin", _BOOLEAN),
    _Field("StdinOnce", _BOOLEAN),
    _Field("Env", _STRINGS),
    _Field("Cmd", _WORDS),
    _Field("Healthcheck", _pointer(_HEALTHCHECK), is_omitted=True),
    _Field("ArgsEscaped", _BOOLEAN, is_omitted=True),
    _Field("Image", _STRING),
    _Field("Volumes", _NAMES),
    _Field("WorkingDir", _STRING),
    _Field("Entrypoint", _WORDS),
    _Field("NetworkDisabled", _BOOLEAN, is_omitted=True),
    _Field("MacAddress", _STRING, is_omitted=True),
    _Field("OnBuild", _STRINGS),
    _Field("Labels", _LABELS),
    _Field("StopSignal", _STRING, is_omitted=True),
    _Field("Shell", _WORDS, is_omitted=True),
)

_V1_IMAGE = _Struct(
    _Field("id", _STRING, is_omitted=True),
    _Field("parent", _STRING, is_omitted=True),
    _Field("comment", _STRING, is_omitted=True),
    _Field("created", _TIME),
    _Field("container", _STRING, is_omitted=True),
    _Field("container_config", _struct(_CONFIG)),
    _Field("docker_version", _STRING, is_omitted=True),
    _Field("author", _STRING, is_omitted=True),
    _Field("config", _pointer(_CONFIG), is_omitted=True),
    _Field("architecture", _STRING, is_omitted=True),
    _Field("os", _STRING, is_omitted=True),
    _Field("Size", _NUMBER, is_omitted=True),
)


def decode(raw: bytes) -> Values:
    """The fields of `V1Image`. Raises Invalid."""
    members = gojson.decode(raw)
    if not isinstance(members, Object):
        raise Invalid("Invalid JSON: not an object")
    return _V1_IMAGE.decode(members, _V1_IMAGE.zero())


def encode(values: Mapping[str, Any]) -> bytes:
    return _V1_IMAGE.encode(values)
