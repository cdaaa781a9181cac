"""JSON as Go has it: what its documentation and source say, and Python's own reader as the judge of what it means."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid
from registry_service.oci import gojson

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


@given(_texts)
def test_strings_mean_what_they_meant(text: str) -> None:
    written = gojson.string(text)
    assert json.loads(written) == text
    assert not set(written.decode()) & set("<>&\u2028\u2029")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\"b\\c/d", rb'"a\"b\\c/d"'),
        ("\n\r\t\b\f\x00\x1f\x7f", b'"\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f"'),
        ("<b>&\u2028\u2029", rb'"\u003cb\u003e\u0026\u2028\u2029"'),
        ("é\U0001f600", "\"é\U0001f600\"".encode()),
        ("\ud83d!\ude00", "\"\ufffd!\ufffd\"".encode()),
    ],
)  # fmt: skip
def test_escapes_of_go(text: str, written: bytes) -> None:
    assert gojson.string(text) == written


@given(st.dictionaries(_texts, _values, max_size=4), st.sampled_from([None, 1, "\t"]))
def test_raw_members_mean_what_they_meant(members: dict[str, Any], indent: int | str | None) -> None:
    raw = json.dumps(members, indent=indent, ensure_ascii=indent is None).encode()
    found = gojson.raw_members(raw)
    assert {key: json.loads(value) for key, value in found.items()} == members
    assert json.loads(gojson.map_(found.items())) == members


@given(_values)
def test_decoded_values_are_all_there(value: Any) -> None:
    assert _plain(gojson.decode(json.dumps(value).encode())) == value


def _plain(value: Any) -> Any:
    if isinstance(value, gojson.Object):
        return {key: _plain(each) for key, each in value}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return json.loads(value) if isinstance(value, gojson.Number) else value


@pytest.mark.parametrize(
    ("raw", "members"),
    [
        (b' { "a" : [ 1 , 2.50,1e3 ,-0 ] } ', {"a": b"[1,2.50,1e3,-0]"}),
        (b'{"a": "x \\/ \\u00e9 y", "b": "\\" <"}', {"a": b'"x \\/ \\u00e9 y"', "b": b'"\\" \\u003c"'}),
        (b'{"a":1,"a":null}', {"a": b"null"}),
        (b'{"\\u0061":1}', {"a": b"1"}),
        (b'{"a":"\xff"}', {"a": "\"\ufffd\"".encode()}),
        (b'{"a":' + b"9" * 5000 + b"}", {"a": b"9" * 5000}),
        (b"{}", {}),
    ],
)  # fmt: skip
def test_raw_members_are_kept_as_they_were_written(raw: bytes, members: dict[str, bytes]) -> None:
    assert gojson.raw_members(raw) == members


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"1", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a":1} x', b'{"a":NaN}', b"{a:1}", b'{"a":01}',
        b'{1:1}', b'{"a":"\n"}', b"\xef\xbb\xbf{}", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_object(raw: bytes) -> None:
    with pytest.raises(Invalid):
        gojson.raw_members(raw)


def test_keys_of_maps_are_in_the_order_of_their_bytes() -> None:
    written = gojson.map_([("é", b"1"), ("z", b"2"), ("Z", b"3"), ("\U0001f600", b"4"), ("\uffff", b"5")])
    assert list(json.loads(written)) == ["Z", "z", "é", "\uffff", "\U0001f600"]


def test_keys_that_go_takes_for_one_field() -> None:
    assert gojson.folded("DocKer_verſion") == gojson.folded("docKer_version") == "docker_version"
    assert gojson.folded("Mac\u00c4") != gojson.folded("mac\u00e4")


@pytest.mark.parametrize("text", ["x", "\\n", "x\\\\", "< "])
def test_memory_for_a_long_string_is_that_of_its_copies(text: str) -> None:
    """In KiB, of a process of its own: no Python tells what a regular expression remembers."""
    measured = subprocess.run(
        [sys.executable, "-c", _PEAK, text], check=True, capture_output=True, text=True, timeout=60
    )
    assert int(measured.stdout) < 24 * 1024


_PEAK = """
import re, sys
from pathlib import Path
from registry_service.oci import gojson

def peak():
    return int(re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1])

raw = ('{"comment":"' + sys.argv[1] * (1_000_000 // len(sys.argv[1])) + '"}').encode()
before = peak()
gojson.raw_members(raw)
print(peak() - before)
"""
