"""The threaded worker of the index: gunicorn's, with a read deadline, a lingering close and load balancing.

Read deadline: gunicorn's worker reads a request from a socket without a timeout: as many slow clients (slow loris) as
there are threads stop the service. Here a request must arrive, and each response be taken, within `REQUEST_SECONDS`.
Where nginx stands in front, it buffers requests, and this protects the naked index alone.

Lingering close: after the last response gunicorn's worker waits in its event loop until the client has closed, or two
seconds, and delays every other connection. Here the close is one event among the others.

Load balancing: all workers accept from one socket, and one of gunicorn's takes what it can get and keeps it. Of twenty
clients that connect at once, one worker serves all, as long as they keep their connections, and the other stays idle.
Here a worker with more connections than another lets that one accept first, and closes a connection with its response
when it has two more. `scoreboard` says why not by `reuse_port`.
"""

from __future__ import annotations

import selectors
import socket
import time
from functools import partial
from itertools import takewhile
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import ThreadWorker

from index_service.background import EXTENSION
from index_service.scoreboard import Scoreboard
from index_service.thread_pool import ElasticThreadPool

LINGER_SECONDS = 2.0
"""How long a client may take to close its side of a connection that is closed on ours."""

_PIECE = 64 * 1024
_PAUSE_SECONDS = 0.002

_scoreboard = Scoreboard()


class DeadlineSocket(socket.socket):
    """A connection with a read deadline for each request, however slowly its bytes arrive."""

    __slots__ = ("_seconds", "_until")

    def expect_request(self, seconds: float) -> None:
        """Set the deadline of the next request."""
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def setblocking(self, flag: bool) -> None:
        """A blocking socket has a timeout, here."""
        self.settimeout(self._seconds if flag else 0.0)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises NoMoreData after the deadline, as if the client had disconnected."""
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
    """Serves the index, with a background thread for work that no request waits for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # This runs in the arbiter, before the fork.
        super().__init__(*arguments, **named)
        self._slot = _scoreboard.join()
        # Connections closed on our side, each with the deadline for the client to close its own; the oldest first.
        self._lingering: dict[Any, float] = {}

    def forget(self) -> None:
        """Give the place on the scoreboard back; the arbiter calls it once the process has ended."""
        _scoreboard.leave(self._slot)

    def run(self) -> None:
        background = self.wsgi.extensions[EXTENSION]
        background.start()
        try:
            super().run()
        finally:
            _scoreboard.publish(self._slot, None)
            background.stop()

    def handle(self, conn: Any) -> Any:
        if not isinstance(conn.sock, DeadlineSocket):
            plain = conn.sock
            conn.sock = DeadlineSocket(plain.family, plain.type, plain.proto, plain.detach())
        conn.sock.expect_request(self.wsgi.config["REQUEST_SECONDS"])
        return super().handle(conn)

    def accept(self, listener: Any) -> None:
        if self._load_difference() > 0:
            time.sleep(_PAUSE_SECONDS)
        super().accept(listener)
        self._publish()

    def handle_request(self, req: Any, conn: Any) -> Any:
        if self._load_difference() > 1:
            req.force_close()
        return super().handle_request(req, conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        if fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        for conn in list(takewhile(lambda conn: self._lingering[conn] <= now, self._lingering)):
            self._end_linger(conn)

    def get_thread_pool(self) -> ElasticThreadPool:
        return ElasticThreadPool(self.cfg.threads)

    def notify(self) -> None:
        # The event loop calls this once a second or more often.
        self.tpool.grow()
        self._publish()
        super().notify()

    def _linger(self, conn: Any) -> None:
        """Half-close. A full close while the client still sends would reset the connection and lose its response."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self._close(conn)
            return
        self._lingering[conn] = time.monotonic() + LINGER_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Any, client: socket.socket) -> None:
        try:
            is_over = not client.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._end_linger(conn)

    def _end_linger(self, conn: Any) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _publish(self) -> None:
        _scoreboard.publish(self._slot, self._open_connections() if self.alive else None)

    def _load_difference(self) -> int:
        """How many more connections this worker has than the least loaded one."""
        lowest = _scoreboard.lowest()
        return 0 if lowest is None else self._open_connections() - lowest

    def _open_connections(self) -> int:
        """Connections that may bring requests, without those that linger."""
        return self.nr_conns - len(self._lingering)
