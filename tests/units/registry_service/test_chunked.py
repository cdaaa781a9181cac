"""Chunked bodies, whole and in every state of disrepair, however the network cuts them up."""

from __future__ import annotations

import itertools

import pytest
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, NoMoreData
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from registry_service.chunked import MAX_LINE_BYTES, MAX_TRAILER_BYTES, ChunkedBody


def chunked(parts, extension=b"", trailers=b""):
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts if part)
    return body + b"0\r\n" + trailers + b"\r\n"


def cut(wire, places):
    """The same bytes as the network might bring them."""
    edges = sorted({0, len(wire), *(place % (len(wire) + 1) for place in places)})
    return [wire[start:end] for start, end in itertools.pairwise(edges)]


@given(
    parts=st.lists(st.binary(max_size=300), max_size=8),
    places=st.lists(st.integers(min_value=0, max_value=5000), max_size=40),
    sizes=st.lists(st.integers(min_value=1, max_value=700), min_size=1, max_size=20),
    extension=st.sampled_from([b"", b";a=b", b' ; name="quoted"']),
    trailers=st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: 1\r\nB: 2\r\n"]),
    following=st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n"]),
)
def test_a_body_is_the_sum_of_its_chunks(parts, places, sizes, extension, trailers, following):
    wire = chunked(parts, extension, trailers) + following
    unreader = IterUnreader(cut(wire, places))
    body, read, turn = ChunkedBody(unreader), [], 0
    while block := body.read(sizes[turn % len(sizes)]):
        read.append(block)
        turn += 1
    assert b"".join(read) == b"".join(parts)
    assert all(len(block) == sizes[at % len(sizes)] for at, block in enumerate(read[:-1]))
    assert body.is_read
    assert not body.failed
    rest = unreader.take_buffered()
    while more := unreader.chunk():
        rest += more
    assert rest == following


def test_everything_at_once():
    body = ChunkedBody(IterUnreader([chunked([b"abc", b"def"])]))
    assert body.read() == b"abcdef"
    assert body.read() == b""
    assert body.read(10) == b""


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (b"", NoMoreData),
        (b"5\r\nabc", NoMoreData),
        (b"5\r\nabcde", NoMoreData),
        (b"5\r\nabcde\r\n", NoMoreData),
        (b"5\r\nabcde\r\n0\r\n", NoMoreData),
        (b"5\r\nabcdefg\r\n0\r\n\r\n", ChunkMissingTerminator),
        (b"5\r\nabcde\n0\r\n\r\n", ChunkMissingTerminator),
        (b"x\r\n", InvalidChunkSize),
        (b"\r\n", InvalidChunkSize),
        (b"-1\r\nabc", InvalidChunkSize),
        (b"+5\r\nabcde\r\n0\r\n\r\n", InvalidChunkSize),
        (b"0x5\r\nabcde\r\n0\r\n\r\n", InvalidChunkSize),
        (b"5_0\r\nabcde\r\n0\r\n\r\n", InvalidChunkSize),
        (b" 5\r\nabcde\r\n0\r\n\r\n", InvalidChunkSize),
        (b"5\nabcde\r\n0\r\n\r\n", InvalidChunkSize),
        (b"5;a\rb\r\nabcde\r\n0\r\n\r\n", InvalidChunkSize),
        (b"f" * 16 + b"\r\n", InvalidChunkSize),
        (b"5" + b" " * (MAX_LINE_BYTES + 9000), InvalidChunkSize),
        (b"0\r\n" + b"A: b\r\n" * MAX_TRAILER_BYTES, InvalidChunkSize),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_what_is_no_chunk_is_refused(wire, error, step):
    body = ChunkedBody(IterUnreader([wire[at : at + step] for at in range(0, len(wire), step)]))
    with pytest.raises(error):
        body.read()
    assert body.failed
