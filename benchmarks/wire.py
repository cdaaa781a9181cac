"""One HTTP/1.1 request on a bare non-blocking socket, at as little CPU time as Python allows.

The load shares the machine with the server under test, so whatever it burns is missing there. Hence no header
objects, and one read buffer for all; bodies that nobody looks at are thrown away in the kernel (MSG_TRUNC,
tcp(7)), and a connection is looked at only when a good piece has come (SO_RCVLOWAT); uploads go from a file by
sendfile. Every peer is treated alike.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import select
import socket
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache
from typing import Any, TypeAlias

from tests.clients.wire import error_message

Address: TypeAlias = tuple[str, int]

_PIECE = 1 << 20
_LOW_WATER = 1 << 20
_FIRST_READ = 16 << 10
_CHUNKED = -1
_BIND_ADDRESS_NO_PORT = 24
"""linux/in.h: the source port is chosen at connect, so that one port serves towards several peers."""

_buffer = memoryview(bytearray(_PIECE))


class Broken(Exception):
    """What was asked for did not come, or not as it should be."""


class Want(Enum):
    """What a client wants of a reply's body. All but LENGTH cost a copy into user space."""

    BODY = "body"
    SHA256 = "sha256"
    READ = "read"
    LENGTH = "length"


@dataclass(slots=True)
class Upload:
    """A body in chunked transfer coding: `length` bytes of the file `descriptor`, then `tail`."""

    descriptor: int
    length: int
    tail: bytes


@dataclass(slots=True)
class Request:
    """`head` is sent as it is, small bodies included.

    `bodiless` says that the reply has no body whatever its length says (HEAD).
    """

    address: Address
    head: bytes
    upload: Upload | None = None
    want: Want = Want.BODY
    bodiless: bool = False
    keep_alive: bool = False


@dataclass(slots=True)
class Reply:
    """`head` is raw, without the blank line; `length` counts the body's bytes; `sha256` is hex, where asked for."""

    status: int
    head: bytes
    length: int = 0
    body: bytes = b""
    sha256: str = ""
    _lower: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._lower = self.head.lower()

    def header(self, name: str) -> str | None:
        """The value of the first header of this name."""
        wanted = _name_in_head(name)
        return self._value_after(wanted, 0)[0] if wanted in self._lower else None

    def headers_named(self, name: str) -> list[str]:
        wanted, values, end = _name_in_head(name), [], 0
        while wanted in self._lower[end:]:
            value, end = self._value_after(wanted, end)
            values.append(value)
        return values

    def _value_after(self, wanted: bytes, position: int) -> tuple[str, int]:
        start = self._lower.index(wanted, position) + len(wanted)
        end = self._lower.find(b"\r\n", start)
        end = len(self.head) if end < 0 else end
        return self.head[start:end].strip().decode("latin-1"), end

    def json(self) -> Any:
        """Parsed once for all that got these bytes: who reads it changes nothing in it."""
        return _parsed(self.body)

    def error(self) -> str:
        """The message of a failure. Raises WireError."""
        return error_message(self.body)


@dataclass(slots=True, eq=False)
class Exchange:
    """A request under way on `connection`; `expected` is the length of the body, once the head has come."""

    request: Request
    connection: socket.socket
    reused: bool = False
    moved: float = 0.0
    reply: Reply | None = None
    sending: bool = True
    _unsent: memoryview = field(init=False)
    _offset: int = 0
    _received: bytes = b""
    _expected: int = 0
    _low_water: int = 1
    _pieces: list[bytes] = field(default_factory=list)
    _hash: Any = None

    def __post_init__(self) -> None:
        upload = self.request.upload
        if upload is None:
            self._unsent = memoryview(self.request.head)
        else:
            self._unsent = memoryview(self.request.head + (b"" if upload.length else upload.tail))
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.request.want is Want.SHA256:
            self._hash = hashlib.sha256()

    @property
    def interest(self) -> int:
        return select.EPOLLIN | select.EPOLLOUT if self.sending else select.EPOLLIN

    @property
    def unanswered(self) -> bool:
        return not self._received

    @property
    def reusable(self) -> bool:
        """Whether the connection can serve again, once the reply is whole."""
        if not self.request.keep_alive or self.sending or self.reply is None:
            return False
        return (self.reply.header("Connection") or "").lower() != "close"

    def send(self) -> None:
        """Send what is left of the request. Raises BlockingIOError where the socket takes no more for now."""
        upload = self.request.upload
        while True:
            if self._unsent:
                more = socket.MSG_MORE if upload is not None and self._offset < upload.length else 0
                self._unsent = self._unsent[self.connection.send(self._unsent, more) :]
            elif upload is not None and self._offset < upload.length:
                self._send_file(upload)
            else:
                break
        self.sending = False

    def receive(self) -> bool:
        """Take what has come; says whether the reply is whole. Raises Broken, BlockingIOError, OSError."""
        return self._receive_head() if self.reply is None else self._receive_body()

    def rest(self) -> None:
        """Make the connection fit for the next request."""
        if self._low_water > 1:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _send_file(self, upload: Upload) -> None:
        left = min(_PIECE, upload.length - self._offset)
        sent = os.sendfile(self.connection.fileno(), upload.descriptor, self._offset, left)
        if sent == 0:
            raise Broken("the file to upload is shorter than it said")
        self._offset += sent
        if self._offset == upload.length:
            self._unsent = memoryview(upload.tail)

    def _receive_head(self) -> bool:
        count = self.connection.recv_into(_buffer, _FIRST_READ)
        if count == 0:
            raise Broken("closed before the reply")
        self._received += _buffer[:count]
        head, blank, rest = self._received.partition(b"\r\n\r\n")
        if not blank:
            return False
        self.reply = Reply(int(head[9:12]), head)
        self._expected = _expected_length(self.request, self.reply)
        return self._count(self.reply, memoryview(rest), len(rest))

    def _receive_body(self) -> bool:
        assert self.reply is not None
        unwanted = self.request.want is Want.LENGTH and self._expected != _CHUNKED
        count = self.connection.recv_into(_buffer, _PIECE, socket.MSG_TRUNC if unwanted else 0)
        if count == 0:
            raise Broken(f"closed after {self.reply.length} of {self._expected} bytes of the body")
        return self._count(self.reply, _buffer[:count], count)

    def _count(self, reply: Reply, content: memoryview, count: int) -> bool:
        reply.length += count
        if self._expected == _CHUNKED:
            self._pieces.append(bytes(content))
            return b"".join(self._pieces[-2:]).endswith(b"0\r\n\r\n") and self._complete(reply)
        if self._hash is not None:
            self._hash.update(content)
        if self.request.want is Want.BODY:
            self._pieces.append(bytes(content))
        if reply.length > self._expected:
            raise Broken("more bytes than announced")
        if reply.length == self._expected:
            return self._complete(reply)
        self._set_low_water(self._expected - reply.length)
        return False

    def _complete(self, reply: Reply) -> bool:
        reply.body = b"".join(self._pieces)
        if self._expected == _CHUNKED:
            reply.body = _unchunk(reply.body)
            reply.length = len(reply.body)
            if self._hash is not None:
                self._hash.update(reply.body)
        if self._hash is not None:
            reply.sha256 = self._hash.hexdigest()
        return True

    def _set_low_water(self, left: int) -> None:
        """Be woken once per large piece: a thousand wake-ups for a layer would cost more than the layer."""
        wanted = min(_LOW_WATER, left)
        if wanted < self._low_water or self._low_water < wanted > _FIRST_READ:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
            self._low_water = wanted


def connect(source: str, address: Address) -> socket.socket:
    """Begin a connection. Raises OSError.

    Every client has an address of 127.0.0.0/8 of its own: one alone would run out of ports in half a minute.
    """
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    connection.bind((source, 0))
    error = connection.connect_ex(address)
    if error not in (0, errno.EINPROGRESS):
        connection.close()
        raise OSError(error, os.strerror(error))
    return connection


def _expected_length(request: Request, reply: Reply) -> int:
    if request.bodiless or reply.status in (204, 304):
        return 0
    length = reply.header("Content-Length")
    if length:
        return int(length)
    if (reply.header("Transfer-Encoding") or "").lower() == "chunked":
        return _CHUNKED
    raise Broken("the reply has neither length nor chunks")


@cache
def _name_in_head(name: str) -> bytes:
    return b"\r\n" + name.lower().encode() + b":"


@lru_cache(maxsize=64)
def _parsed(body: bytes) -> Any:
    return json.loads(body)


def _unchunk(framed: bytes) -> bytes:
    pieces: list[bytes] = []
    start = 0
    while True:
        line = framed.index(b"\r\n", start)
        size = int(framed[start:line].split(b";")[0], 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(framed[line + 2 : line + 2 + size])
        start = line + 4 + size
