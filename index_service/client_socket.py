"""Sockets of clients, on which no thread ever waits.

The event loop reads a request and hands it over whole. The thread that answers it sends what the kernel takes at once,
and leaves the rest to the event loop.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from typing import Any

from index_service.request_buffer import RequestBuffer

_PIECE = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientSocket(socket.socket):
    """A non-blocking socket with the request being read from it, and the response not yet taken."""

    __slots__ = ("_unsent", "has_continued", "request", "wanted_more")

    request: RequestBuffer
    has_continued: bool
    """Whether `100 Continue` was sent."""
    wanted_more: bool
    """Whether the parser sees a longer request than its buffer does."""
    _unsent: deque[memoryview]

    @classmethod
    def adopt(cls, plain: socket.socket, max_head: int) -> ClientSocket:
        """In place of a plain socket, which is detached."""
        adopted = cls(plain.family, plain.type, plain.proto, plain.detach())
        socket.socket.setblocking(adopted, False)
        adopted._unsent = deque()
        adopted.begin_request(max_head)
        return adopted

    def begin_request(self, max_head: int) -> None:
        self.request = RequestBuffer(max_head)
        self.has_continued = self.wanted_more = False

    def receive(self) -> bool:
        """Add what the client has sent to its request; false once it has closed its side. Raises OSError."""
        data = super().recv(_PIECE)
        self.request.feed(data)
        if not self.has_continued and self.request.expects_continue:
            self.has_continued = True
            with suppress(BlockingIOError):
                self.send(_CONTINUE)
        return bool(data)

    def drain(self) -> bool:
        """Discard what the client sends; false once it has closed its side. Raises OSError."""
        return bool(super().recv(_PIECE))

    def recv(self, size: int, flags: int = 0) -> bytes:
        """The end of the stream, for the parser: it has got all there is to a request."""
        self.wanted_more = True
        return b""

    def setblocking(self, flag: bool) -> None:
        """Never blocking, whatever gunicorn asks for."""

    def settimeout(self, value: float | None) -> None:
        """Likewise."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send what the kernel takes, and keep the rest for `flush`."""
        self._unsent.append(memoryview(data))
        if len(self._unsent) == 1:
            self.flush()

    def flush(self) -> None:
        """Send what the kernel takes of the rest. Raises OSError."""
        while self._unsent:
            piece = self._unsent[0]
            try:
                sent = self.send(piece)
            except BlockingIOError:
                return
            if sent < len(piece):
                self._unsent[0] = piece[sent:]
            else:
                self._unsent.popleft()

    @property
    def unsent(self) -> int:
        """Bytes that the client has yet to take."""
        return sum(len(piece) for piece in self._unsent)
