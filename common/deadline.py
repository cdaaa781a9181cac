"""An HTTP connection pool with a deadline for each response, which bounds a peer that sends a byte now and then.

A timeout of urllib3 bounds each read from the socket, and a response takes as many reads as its sender likes.

Small bodies are read with `read_body`, which tells one that was cut from a whole one.
"""

from __future__ import annotations

import io
import socket
import time
from functools import partial
from http.client import HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

WHOLE = 3
"""A response may take this many times as long in all as a single read."""

_BLOCK = 256 * 1024


def pool_with_deadline(timeout: float, connections: int) -> urllib3.PoolManager:
    """A pool of at most so many connections to each host: `timeout` in seconds bounds connecting and each read, WHOLE
    times as much a request from its first byte to the last of its response. Nothing is tried again."""
    limits = urllib3.Timeout(connect=timeout, read=timeout)
    pool = urllib3.PoolManager(maxsize=connections, timeout=limits, retries=False)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pool


def read_body(response: BaseHTTPResponse, limit: int) -> bytes:
    """The body as it was sent, at most one byte longer than the limit. Raises HTTPError for one that is cut."""
    body = bytearray()
    # To its end: only there urllib3 sees that a body is shorter than announced.
    while len(body) <= limit and (block := response.read(_BLOCK, decode_content=False)):
        body += block
    return bytes(body[: limit + 1])


class _Connection(HTTPConnection):
    def request(self, *arguments: Any, **named: Any) -> None:
        self.response_class = _response_class(self.timeout)
        super().request(*arguments, **named)


class _SecureConnection(HTTPSConnection):
    def request(self, *arguments: Any, **named: Any) -> None:
        self.response_class = _response_class(self.timeout)
        super().request(*arguments, **named)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _response_class(timeout: Any) -> Any:
    return partial(_Response, deadline=time.monotonic() + WHOLE * timeout)


class _Response(HTTPResponse):
    """Reads its socket until the deadline."""

    def __init__(self, sock: socket.socket, *arguments: Any, deadline: float, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_Socket(self.fp.detach(), sock, deadline))


class _Socket(io.RawIOBase):
    """The socket's own file, where no read begins after the deadline or lasts beyond it."""

    def __init__(self, file: Any, sock: socket.socket, deadline: float) -> None:
        self._file = file
        self._socket = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response takes too long")
        usual = self._socket.gettimeout()
        self._socket.settimeout(left if usual is None else min(left, usual))
        try:
            read: int | None = self._file.readinto(buffer)
        finally:
            self._socket.settimeout(usual)
        return read

    def close(self) -> None:
        self._file.close()
        super().close()
