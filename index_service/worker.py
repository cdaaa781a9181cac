"""The threaded worker, for whom no client may hold a thread for ever.

Gunicorn's own reads a request from a socket that waits without end: as many half requests as there are threads, and
nobody is served any more. Here a request has to be there, and each answer taken, within `REQUEST_SECONDS`.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import ThreadWorker

from index_service.background import EXTENSION


class PatientSocket(socket.socket):
    """A connection that gives each of its requests so many seconds, however they trickle."""

    __slots__ = ("_seconds", "_until")

    def expect_request(self, seconds: float) -> None:
        """The time of the next request begins."""
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def setblocking(self, flag: bool) -> None:
        """To wait is to wait for so long."""
        self.settimeout(self._seconds if flag else 0.0)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises NoMoreData once the time is over, as if the client had gone."""
        timeout = self.gettimeout()
        if not timeout:
            return super().recv(size, flags)
        left = self._until - time.monotonic()
        try:
            if left <= 0:
                raise NoMoreData
            self.settimeout(min(timeout, left))
            return super().recv(size, flags)
        except TimeoutError as error:
            raise NoMoreData from error
        finally:
            self.settimeout(timeout)


class Worker(ThreadWorker):
    """Serves the index, with a thread behind it for what is not done while somebody waits."""

    def run(self) -> None:
        background = self.wsgi.extensions[EXTENSION]
        background.start()
        try:
            super().run()
        finally:
            background.stop()

    def handle(self, conn: Any) -> Any:
        if not isinstance(conn.sock, PatientSocket):
            plain = conn.sock
            conn.sock = PatientSocket(plain.family, plain.type, plain.proto, plain.detach())
        conn.sock.expect_request(self.wsgi.config["REQUEST_SECONDS"])
        return super().handle(conn)
