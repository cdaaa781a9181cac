"""The threaded worker, for whom no client may hold a thread for ever, and which shares its work with the others.

Gunicorn's own reads a request from a socket that waits without end: as many half requests as there are threads, and
nobody is served any more. Here a request has to be there, and each answer taken, within `REQUEST_SECONDS`.

Once a client has its last answer, gunicorn's own closes after the client has, or after two seconds, and whoever else is
there waits for that too. Here that is one event among the others.

All workers accept from one socket, and gunicorn's own takes what it can get and keeps it: of twenty readers that come
at once one worker serves all, as long as they stay, and the other stands idle. Here whoever has more connections than
another lets that one go first, and closes a connection with its answer where two more are too many.
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
from index_service.crew import Crew
from index_service.scoreboard import Scoreboard

LINGER_SECONDS = 2.0
"""How long a client may take to close a connection that is closed here."""

_PIECE = 64 * 1024
_PAUSE_SECONDS = 0.002

_scoreboard = Scoreboard()


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

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # Here it is the arbiter's still.
        super().__init__(*arguments, **named)
        self._place = _scoreboard.join()
        # Closed on this side, and until when the client may; the oldest first.
        self._leaving: dict[Any, float] = {}

    def forget(self) -> None:
        """To be called by the arbiter, once the process is gone."""
        _scoreboard.leave(self._place)

    def run(self) -> None:
        background = self.wsgi.extensions[EXTENSION]
        background.start()
        try:
            super().run()
        finally:
            _scoreboard.tell(self._place, None)
            background.stop()

    def handle(self, conn: Any) -> Any:
        if not isinstance(conn.sock, PatientSocket):
            plain = conn.sock
            conn.sock = PatientSocket(plain.family, plain.type, plain.proto, plain.detach())
        conn.sock.expect_request(self.wsgi.config["REQUEST_SECONDS"])
        return super().handle(conn)

    def accept(self, listener: Any) -> None:
        if self._ahead() > 0:
            time.sleep(_PAUSE_SECONDS)
        super().accept(listener)
        self._tell()

    def handle_request(self, req: Any, conn: Any) -> Any:
        if self._ahead() > 1:
            req.force_close()
        return super().handle_request(req, conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        if fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._leave(conn)

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        for conn in list(takewhile(lambda conn: self._leaving[conn] <= now, self._leaving)):
            self._part(conn)

    def get_thread_pool(self) -> Crew:
        return Crew(self.cfg.threads)

    def notify(self) -> None:
        # The loop comes by once a second at least.
        self.tpool.reinforce()
        self._tell()
        super().notify()

    def _leave(self, conn: Any) -> None:
        """Close on this side. While the client sends more, to close altogether could take its answer from it."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self._close(conn)
            return
        self._leaving[conn] = time.monotonic() + LINGER_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Any, client: socket.socket) -> None:
        try:
            is_over = not client.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._part(conn)

    def _part(self, conn: Any) -> None:
        del self._leaving[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _tell(self) -> None:
        _scoreboard.tell(self._place, self._held() if self.alive else None)

    def _ahead(self) -> int:
        """How many more connections this worker has than the one with the fewest."""
        least = _scoreboard.least()
        return 0 if least is None else self._held() - least

    def _held(self) -> int:
        """The connections that bring work."""
        return self.nr_conns - len(self._leaving)
