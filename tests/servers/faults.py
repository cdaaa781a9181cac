"""A proxy that stands between a driver and its store, and plays everything that goes wrong on the way.

It reads HTTP/1.1 request by request. A fault is a function of one `Exchange`: it may pass the request on, or do
something else with it. What nobody planned is passed on.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO

from tests.clients.wire import Target

PIECE = 64 * 1024

_BODILESS = (204, 304)


class Broken(Exception):
    """A connection that will carry nothing more."""


@dataclass
class Message:
    """A request's or an answer's first line and headers, as they came."""

    line: str
    headers: list[tuple[str, str]]

    @property
    def raw(self) -> bytes:
        return "\r\n".join([self.line, *(f"{name}: {value}" for name, value in self.headers), "", ""]).encode("latin-1")

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")

    def without(self, name: str) -> Message:
        return Message(self.line, [pair for pair in self.headers if pair[0].lower() != name.lower()])


_HANDSHAKE = b"\x16"
"""How TLS begins, which today's clients try first."""


def read_message(stream: BinaryIO) -> Message:
    """Raises Broken where the other side is gone, or speaks TLS."""
    first = stream.read(1)
    line = "" if first == _HANDSHAKE else (first + stream.readline()).decode("latin-1").strip()
    if not line:
        raise Broken
    headers = []
    while text := stream.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers.append((name, value.strip()))
    return Message(line, headers)


def read_body(stream: BinaryIO, message: Message, *, until_closed: bool = False) -> Iterator[bytes]:
    """The body as it is framed, framing included."""
    if "chunked" in message.header("Transfer-Encoding").lower():
        yield from _read_chunks(stream)
    elif message.header("Content-Length"):
        yield from _read_exactly(stream, int(message.header("Content-Length")))
    elif until_closed:
        while piece := stream.read(PIECE):
            yield piece


def _read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline():
        yield line
        size = int(line.split(b";")[0], 16)
        if not size:
            # Trailers, and the empty line that ends them.
            while (line := stream.readline()) not in (b"\r\n", b""):
                yield line
            yield b"\r\n"
            return
        yield from _read_exactly(stream, size + 2)
    raise Broken


def _read_exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(PIECE, size))
        if not piece:
            raise Broken
        size -= len(piece)
        yield piece


@dataclass
class Exchange:
    """One request that came, and what can be made of it. Every method ends the matter."""

    request: Message
    proxy: FaultProxy
    _client: socket.socket
    _stream: BinaryIO
    _opened: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def method(self) -> str:
        return self.request.line.split(" ")[0]

    @property
    def target(self) -> str:
        """Path and query."""
        return self.request.line.split(" ")[1]

    def pass_on(self) -> None:
        """Let the store do it, and say so."""
        answer, body = self._ask()
        self._client.sendall(answer.raw)
        for piece in body:
            self._client.sendall(piece)

    def pass_on_without(self, header: str) -> None:
        """As `pass_on`, but the store never sees this header."""
        self.request = self.request.without(header)
        self.pass_on()

    def refuse(self, status: int = 503) -> None:
        """Say no in the store's place."""
        self._drain()
        self._client.sendall(
            f"HTTP/1.1 {status} Trouble\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1")
        )
        raise Broken

    def reset(self) -> None:
        """Break the connection before the store hears of the request."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Broken

    def swallow(self) -> None:
        """Let the store do it, and break the connection instead of saying so."""
        _, body = self._ask()
        for _ in body:
            pass
        self.reset()

    def hang(self) -> None:
        """Say nothing, until the proxy closes."""
        closed = self.proxy.closed
        closed.wait()
        raise Broken

    def cut_request(self, after: int = 1000) -> None:
        """Let the store have only the first bytes of the body."""
        server = self._dial()
        server.sendall(self.request.raw)
        taken = self._stream.read(min(after, int(self.request.header("Content-Length") or 0)))
        server.sendall(taken)
        self.reset()

    def cut_answer(self, after: int = 1000) -> None:
        """Let the driver have only the first bytes of the answer's body."""
        answer, body = self._ask()
        self._client.sendall(answer.raw)
        for piece in body:
            self._client.sendall(piece[:after])
            after -= len(piece)
            if after <= 0:
                raise Broken

    def delay(self, seconds: float = 0.2) -> None:
        """Answer late."""
        time.sleep(seconds)
        self.pass_on()

    def trickle(self, pause: float = 0.3, pieces: int = 8) -> None:
        """Answer in so many pieces, with pauses between."""
        answer, body = self._ask()
        self._client.sendall(answer.raw)
        whole = b"".join(body)
        step = len(whole) // pieces + 1
        for start in range(0, len(whole), step):
            time.sleep(pause)
            self._client.sendall(whole[start : start + step])

    def _dial(self) -> socket.socket:
        server = self._opened.enter_context(socket.create_connection((self.proxy.behind.host, self.proxy.behind.port)))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _ask(self) -> tuple[Message, Iterator[bytes]]:
        server = self._dial()
        server.sendall(self.request.without("Connection").raw)
        stream = self._opened.enter_context(server.makefile("rb"))
        if self.request.header("Expect"):
            interim = read_message(stream)
            if " 100" not in interim.line[:13]:
                return interim, self._body(stream, interim)
            self._client.sendall(interim.raw)
        for piece in read_body(self._stream, self.request):
            server.sendall(piece)
        answer = read_message(stream)
        return answer, self._body(stream, answer)

    def _body(self, stream: BinaryIO, answer: Message) -> Iterator[bytes]:
        if self.method != "HEAD" and int(answer.line.split(" ")[1]) not in _BODILESS:
            yield from read_body(stream, answer, until_closed=True)
            if not answer.header("Content-Length") and not answer.header("Transfer-Encoding"):
                raise Broken

    def _drain(self) -> None:
        if self.request.header("Expect"):
            return
        for _ in read_body(self._stream, self.request):
            pass

    def close(self) -> None:
        self._opened.close()


Fault = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    exchange.pass_on()


@dataclass
class FaultProxy:
    """Stands in front of `behind`; remembers requests, counts connections, and does with a request what was planned."""

    behind: Target
    asked: list[str] = field(default_factory=list)
    connections: int = 0
    closed: threading.Event = field(default_factory=threading.Event)
    _plan: Fault = pass_on
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _clients: set[socket.socket] = field(default_factory=set)
    _port: int = 0

    def __post_init__(self) -> None:
        self.open()

    @property
    def target(self) -> Target:
        return Target("http", "127.0.0.1", self._port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def plan(self, fault: Fault, *, after: int = 0, times: int | None = None) -> None:
        """Let `after` requests pass, do this with the next `times` (None: with all), then pass again."""
        counted = iter(range(1 << 62))

        def planned(exchange: Exchange) -> None:
            with self._lock:
                number = next(counted)
            hit = number >= after and (times is None or number < after + times)
            (fault if hit else pass_on)(exchange)

        self.asked.clear()
        self._plan = planned

    def pass_everything(self) -> None:
        self.plan(pass_on)

    def open(self) -> None:
        """Listen, at the same port as before if there was one, and pass everything."""
        self.closed = threading.Event()
        self.pass_everything()
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Be gone: nobody listens, and all connections end. May be called twice."""
        self.closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self.connections += 1
                    self._clients.add(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # The stream is closed last: a reset is sent only when nothing holds the socket any more.
        stream = client.makefile("rb")
        try:
            while True:
                self._serve_one(client, stream)
        except (Broken, OSError):
            pass
        finally:
            with self._lock:
                self._clients.discard(client)
            stream.close()
            client.close()

    def _serve_one(self, client: socket.socket, stream: BinaryIO) -> None:
        request = read_message(stream)
        exchange = Exchange(request, self, client, stream)
        with self._lock:
            self.asked.append(request.line)
        with contextlib.closing(exchange):
            self._plan(exchange)
