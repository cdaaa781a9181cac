"""Connections to the one host of a bucket, for GET and HEAD of signed addresses, kept open for the next requests.

Its own pool over `http.client`, because that is what most of a pull's processor time goes to. Measured for a small GET
over a connection kept alive, client alone: http.client 88 µs, this pool 87 to 120, urllib3's HTTPConnectionPool 232 to
273, its PoolManager 292 to 365. A streamed pull of ten layers asks the store some 21 times and takes 22 ms; urllib3
would add 3 to 4.
"""

from __future__ import annotations

import base64
import socket
import ssl
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, unquote, urlsplit

PORTS = {"http": 80, "https": 443}


class Unreachable(OSError):
    """There is no connection to be had."""


class Answer:
    """Status, headers and body of an answer. Read to its end, it gives its connection back; else close it."""

    def __init__(self, connections: Connections, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._connections = connections
        self._connection: HTTPConnection | None = connection
        self._response = response
        self.status = response.status
        self.headers = response.headers

    def read(self, size: int | None = None) -> bytes:
        """At most `size` bytes, all that are left if None; nothing at the end, and where the store broke off."""
        if self._response.isclosed():
            return b""
        block = self._response.read(size)
        # What was announced and did not come stays in `length`.
        if self._response.isclosed() and not self._response.length and not self._response.will_close:
            self._give_back()
        return block

    def close(self) -> None:
        """Of an answer that was read to its end, the connection is another's by now."""
        if self._connection is not None:
            self._response.close()
            self._connection.close()

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._connections.take_back(connection)


class Connections:
    """As many as are in use at once, and up to `idle` more that wait for their next request."""

    def __init__(
        self, url: str, proxy: str | None, trusted: str, *, connect_timeout: float, read_timeout: float, idle: int
    ) -> None:
        """`url`: any at the host; `proxy`: a plain one that leads there; `trusted`: a file of certificates."""
        self._host = urlsplit(url)
        self._proxy = urlsplit(proxy) if proxy else None
        self._tls = ssl.create_default_context(cafile=trusted) if self._host.scheme == "https" else None
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._most_idle = idle
        self._idle: deque[HTTPConnection] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def send(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Ask for what is at `target`, a path with its query. Raises Unreachable, other OSErrors, and HTTPException."""
        connection = self._pick()
        if connection is not None:
            # The store closes what idles too long, and says so by closing only. All the others idled longer.
            with suppress(ConnectionError, HTTPException):
                return self._ask(connection, method, target, headers)
            _close_all(self._idle)
        return self._ask(self._connect(), method, target, headers)

    def take_back(self, connection: HTTPConnection) -> None:
        if len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            connection.close()

    def _pick(self) -> HTTPConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _ask(self, connection: HTTPConnection, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        try:
            connection.request(method, self._absolute(target), headers={**headers, **self._to_proxy()})
            return Answer(self, connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> HTTPConnection:
        connection = self._new()
        try:
            connection.connect()
        except ssl.SSLError:
            raise
        except OSError as error:
            raise Unreachable from error
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.sock.settimeout(self._read_timeout)
        return connection

    def _new(self) -> HTTPConnection:
        host, port = _address(self._proxy or self._host)
        if self._tls is None:
            return HTTPConnection(host, port, timeout=self._connect_timeout)
        connection = HTTPSConnection(host, port, timeout=self._connect_timeout, context=self._tls)
        if self._proxy is not None:
            connection.set_tunnel(*_address(self._host), headers=_permission(self._proxy))
        return connection

    def _absolute(self, target: str) -> str:
        """A proxy of plain HTTP is told the whole address."""
        return target if self._proxy is None or self._tls else f"http://{self._host.netloc}{target}"

    def _to_proxy(self) -> dict[str, str]:
        return {} if self._proxy is None or self._tls else _permission(self._proxy)


def _close_all(connections: deque[HTTPConnection]) -> None:
    with suppress(IndexError):
        while True:
            connections.pop().close()


def _address(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def _permission(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    said = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}
