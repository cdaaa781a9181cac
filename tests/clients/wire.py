"""HTTP/1.1 said byte for byte: a test decides on every header's spelling, order and framing, and when to vanish."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Header = tuple[str, str]

PATIENCE = 60.0
"""Seconds a silent server is waited for."""


class WireError(Exception):
    """What came back is no HTTP, or nothing came back."""


@dataclass(frozen=True)
class Target:
    """Where to speak, and whose certificate to believe."""

    scheme: str
    host: str
    port: int
    authority: Path | None = None

    @classmethod
    def parse(cls, url: str, authority: Path | None = None) -> Target:
        parts = urlsplit(url)
        default = 443 if parts.scheme == "https" else 80
        return cls(parts.scheme, parts.hostname or "127.0.0.1", parts.port or default, authority)

    def at(self, endpoint: str) -> Target:
        """The same scheme and trust at another `host[:port]`, as X-Docker-Endpoints names it."""
        return Target.parse(f"{self.scheme}://{endpoint}", self.authority)

    @property
    def netloc(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}"


@dataclass(frozen=True)
class Answer:
    """A response; `complete` says whether the body was as long as its framing announced, `asked` what it answers."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""
    complete: bool = True
    asked: str = ""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def headers_named(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> str:
        """The message of a failure, which below /v2 has the form of v2. Raises WireError."""
        is_v2 = re.search(r" /v2(/\S*)?(\?| @|$)", self.asked)
        return v2_error_message(self.body) if is_v2 else error_message(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.body[:160]!r}" + ("" if self.complete else " (cut short)")


def error_message(body: bytes) -> str:
    """The message of a failure as a daemon reads it: a JSON object of string values, key `error`. Raises WireError."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise WireError(f"an error body daemons cannot read: {body[:200]!r}") from error
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise WireError(f"an error body daemons cannot read: {body[:200]!r}")
    return str(document["error"])


def v2_error_message(body: bytes) -> str:
    """As a daemon reads it: Docker 1.9 panics if the list is empty. Raises WireError."""
    try:
        (first,) = json.loads(body)["errors"]
        message, code = first["message"], first["code"]
    except (ValueError, LookupError, TypeError) as error:
        raise WireError(f"an error body daemons cannot read: {body[:200]!r}") from error
    if not isinstance(message, str) or not isinstance(code, str):
        raise WireError(f"an error body daemons cannot read: {body[:200]!r}")
    return message


@dataclass
class Connection:
    """One TCP or TLS connection; close it, or use it in `with`. One that is narrow lets little wait to be read."""

    target: Target
    patience: float = PATIENCE
    is_narrow: bool = False
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        plain = self._connect()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain if self.target.scheme == "http" else self._secure(plain)
        self._file = self._socket.makefile("rb")

    def _connect(self) -> socket.socket:
        address = (self.target.host, self.target.port)
        if not self.is_narrow:
            return socket.create_connection(address, timeout=self.patience)
        narrow = socket.socket()
        narrow.settimeout(self.patience)
        # The server's kernel keeps some segments for a client too: of large ones, megabytes.
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        narrow.connect(address)
        return narrow

    def _secure(self, plain: socket.socket) -> socket.socket:
        context = ssl.create_default_context(cafile=self.target.authority)
        return context.wrap_socket(plain, server_hostname=self.target.host)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._socket.close()

    def vanish(self) -> None:
        """Be gone as a killed daemon is: no goodbye, the connection is reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def half_close(self) -> None:
        """Send no more, yet go on listening."""
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_head(self, line: str, headers: Iterable[Header]) -> None:
        lines = [line, *(f"{name}: {value}" for name, value in headers)]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def send_chunk(self, block: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(block), block))

    def read_head(self) -> Answer:
        """Status and headers; the body is still to be read."""
        line = self._file.readline(65537)
        parts = line.split(b" ", 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1."):
            raise WireError(f"no answer from {self.target.url}: {line!r}")
        headers = []
        while (line := self._file.readline(65537)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        return Answer(int(parts[1]), tuple(headers))

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of a body; fewer only at its end."""
        return self._file.read(size)

    def read_answer(self, *, to_head: bool = False) -> Answer:
        head = self.read_head()
        while head.status == 100:
            head = self.read_head()
        if to_head or head.status in (204, 304):
            return head
        body, complete = self._read_body(head)
        return Answer(head.status, head.headers, body, complete)

    def _read_body(self, head: Answer) -> tuple[bytes, bool]:
        if "chunked" in (head.header("Transfer-Encoding") or ""):
            return self._read_chunks()
        length = head.header("Content-Length")
        if length is None:
            return self._file.read(), False
        try:
            body = self._file.read(int(length))
        except OSError:
            return b"", False
        return body, len(body) == int(length)

    def _read_chunks(self) -> tuple[bytes, bool]:
        body = b""
        while size := int(self._file.readline().split(b";")[0] or b"-1", 16):
            if size < 0:
                return body, False
            body += self._file.read(size)
            self._file.readline()
        self._file.readline()
        return body, True


def ask(
    target: Target,
    line: str,
    headers: Iterable[Header] = (),
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
) -> Answer:
    """One request on a connection of its own; headers, framing included, are sent as given.

    A server may refuse without reading the body: what it says then is the answer all the same.
    """
    with Connection(target) as connection:
        connection.send_head(f"{line} HTTP/1.1", headers)
        try:
            if body:
                connection.send(body)
            for block in chunks or ():
                connection.send_chunk(block)
            if chunks is not None:
                connection.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = connection.read_answer(to_head=line.startswith("HEAD "))
    return replace(answer, asked=f"{line} @{target.port}")


def call(
    target: Target,
    line: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
) -> Answer:
    """One well-formed request: `ask` with Host, framing and `Connection: close` added."""
    framing: list[Header] = []
    if chunks is not None:
        framing = [("Transfer-Encoding", "chunked")]
    elif body is not None:
        framing = [("Content-Length", str(len(body)))]
    sent = [("Host", target.netloc), *framing, *(headers or {}).items(), ("Connection", "close")]
    return ask(target, line, sent, body, chunks)
