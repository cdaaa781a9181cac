"""The gevent worker of the registry, with sendfile(2), idle timeouts and a lingering close.

gevent's own `socket.sendfile` reads the file and writes it back in 8 KiB pieces; here a layer goes from the
page cache to the socket inside the kernel, and the greenlet waits on the hub while the socket is full. On two
cores that is the difference between 0.6 and 1.06 GB/s.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing, suppress
from email.utils import formatdate
from functools import lru_cache
from typing import Any, BinaryIO

import gevent
import gevent.socket
from gevent.server import StreamServer
from gunicorn import util
from gunicorn.http.body import ChunkedReader
from gunicorn.workers import ggevent
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

from common import metrics, request_record
from common.serving import NO_TLS, TLS_RECORD, write_json_error
from registry_service.chunked import ChunkedBody

LINGER_SECONDS = 30.0
"""How long to drain what a client still sends after its request was refused."""

_PIECE = 256 * 1024


@lru_cache(maxsize=1)
def _date_of(second: int) -> str:
    return formatdate(second, usegmt=True)


def http_date(timestamp: float | None = None) -> str:
    """The Date header, cached for a second: formatting it was four percent of a small request."""
    return _date_of(int(time.time() if timestamp is None else timestamp))


class SendfileSocket(gevent.socket.socket):
    """A connection's socket whose `sendfile` is the system call."""

    __slots__ = ()

    def sendall(self, data: Any, flags: int = 0) -> None:
        """One system call for what fits the buffer at once, where gevent's first asks how large the buffer is."""
        try:
            sent = self._sock.send(data, flags)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            super().sendall(memoryview(data)[sent:], flags)

    def sendfile(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> int:
        """Send `count` bytes of a real file from `offset`; returns how many were sent.

        Raises ConnectionAbortedError where the file ends before `count`: the length is announced already,
        so cutting the connection is the only honest way to say so.
        """
        wanted = os.fstat(file.fileno()).st_size - offset if count is None else count
        sent = 0
        record = request_record.current.get()
        while sent < wanted:
            try:
                step = os.sendfile(self.fileno(), file.fileno(), offset + sent, wanted - sent)
            except BlockingIOError:
                gevent.socket.wait_write(self.fileno(), timeout=self.gettimeout())
                continue
            if step == 0:
                raise ConnectionAbortedError(f"file ended {wanted - sent} bytes early")
            sent += step
            if record is not None:
                record.file_bytes = sent
        return sent


class Listener(StreamServer):
    """A listening socket that accepts who has connected already before it is closed; theirs would be reset."""

    def close(self) -> None:
        while not self.closed and not self.full() and (accepted := self.do_read()) is not None:
            self.do_handle(*accepted)
        super().close()


class Worker(GeventWorker):
    """Serves the registry; one greenlet a connection, closed when its client is idle for `IDLE_SECONDS`."""

    def init_process(self) -> None:
        # What gunicorn would look up in its settings thirty times a request, by way of `__getattr__`.
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        util.http_date = http_date
        ggevent.StreamServer = Listener
        self._clients = 0
        metrics.CONNECTIONS.watch(lambda: self._clients, "registry")
        super().init_process()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        if type(client) is gevent.socket.socket:
            # Given its class rather than wrapped anew: a second socket object would cost 3 % of a small request.
            client.__class__ = SendfileSocket
        client.settimeout(self.wsgi.config["IDLE_SECONDS"])
        self._clients += 1
        try:
            if _tries_tls(client):
                self.log.debug("TLS handshake from %s on a port of plain HTTP", addr)
                _refuse_tls(client)
                return
            # Past GeventWorker, which would take the time-out away again.
            AsyncWorker.handle(self, listener, client, addr)
        except TimeoutError:
            self.log.debug("Closed an idle connection")
        finally:
            self._clients -= 1

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if req is None and getattr(exc, "req", None) is None:
            self.log.unreadable(addr, exc)
        super().handle_error(req, client, addr, exc)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        if isinstance(req.body.reader, ChunkedReader):
            req.body = ChunkedBody(req.unreader)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            if req.should_close() and _has_more(req.body):
                _linger(sock)


def _tries_tls(client: Any) -> bool:
    """Waits for what a client sends first. Raises TimeoutError."""
    if not isinstance(client, SendfileSocket):
        return False
    try:
        return client.recv(len(TLS_RECORD), socket.MSG_PEEK) == TLS_RECORD
    except ConnectionError:
        return False


def _refuse_tls(client: SendfileSocket) -> None:
    with suppress(OSError), closing(client):
        write_json_error(client, 400, "Bad Request", NO_TLS)
        _linger(client)


def _has_more(body: Any) -> bool:
    """Whether a request was refused before its body was read to the end."""
    if body.failed:
        return False
    return not body.is_read if isinstance(body, ChunkedBody) else bool(getattr(body.reader, "length", 0))


def _linger(sock: Any) -> None:
    """Lingering close: drain what a client still sends, so that it can read why it was refused.

    Closing with unread bytes resets the connection, and a daemon in the middle of a layer would report a
    broken pipe instead of our response.
    """
    with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(_PIECE):
            pass
