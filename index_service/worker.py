"""The threaded worker, for whom no client may hold a thread for ever, and which shares its work with the others.

Gunicorn's own reads a request from a socket that waits without end: as many half requests as there are threads, and
nobody is served any more. Here a request has to be there, and each answer taken, within `REQUEST_SECONDS`.

All workers accept from one socket, and gunicorn's own takes what it can get and keeps it: of twenty readers that come
at once one worker serves all, as long as they stay, and the other stands idle. Here whoever has more connections than
another lets that one go first, and closes a connection with its answer where two more are too many.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import ThreadWorker

from index_service.background import EXTENSION
from index_service.crew import Crew
from index_service.scoreboard import Scoreboard

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

    def get_thread_pool(self) -> Crew:
        return Crew(self.cfg.threads)

    def notify(self) -> None:
        # The loop comes by once a second at least.
        self.tpool.reinforce()
        self._tell()
        super().notify()

    def _tell(self) -> None:
        _scoreboard.tell(self._place, self.nr_conns if self.alive else None)

    def _ahead(self) -> int:
        """How many more connections this worker has than the one with the fewest."""
        least = _scoreboard.least()
        return 0 if least is None else self.nr_conns - least
