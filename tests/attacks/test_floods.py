"""Small requests that ask for much work: the services go on answering, and nobody else waits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.attacks.test_tokens import anonymous_token, pushed
from tests.clients.wire import Connection, Header, Target, ask, call
from tests.servers.services import Service, running, start_index, start_registry
from tests.servers.setups import SetUp


def services(split: SetUp) -> list[Target]:
    return [split.index, split.registry]


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "If-None-Match", "User-Agent", "X-Forwarded-For"])
@pytest.mark.parametrize("filling", ["a", 'a="', "a ", ", ", "=", "\\", "W/"])
def test_headers_full_of_nothing(split: SetUp, name: str, filling: str) -> None:
    """Eighty headers of eight thousand letters; what takes minutes to read is a way to stop a service."""
    scheme = "Token " if name == "Authorization" else "a=" if name == "Cookie" else ""
    many: list[Header] = [(name, scheme + (filling * 8000)[:8000] + ".")] * 80
    for target in services(split):
        for path in ("/v1/repositories/alice/none/tags", "/v1/repositories/alice/none/images", "/v1/search?q=x"):
            answer = ask(target, f"GET {path}", [("Host", target.netloc), *many, ("Connection", "close")])
            assert answer.status in (200, 400, 401, 404, 405)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """An index of two threads that waits a second for a request, and a registry before it."""
    folder = tmp_path_factory.mktemp("hasty")
    index = start_index(folder / "index", ["127.0.0.1:1"], threads="2", request_seconds="1")
    registry = start_registry(folder / "registry", index.url)
    with running(registry, index):
        yield index, registry


HALVES = (
    b"GET /v1/_p",
    b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\nX-Half: ",
    b"POST /v1/users/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    b"POST /v1/users/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 50,
)


def test_clients_that_never_end_what_they_begin(hasty: tuple[Service, Service]) -> None:
    """More than there are threads, trickling on and on: everybody else is served all the same."""
    for service in hasty:
        with contextlib.ExitStack() as held:
            trickling = [held.enter_context(Connection(service.target)) for _ in HALVES]
            for connection, half in zip(trickling, HALVES, strict=True):
                connection.send(half)
            stop = threading.Event()
            drip = threading.Thread(target=trickle, args=(trickling, stop))
            drip.start()
            try:
                assert call(service.target, "GET /v1/_ping").status == 200
            finally:
                stop.set()
                drip.join()


def trickle(connections: list[Connection], stop: threading.Event) -> None:
    while not stop.wait(0.2):
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.send(b"1")


def test_clients_that_stay_when_they_have_their_last_answer(split: SetUp) -> None:
    """Nobody waits for them to close, nor does the service without end."""
    for target in services(split):
        with contextlib.ExitStack() as held:
            staying, began = [], time.monotonic()
            for _ in range(10):
                staying.append(held.enter_context(Connection(target)))
                staying[-1].send_head("GET /v1/_ping HTTP/1.1", [("Host", "x"), ("Connection", "close")])
                assert staying[-1].read_answer().status == 200
            # An index waits for two seconds, and serves others meanwhile: for ten of them one after the other, 20.
            assert time.monotonic() - began < 15
            assert all(map(is_over, staying))


def is_over(connection: Connection) -> bool:
    """Whether, soon or in a while, nobody takes any more."""
    for _ in range(100):
        try:
            connection.send(b"more")
        except OSError:
            return True
        time.sleep(0.1)
    return False


HEADERS_ON_READS = (
    {"Range": "bytes=0-" + "9" * 5000},
    {"Range": "bytes=" + "9" * 5000 + "-"},
    {"Range": "bytes=-" + "9" * 5000},
    {"Range": "bytes=" + " " * 7000 + "x"},
    {"Range": "bytes=" + "0-0," * 1500},
    {"If-Modified-Since": "Thu, 01 Jan 99999999999999999999 00:00:00 GMT"},
    {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 +99999999999999999999"},
    {"If-Modified-Since": "Thu, 01 Jan 0001 00:00:00 +2359"},
    {"If-Modified-Since": "9" * 5000},
    {"If-None-Match": "a" + " " * 7000 + "a"},
    {"If-None-Match": '"' * 7000},
    {"If-Range": "W/" * 3000, "Range": "bytes=0-1"},
    {"If-Range": "Thu, 01 Jan 99999999999999999999 00:00:00 GMT", "Range": "bytes=0-1"},
    {"If-Match": '"' * 7000},
    {"If-Unmodified-Since": "Thu, 01 Jan 99999999999999999999 00:00:00 GMT"},
)


def test_conditions_and_ranges_beyond_reason(split: SetUp) -> None:
    """Whatever the header says, the answer is the layer, a part of it, or that it is known."""
    name, chain = pushed(split)
    token = {"Authorization": f"Token {anonymous_token(split, name)}"}
    for headers in HEADERS_ON_READS:
        for part in ("layer", "json", "ancestry", "files", "diff"):
            answer = call(split.registry, f"GET /v1/images/{chain[1].id}/{part}", token | headers)
            assert answer.status in (200, 206, 304, 416), (part, str(headers)[:80], answer)
            assert answer.status != 200 or part != "layer" or answer.body == chain[1].layer
