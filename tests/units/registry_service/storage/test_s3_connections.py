"""Connections of the S3 driver: kept and used again, made anew where the store closed them, and led through proxies."""

from __future__ import annotations

import base64
import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry_service.storage.s3.connections import Connections, Unreachable
from tests.servers.process import free_port
from tests.servers.tls import make_certificate

BODY = b"0123456789" * 1000
PIECE = 65536


class Server(http.server.ThreadingHTTPServer):
    """Answers every GET with BODY, and remembers what it was asked over which connections."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.connected: list[socket.socket] = []

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        self.connected.append(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        for connection in self.connected:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Proxy-Authorization"]))
        self.send_response(200)
        if self.path.endswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
            return
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if self.path.endswith("broken"):
            self.wfile.write(BODY[:10])
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(BODY)

    def do_CONNECT(self) -> None:
        """Lead on to where the client says, both ways until one side ends."""
        self.server.asked.append((self.path, self.headers["Proxy-Authorization"]))
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as onward:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pass_on, args=(onward, self.connection))
            back.start()
            pass_on(self.connection, onward)
            back.join()
        self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(PIECE):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server() as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.hang_up()
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def connections_to(port: int, scheme: str = "http", **changed: object) -> Connections:
    chosen = {"proxy": None, "trusted": "", "connect_timeout": 5.0, "read_timeout": 5.0, "idle": 4, **changed}
    return Connections(f"{scheme}://127.0.0.1:{port}/bucket", **chosen)  # type: ignore[arg-type]


def get(connections: Connections, target: str = "/a") -> bytes:
    return connections.send("GET", target, {}).read()


@pytest.mark.parametrize("target", ["/whole", "/chunked"])
def test_a_connection_is_used_again_once_its_answer_was_read(server: Server, target: str) -> None:
    connections = connections_to(server.server_port)
    for _ in range(3):
        assert get(connections, target) == BODY
    answer = connections.send("GET", target, {})
    while answer.read(4096):
        pass
    assert answer.read() == b""
    assert connections.send("HEAD", "/whole", {}).read() == b""
    assert len(server.connected) == 1


def test_an_answer_that_is_not_read_to_its_end_takes_its_connection_along(server: Server) -> None:
    connections = connections_to(server.server_port)
    answer = connections.send("GET", "/a", {})
    assert answer.read(10) == BODY[:10]
    answer.close()
    answer.close()
    assert get(connections) == BODY
    assert len(server.connected) == 2


def test_an_answer_that_breaks_off_is_short_and_leaves_nothing_open(server: Server) -> None:
    connections = connections_to(server.server_port)
    answer = connections.send("GET", "/broken", {})
    assert [answer.read(4096), answer.read(4096), answer.read(4096)] == [BODY[:10], b"", b""]
    answer.close()
    assert get(connections) == BODY
    assert len(server.connected) == 2


def test_no_more_are_kept_than_wanted(server: Server) -> None:
    connections = connections_to(server.server_port, idle=1)
    answers = [connections.send("GET", "/a", {}) for _ in range(3)]
    for answer in answers:
        assert answer.read() == BODY
    for _ in range(2):
        assert get(connections) == BODY
    assert len(server.connected) == 3


def test_what_the_store_closed_meanwhile_is_not_noticed(server: Server) -> None:
    connections = connections_to(server.server_port)
    for answer in [connections.send("GET", "/a", {}) for _ in range(3)]:
        answer.read()
    server.hang_up()
    assert get(connections) == BODY
    # All that idled are given up at once, not one by one.
    assert len(server.connected) == 4


def test_nobody_there() -> None:
    with pytest.raises(Unreachable):
        get(connections_to(free_port()))


def test_a_silent_store_is_not_waited_for_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        get(connections_to(silent.getsockname()[1], read_timeout=0.1))


def test_a_proxy_is_told_the_whole_address_and_who_asks(server: Server) -> None:
    connections = Connections(
        "http://store.example:9000/bucket",
        f"http://us%40er:word@127.0.0.1:{server.server_port}",
        "",
        connect_timeout=5,
        read_timeout=5,
        idle=4,
    )
    assert get(connections, "/bucket/a?signature=1") == BODY
    said = base64.b64encode(b"us@er:word").decode()
    assert server.asked == [("http://store.example:9000/bucket/a?signature=1", f"Basic {said}")]


def test_tls_alone_and_through_a_proxy(tmp_path: Path, server: Server) -> None:
    made = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    with serving(context) as store:
        port = store.server_port
        assert get(connections_to(port, "https", trusted=str(made.authority))) == BODY
        through = connections_to(
            port, "https", trusted=str(made.authority), proxy=f"http://user:word@127.0.0.1:{server.server_port}"
        )
        assert [get(through), get(through)] == [BODY, BODY]
        assert server.asked == [(f"127.0.0.1:{port}", f"Basic {base64.b64encode(b'user:word').decode()}")]
        with pytest.raises(ssl.SSLCertVerificationError):
            get(connections_to(port, "https", trusted=ssl.get_default_verify_paths().openssl_cafile or ""))
