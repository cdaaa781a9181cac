"""Ranges as RFC 9110 and twelve years of daemons want them."""

from __future__ import annotations

import pytest

from registry_service.api.delivery import Span, Unsatisfiable, parse_range

SIZE = 1000


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("", None),
        ("bytes=0-", Span(0, 1000)),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=500-1000", Span(500, 1000)),
        ("bytes=999-1000", Span(999, 1000)),
        ("bytes=10-19", Span(10, 20)),
        ("bytes=990-5000", Span(990, 1000)),
        ("bytes=-1", Span(999, 1000)),
        ("bytes=-5000", Span(0, 1000)),
        ("Bytes = 1 - 2", Span(1, 3)),
        ("bytes=20-10", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=٣-٤", None),
    ],
)
def test_range(header, span):
    assert parse_range(header, SIZE) == span


@pytest.mark.parametrize("header", ["bytes=1000-1000", "bytes=1000-", "bytes=4000-5000", "bytes=-0"])
def test_a_range_past_the_end(header):
    with pytest.raises(Unsatisfiable):
        parse_range(header, SIZE)
