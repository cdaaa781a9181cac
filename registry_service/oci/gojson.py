r"""JSON as Go's encoding/json reads and writes it, to the byte.

Go keeps a raw member as it was written, but for blanks between its tokens and `<`, `>`, `&`, U+2028 and U+2029, which
become escapes. What it decodes it writes with escapes of its own: `\n`, `\r`, `\t`, `\u00XX` for other control
characters, and for the five above; half a surrogate pair becomes U+FFFD. So do bytes here that are no UTF-8, also in
raw members, where Go leaves them for others to stumble over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from common.errors import Invalid

_BLANKS = re.compile(r"[ \t\r\n]*")
# Possessive: what may be tried again is remembered, some 100 bytes for each character or escape.
_STRING_OR_BLANKS = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+")|[ \t\r\n]+', re.DOTALL)
_NOT_TEXT = re.compile("[\ud800-\udfff]")

_FOR_HTML = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in range(0x20)},
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    **_FOR_HTML,
}

# Letters outside of ASCII that Go takes for k and s where it compares names of fields.
_FOLDED = {0x212A: "k", 0x017F: "s"}


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Object(list[tuple[str, Any]]):
    """The members of an object, in their order, with those whose key comes again."""


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse, object_pairs_hook=Object)


def decode(raw: bytes) -> Any:
    """A whole text: Object, list, str, Number, bool or None. Raises Invalid."""
    text = _text(raw)
    value, end = _decode_at(text, _skip(text, 0))
    _require_end(text, end)
    return value


def raw_members(raw: bytes) -> dict[str, bytes]:
    """The members of an object, each as Go keeps a raw one; of equal keys the last counts. Raises Invalid."""
    text = _text(raw)
    members: dict[str, bytes] = {}
    at = _expect(text, 0, "{")
    if text[at : at + 1] == "}":
        _require_end(text, at + 1)
        return members
    while True:
        key, end = _decode_at(text, at)
        if type(key) is not str:
            raise Invalid("Invalid JSON: a key is no string")
        start = _expect(text, end, ":")
        _, end = _decode_at(text, start)
        members[clean(key)] = _compact(text[start:end])
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            _require_end(text, at + 1)
            return members
        at = _expect(text, at, ",")


def clean(text: str) -> str:
    """A decoded string as Go has it."""
    return _NOT_TEXT.sub("\ufffd", text)


def string(text: str) -> bytes:
    """A string as Go writes it."""
    return f'"{clean(text).translate(_ESCAPES)}"'.encode()


def array(values: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(values)


def object_(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Members in the order given, as of a struct."""
    return b"{%b}" % b",".join(b"%b:%b" % (string(key), value) for key, value in members)


def map_(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Members in the order of their keys' bytes, as of a map."""
    return object_(sorted(members, key=lambda member: member[0].encode()))


def folded(key: str) -> str:
    """What is equal for keys that Go takes for the same field."""
    return "".join(each.lower() if each.isascii() else each for each in key.translate(_FOLDED))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _decode_at(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise Invalid("Invalid JSON") from error


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, character: str) -> int:
    """Where the next token begins, behind the one expected."""
    at = _skip(text, at)
    if text[at : at + 1] != character:
        raise Invalid(f"Invalid JSON: {character!r} is missing")
    return _skip(text, at + 1)


def _require_end(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise Invalid("Invalid JSON: more behind its end")


def _compact(text: str) -> bytes:
    compact = _STRING_OR_BLANKS.sub(lambda match: match[1] or "", text)
    return compact.translate(_FOR_HTML).encode()
