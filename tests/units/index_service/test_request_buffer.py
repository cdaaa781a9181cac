"""Where a request ends: as gunicorn's parser sees it, however the bytes come."""

from __future__ import annotations

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import example, given
from hypothesis import strategies as st

from index_service.request_buffer import MAX_BODY_BYTES, MAX_CHUNK_LINE, RequestBuffer

MAX_HEAD = 64 * 1024
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"

WHOLE = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-LENGTH:\t5 \r\nHost: x\r\n\r\nab\r\n\r",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0005\r\n\r\n\r\n\r\n\n",
    b"POST / HTTP/1.1\r\nX: Content-Length: 7\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\ntransfer-encoding: gzip, Chunked\r\n\r\n3\r\n\r\n\r\r\nA;x=y\r\n0123456789\r\n000\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3 ;a\r\nabc\r\n0;b\r\nX: y\r\nZ: z\r\n\r\n",
]


def fed(data: bytes, cuts: list[int]) -> tuple[RequestBuffer, int]:
    """The buffer, and after how many bytes it was ready; it gets pieces that end at the cuts, until it is."""
    buffer, begin = RequestBuffer(MAX_HEAD), 0
    for end in [*sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]:
        buffer.feed(data[begin:end])
        begin = end
        if buffer.is_ready:
            break
    return buffer, begin


def parsed(data: bytes) -> int | None:
    """How many bytes gunicorn reads of them; None where it refuses them or wants more."""
    parser = RequestParser(Config(), iter([data]), ("127.0.0.1", 1))
    try:
        body = next(parser).body
        # Reading counts down by what was asked for, not by what came.
        announced = getattr(body.reader, "length", 0)
        if len(body.read()) < announced:
            return None
    except (ParseException, NoMoreData, StopIteration):
        return None
    return len(data) - len(parser.unreader.take_buffered())


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 200)))
def test_a_request_is_ready_at_its_end(whole: bytes, cuts: list[int]) -> None:
    assert parsed(whole + NEXT) == len(whole)
    buffer, used = fed(whole + NEXT, [*cuts, len(whole)])
    assert (buffer.is_ready, buffer.is_complete, used) == (True, True, len(whole))
    assert buffer.data == whole


def test_a_request_that_lacks_its_last_byte_is_not_ready() -> None:
    for whole in WHOLE:
        buffer, _ = fed(whole[:-1], list(range(len(whole))))
        assert not buffer.is_ready
        assert not buffer.is_complete


PIECES = [
    b"Content-Length: 4", b"Content-Length: 4, 4", b"Content-Length: +4", b"Content-Length : 4", b"Content-Length:",
    b"Content-Length: " + b"0" * 30 + b"4", b"Content-Length: " + b"9" * 40, b"Content-Length: \xb2",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: xchunked", b" folded", b"X: y",
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\x00", b":", b"4", b"0", b"abcd", b"0;x", b"f" * 20, b"POST / HTTP/1.1\r\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join), st.lists(st.integers(0, 200), max_size=5))
@example(b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", [])
@example(b"Content-Length: 4\r\n\r\n", [])
@example(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [])
def test_what_is_complete_is_what_gunicorn_reads(rest: bytes, cuts: list[int]) -> None:
    """What it refuses may be ready or not; what it reads is never ready too early."""
    data = b"POST / HTTP/1.1\r\n" + rest
    end = parsed(data)
    buffer, used = fed(data, cuts)
    if end is not None:
        assert buffer.is_ready
        assert used >= end or not buffer.is_complete
        assert parsed(buffer.data) == end


def test_what_gunicorn_would_refuse_is_ready_at_once() -> None:
    for refused in (
        b"GET / HTTP/1.1\n",
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * (MAX_CHUNK_LINE + 1),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % MAX_BODY_BYTES + b"a" * (MAX_BODY_BYTES - 7),
    ):
        buffer, used = fed(refused, [len(refused) - 1])
        assert (buffer.is_ready, buffer.is_complete, used) == (True, False, len(refused))


def test_a_head_is_bounded() -> None:
    buffer = RequestBuffer(MAX_HEAD)
    buffer.feed(b"X" * MAX_HEAD)
    assert not buffer.is_oversized
    buffer.feed(b"X")
    assert buffer.is_oversized
    assert not buffer.is_ready


def test_who_expects_to_be_told_to_continue() -> None:
    expecting = b"POST / HTTP/1.1\r\nEXPECT: 100-Continue\r\nContent-Length: 1\r\n\r\n"
    for data, expects in (
        (expecting, True),
        (expecting[:-1], False),
        (expecting + b"a", False),
        (b"\r\n" + expecting, True),
        (expecting.replace(b"1.1", b"1.0"), False),
        (expecting.replace(b"th: 1", b"th: 0"), False),
        (expecting.replace(b"EXPECT", b"X-Expect"), False),
    ):
        buffer, _ = fed(data, [])
        assert buffer.expects_continue is expects


@pytest.mark.parametrize(
    ("head", "has_token"),
    [
        (b"Authorization: Token signature=a", True),
        (b"authorization:token Token signature=a", True),
        (b"AUTHORIZATION:\t tOKEN ", True),
        (b"Authorization: Basic Token ", False),
        (b"Authorization: Bearer c2lnbmF0dXJl", True),
        (b"Authorization: Bearer whp_abc", False),
        (b"Authorization: Bearer   whp_abc", False),
        (b"X-Authorization: Token a", False),
        (b"Host: a\r\nAuthorization: Tokenize", False),
        (b"Host: a", False),
    ],
)
def test_a_token_is_seen_in_the_head_and_nowhere_else(head, has_token):
    buffer = RequestBuffer(4096)
    buffer.feed(b"PUT / HTTP/1.1\r\nContent-Length: 30\r\n" + head)
    assert buffer.has_token is False
    buffer.feed(b"\r\n\r\n\r\nAuthorization: Token sig=a.....")
    assert buffer.has_token is has_token
