"""A peer that sends a byte now and then holds nobody for longer than the deadline; one that breaks off said nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import urllib3

from common import deadline
from common.deadline import pool_with_deadline, read_body
from common.errors import Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access, Token
from index_service.registry_client import RegistryClient
from registry_service.index_client import IndexClient
from registry_service.mirror.client import Source
from registry_service.mirror.sources import MirrorSource

PAUSE = 0.05
"""Between two bytes."""

TIMEOUT = 10.0
"""Of a read: however busy the machine is, the next byte comes before."""

PATIENCE = 60.0
"""Far less than all the bytes take."""

NAME = RepositoryName("acme", "app")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
DRIPS = {
    "status line": (b"", b"HTTP/1.1 200 " + b"x" * 5000),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "body": (HEAD, b" " * 5000),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 1000),
    "body without an end": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 5000),
}


class Dripping:
    """Sends a beginning at once, and the rest byte by byte; first, if told, a whole answer."""

    def __init__(self, begin: bytes, rest: bytes) -> None:
        self.begin, self.rest = begin, rest
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(self.begin)
                for byte in self.rest:
                    if self._stopped.wait(PAUSE):
                        return
                    connection.sendall(bytes([byte]))
            except OSError:
                return


@pytest.fixture(params=DRIPS)
def dripping(request: pytest.FixtureRequest) -> Iterator[Dripping]:
    server = Dripping(*DRIPS[request.param])
    yield server
    server.stop()


def took(question: Callable[[], object], failure: type[Exception]) -> float:
    began = time.monotonic()
    with pytest.raises(failure):
        question()
    return time.monotonic() - began


def test_a_response_ends_with_its_deadline(dripping: Dripping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "WHOLE", 0.05)
    pool = pool_with_deadline(TIMEOUT, connections=1)
    seconds = took(lambda: pool.request("GET", f"http://127.0.0.1:{dripping.port}/"), urllib3.exceptions.HTTPError)
    assert 0.05 * TIMEOUT - PAUSE <= seconds < PATIENCE


def test_neither_service_waits_longer_for_the_other(dripping: Dripping) -> None:
    endpoint, token = f"127.0.0.1:{dripping.port}", Token("s", NAME, Access.READ)
    registries, index = RegistryClient({}, 0.1), IndexClient(f"http://{endpoint}", 0.1)
    assert took(lambda: registries.describe(endpoint, token, ImageId("a" * 64)), Unavailable) < PATIENCE
    assert took(lambda: index.images(NAME, "Token x"), Unavailable) < PATIENCE


def test_a_connection_is_kept_and_each_response_has_its_own_deadline() -> None:
    """Also by greenlets, as the registry asks."""
    server = Dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"true")
    pool = pool_with_deadline(TIMEOUT, connections=1)
    assert pool.request("GET", f"http://127.0.0.1:{server.port}/").json() is True
    program = f"""
from gevent import monkey; monkey.patch_all()
import json, gevent
from common.deadline import pool_with_deadline
pool = pool_with_deadline({TIMEOUT}, connections=8)
asked = [gevent.spawn(pool.request, "GET", "http://127.0.0.1:{server.port}/") for _ in range(8)]
gevent.joinall(asked, raise_error=True)
print(json.dumps([one.value.status for one in asked]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [200] * 8
    server.stop()


def test_a_kept_connection_serves_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each response takes half of what it may, so three take longer than one may."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = pool_with_deadline(TIMEOUT, connections=1)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for _ in range(3):
                    connection.recv(65536)
                    now[0] += deadline.WHOLE * TIMEOUT / 2
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")

        served = threading.Thread(target=serve)
        served.start()
        for _ in range(3):
            assert pool.request("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/").json() is True
        served.join()


TAGS, LIST = json.dumps({"latest": "a" * 64}).encode(), json.dumps([{"id": "a" * 64}]).encode()
CUTS: dict[str, Callable[[bytes], bytes]] = {
    "shorter than announced": lambda body: b"Content-Length: %d\r\n\r\n%b" % (len(body) + 500, body),
    "nothing of it": lambda body: b"Content-Length: %d\r\n\r\n" % len(body),
    "in a chunk": lambda body: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b" % (len(body) + 9, body),
    "before the last chunk": lambda body: b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_answer_is_none_even_if_it_could_be_read(cut: str) -> None:
    """What is there is valid JSON, a list or an image each time: only the framing says that there was more."""
    token, image, tag = Token("s", NAME, Access.READ), ImageId("a" * 64), Tag("latest")
    for body in (LIST, TAGS):
        server = Dripping(b"HTTP/1.1 200 OK\r\n" + CUTS[cut](body), b"")
        endpoint = f"127.0.0.1:{server.port}"
        registries, index = RegistryClient({}, 2.0), IndexClient(f"http://{endpoint}", 2.0)
        source = Source(MirrorSource("*", f"http://{endpoint}"), 2.0, "me")
        questions: list[Callable[[], object]] = [
            partial(registries.tags, endpoint, token, NAME),
            partial(registries.describe, endpoint, token, image),
            partial(registries.delete_tag, endpoint, token, NAME, tag),
            partial(index.images, NAME, "Token x"),
            partial(index.set_tag, NAME, tag, image, "Token x"),
            partial(source.images, NAME),
        ]
        for question in questions:
            with pytest.raises(Unavailable):
                question()
        server.stop()


def test_a_body_is_read_to_its_limit_and_one_byte_beyond() -> None:
    for limit, read in ((0, b"t"), (3, b"true"), (4, b"true"), (5, b"true")):
        server = Dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue", b"")
        pool = pool_with_deadline(2.0, connections=1)
        with pool.request("GET", f"http://127.0.0.1:{server.port}/", preload_content=False) as response:
            assert read_body(response, limit) == read
        server.stop()
