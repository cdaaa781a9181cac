"""Slow clients: however many send their requests byte by byte, or take no response, others are served at once."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index_service.half_requests import MAX_REQUESTS_PER_CLIENT
from tests.clients.wire import Connection, Target, call
from tests.servers.process import eventually
from tests.servers.services import Service, running, start_index

PROMPT_SECONDS = 0.1
PINGS = 60
GIVE_UP_SECONDS = 15.0
"""One prompt round of `PINGS` will do, since a loaded machine delays whom it will; but it has to come before the index
gives up waiting for those that are slow, for then one that they have blocked answers again."""

LOGIN = b'{"username": "drip", "password": "drop-drop-drop", "email": "drip@example.com"}'
POST = b"POST /v1/users/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BEGUN = {
    "nothing": b"",
    "heads": b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\nX-Drip: ",
    "bodies": POST + b"Content-Length: %d\r\n\r\n{" % len(LOGIN),
    "chunked bodies": POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n{" % len(LOGIN),
    "bodies that wait for a word": POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(LOGIN),
    "bodies without an end": POST + b"Content-Length: 1000000000000\r\n\r\n{",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker with the threads, bounds and deadlines that every index has."""
    service = start_index(tmp_path_factory.mktemp("slow") / "index", ["127.0.0.1:1"])
    with running(service):
        yield service


class Drip:
    """Connections that each send a byte a second, from several addresses, until the block ends."""

    def __init__(self, service: Service, begun: bytes, connections: int, addresses: int = 1) -> None:
        self._target = ("127.0.0.1", service.port)
        self._begun = begun
        self._sources = [f"127.0.{1 + number % addresses}.1" for number in range(connections)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drip)
        self.sockets: list[socket.socket] = []

    def __enter__(self) -> Drip:
        for source in self._sources:
            client = socket.create_connection(self._target, timeout=60, source_address=(source, 0))
            self.sockets.append(client)
            client.sendall(self._begun)
            client.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for client in self.sockets:
            client.close()

    def _drip(self) -> None:
        """A tenth of them every tenth of a second, so that some byte always comes."""
        for turn in itertools.count():
            if self._stop.wait(0.1):
                return
            for client in self.sockets[turn % 10 :: 10]:
                with contextlib.suppress(OSError):
                    client.send(b" ")

    def closed(self) -> int:
        """How many the service has closed."""
        return sum(map(is_closed, self.sockets))


def is_closed(client: socket.socket) -> bool:
    try:
        return not client.recv(65536)
    except BlockingIOError:
        return False
    except OSError:
        return True


def expect_prompt(target: Target) -> None:
    """The 99th percentile of pings, each on a connection of its own, while others keep it busy."""
    began, seen = time.monotonic(), []
    while time.monotonic() < began + GIVE_UP_SECONDS:
        seen.append(slowest(lambda: call(target, "GET /v1/_ping").status == 200))
        if seen[-1] < PROMPT_SECONDS and time.monotonic() < began + GIVE_UP_SECONDS:
            return
    pytest.fail(f"no round of pings was prompt: {seen}")


def slowest(succeeds: Callable[[], bool]) -> float:
    """Of `PINGS`, all but one took at most so many seconds."""
    took = []
    for _ in range(PINGS):
        began = time.monotonic()
        assert succeeds()
        took.append(time.monotonic() - began)
        time.sleep(0.005)
    return sorted(took)[-2]


@pytest.mark.parametrize("what", BEGUN)
def test_forty_that_send_a_byte_a_second(index: Service, what: str) -> None:
    """More than there are threads, and none of them is cut off before its time."""
    with Drip(index, BEGUN[what], 40) as drip:
        expect_prompt(index.target)
        if what != "bodies without an end":
            assert drip.closed() == 0


@pytest.mark.parametrize(("connections", "addresses"), [(200, 1), (200, 10), (1000, 10), (1000, 1)])
def test_hundreds_that_send_a_byte_a_second(index: Service, connections: int, addresses: int) -> None:
    """One address has so many half-sent requests and no more; those of others stay."""
    surplus = max(0, connections - MAX_REQUESTS_PER_CLIENT * addresses)
    with Drip(index, BEGUN["heads"], connections, addresses) as drip:
        expect_prompt(index.target)
        eventually(lambda: drip.closed() >= surplus, lambda: f"{drip.closed()} are closed")
        assert drip.closed() == surplus


def test_fewer_descriptors_than_slow_clients(tmp_path: Path) -> None:
    """Those that are missed least are closed; nobody else has to wait for them, nor after them."""
    service = start_index(tmp_path, ["127.0.0.1:1"], prefix=["prlimit", "--nofile=128:128"])
    with running(service):
        for begun in (BEGUN["nothing"], BEGUN["heads"]):
            with Drip(service, begun, 300, 30):
                expect_prompt(service.target)
            expect_prompt(service.target)
        log = service.process.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert log.count("Booting worker") == 1


def test_the_oldest_goes_first_and_is_told_why(index: Service) -> None:
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(Connection(index.target)) for _ in range(MAX_REQUESTS_PER_CLIENT + 1)]
        for connection in slow:
            connection.send(BEGUN["heads"])
        refused = slow[0].read_answer()
        assert (refused.status, refused.error()) == (503, "Too many slow requests; send it again")
        slow[1].send(b"\r\n\r\n")
        assert slow[1].read_answer().status == 200


def test_a_slow_request_is_served_like_any_other(index: Service) -> None:
    """A login that takes a second to arrive, its length announced or not, in pieces of a few bytes."""
    for framing, body in (
        (b"Content-Length: %d\r\n\r\n" % len(LOGIN), LOGIN),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\nX-T: 1\r\n\r\n" % (len(LOGIN), LOGIN)),
    ):
        with Connection(index.target) as connection:
            sent = POST + framing + body + b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\n\r\n"
            for begin in range(0, len(sent), 7):
                connection.send(sent[begin : begin + 7])
                time.sleep(0.01)
            assert connection.read_answer().status in (201, 400, 401)
            assert connection.read_answer().body == b"true"


def test_a_client_is_told_to_continue_once(index: Service) -> None:
    with Connection(index.target) as connection:
        connection.send(BEGUN["bodies that wait for a word"])
        assert connection.read_head().status == 100
        connection.send(LOGIN)
        assert connection.read_head().status in (201, 400, 401)


def test_heads_without_an_end(index: Service) -> None:
    with Connection(index.target) as connection:
        connection.send(b"GET /v1/_ping HTTP/1.1\r\n" + b"X-More: more\r\n" * 64_000)
        answer = connection.read_answer()
        assert (answer.status, answer.error()) == (431, "The headers of the request are too large")


def test_a_request_that_its_client_gives_up(index: Service) -> None:
    """What is half-sent gets an answer all the same from a client that still listens, and then the end."""
    for begun, statuses in ((BEGUN["bodies"], (400,)), (b"GET /v1/_ping HTTP/1.1\r\n", ()), (b"", ())):
        with Connection(index.target) as connection:
            connection.send(begun)
            connection.half_close()
            answer = connection.read(65536)
            assert (int(answer[9:12]),) == statuses if statuses else answer == b""


def slow_reader(service: Service) -> Connection:
    """A client that has asked for answers on one connection, larger than what the kernel keeps, and takes none."""
    connection = Connection(service.target, is_narrow=True)
    connection.send(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * PIPELINED)
    return connection


PIPELINED = 3


def test_clients_that_take_no_answer(index: Service) -> None:
    whole = call(index.target, "GET /api/v1/openapi.json").body
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(slow_reader(index)) for _ in range(40)]
        expect_prompt(index.target)
        for _ in range(PIPELINED):
            assert slow[-1].read_answer().body == whole
