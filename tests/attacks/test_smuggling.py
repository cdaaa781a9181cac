"""One request hidden within another: whatever the framing says, nobody reads a request where another sees a body."""

from __future__ import annotations

import pytest

from tests.attacks.test_tokens import pushed
from tests.clients.wire import Answer, Connection, Target, WireError
from tests.servers.setups import SetUp, SetUps

HIDDEN = b"GET /v1/_ping HTTP/1.1\r\nHost: hidden\r\nX-Request-Id: hidden-1\r\nConnection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

FRAMES = {
    "two frames": b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "two frames, the other way round": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 0\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a length with a blank": b"Content-Length : 0\r\n\r\n",
    "chunked twice": CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunked, then identity": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a quoted coding": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a coding behind a tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded length": b"X: y\r\n Content-Length: 5\r\n\r\n",
    "a bare line feed": b"X: y\nContent-Length: 0\r\n\r\n",
    "a bare carriage return": b"X: y\rContent-Length: 0\r\n\r\n",
    "NUL in a header": b"X: a\x00b\r\n\r\n",
    "a bad size": CHUNKED + b"\r\nzz\r\n\r\n0\r\n\r\n",
    "a size in octal": CHUNKED + b"\r\n0x0\r\n\r\n",
    "a size with an underscore": CHUNKED + b"\r\n0_0\r\n\r\n",
    "a negative size": CHUNKED + b"\r\n-0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"\r\n1\r\nabcd\r\n0\r\n\r\n",
    "a chunk ended by a line feed": CHUNKED + b"\r\n1\r\na\n0\r\n\r\n",
    "sizes ended by line feeds": CHUNKED + b"\r\n0\n\n",
    "a line feed in an extension": CHUNKED + b"\r\n0;a\nb\r\n\r\n",
    "a size too big for a word": CHUNKED + b"\r\n10000000000000000\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0",
}


def answers(target: Target, data: bytes) -> list[Answer]:
    """All that comes back on one connection."""
    found = []
    with Connection(target, patience=2) as connection:
        connection.send(data)
        try:
            while True:
                found.append(connection.read_answer())
        except (WireError, OSError):
            return found


LENIENT = (
    "a bare line feed",
    "a chunk ended by a line feed",
    "sizes ended by line feeds",
    "a line feed in an extension",
)
"""What nginx takes for a line's end, as it may; what it passes on has proper ones."""


@pytest.fixture(params=["index", "registry", "nginx"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def target(where: str, setups: SetUps) -> Target:
    target = setups["one-host-http"].index if where == "nginx" else getattr(setups["split-http"], where)
    assert isinstance(target, Target)
    return target


def test_framing_that_can_be_read_in_two_ways(where: str, target: Target) -> None:
    """Refused, and the connection ends there: what follows is not read as a request."""
    for what, frame in FRAMES.items():
        if where != "nginx" or what not in LENIENT:
            refuse(target, frame)


def refuse(target: Target, frame: bytes) -> None:
    version = b"HTTP/1.1"
    if frame == b"HTTP/1.0":
        version, frame = frame, CHUNKED + b"\r\n0\r\n\r\n"
    head = b"POST /v1/users/ " + version + b"\r\nHost: x\r\nConnection: keep-alive\r\n"
    hidden = frame.replace(b"%d", b"%d" % len(HIDDEN)) + HIDDEN
    got = answers(target, head + hidden)
    for answer in got:
        assert answer.status in (400, 404, 405, 411, 501), got
        assert answer.header("X-Request-Id") != "hidden-1"
        assert answer.error()


def test_a_body_that_is_refused_unread_is_no_request(target: Target, split: SetUp) -> None:
    """The next request begins where the body ends, whether anybody wanted it or not."""
    image = pushed(split)[1][0].id
    body = HIDDEN * 3
    for line in (f"PUT /v1/images/{image}/layer", "PUT /v1/nowhere", "POST /v1/_ping", "GET /v1/_ping"):
        for frame in (
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
            CHUNKED + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
            CHUNKED + b"\r\n%x;ext=1\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(body), body),
        ):
            head = f"{line} HTTP/1.1\r\nHost: x\r\n".encode()
            last = b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: last-one\r\nConnection: close\r\n\r\n"
            got = answers(target, head + frame + last)
            ids = [answer.header("X-Request-Id") for answer in got]
            assert "hidden-1" not in ids, (line, frame[:40])
            assert len(got) <= 2, (line, frame[:40])
            assert ids[1:] in ([], ["last-one"])
