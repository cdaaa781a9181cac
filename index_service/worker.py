"""The threaded worker of the index: gunicorn's, in which no thread waits for a client, and workers share the load.

Requests: gunicorn's worker takes a thread for a connection and reads from it: as many slow clients (slow loris) as
there are threads stop the service. Here the event loop reads heads and bodies, and a thread is taken once a request is
whole, as it must be within `REQUEST_SECONDS`. `half_requests` bounds what has not arrived whole.

Order: requests that bear a token go first. They are a registry's questions, on which pulls under way depend, while what
has no token yet is about to begin. A worker has thousands of connections; what would wait for longer than clients do is
refused at once, by the event loop, with `Retry-After`. A ping waits for nothing.

Responses: a thread sends what the kernel takes at once. The event loop sends the rest, within `REQUEST_SECONDS`.

Lingering close: after the last response gunicorn's worker waits in its event loop until the client has closed, or two
seconds, and delays every other connection. Here the close is one event among the others.

Load balancing: all workers accept from one socket, and one of gunicorn's takes what it can get and keeps it. Of twenty
clients that connect at once, one worker serves all, as long as they keep their connections, and the other stays idle.
Here a worker with more connections than another lets that one accept first, and closes a connection with its response
when it has two more. `scoreboard` says why not by `reuse_port`.
"""

from __future__ import annotations

import errno
import math
import selectors
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from common import metrics
from common.serving import NO_TLS, write_json_error
from index_service.background import EXTENSION
from index_service.client_address import network_of
from index_service.client_socket import ClientSocket
from index_service.half_requests import HalfRequests
from index_service.metrics import REFUSED
from index_service.scoreboard import Scoreboard
from index_service.thread_pool import ElasticThreadPool

LINGER_SECONDS = 2.0
"""How long a client may take to close its side of a connection that is closed on ours."""

MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""Of all responses that clients have yet to take from this worker."""

MAX_WAIT_SECONDS = 30.0
"""How long a request may have to wait for a thread; daemons give up after a minute."""

_PAUSE_SECONDS = 0.002
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)

_scoreboard = Scoreboard()


@dataclass(frozen=True)
class _Sending:
    """A response that its client has yet to take."""

    deadline: float
    size: int
    answer: Any


class Worker(ThreadWorker):
    """Serves the index, with a background thread for work that no request waits for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # This runs in the arbiter, before the fork.
        super().__init__(*arguments, **named)
        self._slot = _scoreboard.join()
        cfg = self.cfg
        self._max_head = cfg.limit_request_line + 2 + cfg.limit_request_fields * (cfg.limit_request_field_size + 2) + 4
        # All in the order of their deadlines: responses that clients have yet to take, and connections closed on our
        # side, each with the deadline for the client to close its own.
        self._sending: dict[Any, _Sending] = {}
        self._unsent = 0
        self._lingering: dict[Any, float] = {}

    def forget(self) -> None:
        """Give the place on the scoreboard back; the arbiter calls it once the process has ended."""
        _scoreboard.leave(self._slot)

    def run(self) -> None:
        self._seconds = self.wsgi.config["REQUEST_SECONDS"]
        self._halves = HalfRequests(shares=not self.wsgi.config["TRUSTED_PROXIES"])
        self._watch()
        background = self.wsgi.extensions[EXTENSION]
        background.start()
        try:
            super().run()
        finally:
            _scoreboard.publish(self._slot, None)
            background.stop()

    def _watch(self) -> None:
        """Measure what waits in this process."""
        metrics.CONNECTIONS.watch(lambda: self.nr_conns, "index")
        metrics.WAITING.watch(lambda: self.tpool.waiting, "index", "threads")
        metrics.WAITING.watch(lambda: self.tpool.waiting_urgently, "index", "urgent")
        metrics.WAITING.watch(lambda: len(self._sending), "index", "unsent")
        metrics.WAITING.watch(lambda: len(self._halves), "index", "half")
        metrics.POOL_USED.watch(lambda: self.tpool.busy, "index", "threads")
        metrics.POOL_SIZE.watch(lambda: self.cfg.threads, "index", "threads")

    def accept(self, listener: Any) -> None:
        if self._load_difference() > 0:
            time.sleep(_PAUSE_SECONDS)
        if self.nr_conns >= self.worker_connections - 1:
            self._make_room()
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in _OUT_OF_FILES:
                raise
            # Others want descriptors, too: a database, a registry. Whoever waits to be accepted is, once there is one.
            self._make_room()
            time.sleep(_PAUSE_SECONDS)
        self._publish()

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            self._stop_listening()

    def on_client_socket_readable(self, conn: Any, client: ClientSocket) -> None:
        if not _is_closed(client):
            super().on_client_socket_readable(conn, client)

    def enqueue_req(self, conn: Any) -> None:
        """Called in the event loop for a connection that is new or readable; a thread is taken for a whole request."""
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket.adopt(conn.sock, self._max_head)
        if conn.sock.request.is_ready:
            self._submit(conn)
        else:
            self._read(conn, conn.sock)

    def handle(self, conn: Any) -> Any:
        conn.init()
        conn.parser.unreader.unread(conn.sock.request.data)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        request = conn.sock.request
        # A registry keeps few connections and asks much: they stay.
        if not request.is_complete or (self._load_difference() > 1 and not request.has_token):
            req.force_close()
        if conn.sock.has_continued:
            req._expected_100_continue = False  # noqa: SLF001 - or gunicorn would say so again
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if req is None and getattr(exc, "req", None) is None:
            self.log.unreadable(addr, exc)
        super().handle_error(req, client, addr, exc)

    def finish_request(self, conn: Any, fs: Any) -> None:
        if fs.exception():
            super().finish_request(conn, fs)
        elif conn.sock.unsent:
            self._send_rest(conn, fs)
        elif fs.result() and not conn.sock.wanted_more:
            self._begin_request(conn, fs)
        else:
            self._linger(conn)

    def murder_pending(self) -> None:
        now = time.monotonic()
        for conn in self._halves.begun_before(now - self._seconds):
            self._time_out(conn)
        if not self.alive:
            for conn in self._halves.begun_before(now - LINGER_SECONDS):
                if not conn.sock.request:
                    self._drop(conn)
        for conn in list(takewhile(lambda conn: self._sending[conn].deadline <= now, self._sending)):
            self._give_up_sending(conn)
        for conn in list(takewhile(lambda conn: self._lingering[conn] <= now, self._lingering)):
            self._end_linger(conn)

    def get_thread_pool(self) -> ElasticThreadPool:
        return ElasticThreadPool(self.cfg.threads)

    def notify(self) -> None:
        # The event loop calls this once a second or more often.
        self.tpool.grow()
        self._publish()
        super().notify()

    def _stop_listening(self) -> None:
        """Accept who has connected already, and be closed for others: gunicorn's worker would leave them waiting until
        it ends, and reset their connections then."""
        listeners, self.sockets = self.sockets, []  # type: ignore[has-type,var-annotated]
        for listener in listeners:
            before = -1
            while before < self.nr_conns:
                before = self.nr_conns
                ThreadWorker.accept(self, listener)
            listener.close()

    def _begin_request(self, conn: Any, fs: Any) -> None:
        """Go on with what the client sent behind the last request, or wait for more."""
        rest = conn.parser.unreader.take_buffered()
        conn.sock.begin_request(self._max_head)
        if rest:
            conn.sock.request.feed(rest)
            self.enqueue_req(conn)
        else:
            super().finish_request(conn, fs)

    def _read(self, conn: Any, client: ClientSocket) -> None:
        """Read what has come of a request. One that its client ends half-sent is for the parser to judge."""
        is_open = True
        try:
            is_open = client.receive()
        except BlockingIOError:
            pass
        except OSError:
            self._drop(conn)
            return
        if client.request.is_tls:
            self.log.debug("TLS handshake from %s on a port of plain HTTP", conn.client)
            self._refuse(conn, 400, "Bad Request", NO_TLS)
        elif client.request.is_ready or (client.request and not is_open):
            self._submit(conn)
        elif not is_open:
            self._drop(conn)
        else:
            self._wait(conn, client)

    def _read_more(self, conn: Any, client: ClientSocket) -> None:
        if not _is_closed(client):
            self._read(conn, client)

    def _wait(self, conn: Any, client: ClientSocket) -> None:
        if conn not in self._halves:
            self.poller.register(client, selectors.EVENT_READ, partial(self._read_more, conn))
            self._halves.add(conn, network_of(conn.client[0]) if conn.client else "", time.monotonic())
        self._halves.resize(conn, len(client.request))
        if client.request.is_oversized:
            self._refuse(conn, 431, "Request Header Fields Too Large", "The headers of the request are too large")
        while conn in self._halves and (surplus := self._halves.surplus(conn)) is not None:
            self._displace(surplus)

    def _submit(self, conn: Any) -> None:
        self._end_wait(conn)
        if conn.sock.request.is_ping:
            self._answer_at_once(conn)
            return
        is_urgent = conn.sock.request.has_token
        wait = 0.0 if is_urgent else self.tpool.expected_wait()
        if wait > MAX_WAIT_SECONDS:
            words = "Too many requests at once; try again later"
            self._refuse(conn, 503, "Service Unavailable", words, retry_after=math.ceil(wait))
            return
        answer = self.tpool.submit(self.handle, conn, urgent=is_urgent)
        answer.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _answer_at_once(self, conn: Any) -> None:
        """A ping needs neither a thread nor the database: it is answered while all threads wait for that."""
        answer: Future[Any] = Future()
        try:
            answer.set_result(self.handle(conn))
        except Exception as error:  # noqa: BLE001 - as of a thread, it is for whoever finishes the request
            answer.set_exception(error)
        # In a turn of its own, however many pings a client sends one behind the other.
        self.method_queue.defer(self.finish_request, conn, answer)

    def _end_wait(self, conn: Any) -> None:
        if conn in self._halves:
            self._halves.remove(conn)
            self.poller.unregister(conn.sock)

    def _drop(self, conn: Any) -> None:
        self._end_wait(conn)
        self._close(conn)

    def _time_out(self, conn: Any) -> None:
        if conn.sock.request:
            words = f"The request has not arrived within {self._seconds:g} seconds"
            self._refuse(conn, 408, "Request Timeout", words)
        else:
            self._drop(conn)

    def _refuse(self, conn: Any, status: int, reason: str, words: str, *, retry_after: int | None = None) -> None:
        self._end_wait(conn)
        self._write_refusal(conn, status, reason, words, retry_after=retry_after)
        self._linger(conn)

    def _displace(self, conn: Any) -> None:
        """Close a half request to make room."""
        self._end_wait(conn)
        if conn.sock.request:
            self._write_refusal(conn, 503, "Service Unavailable", "Too many slow requests; send it again")
        self._close(conn)

    def _write_refusal(
        self, conn: Any, status: int, reason: str, words: str, *, retry_after: int | None = None
    ) -> None:
        REFUSED.add(str(status))
        self.log.refused(conn.client, status)
        with suppress(OSError):
            write_json_error(conn.sock, status, reason, words, retry_after=retry_after)

    def _make_room(self) -> None:
        """Close the connection that is missed least."""
        if self._lingering:
            self._end_linger(next(iter(self._lingering)))
        elif self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self._close(conn)
        elif self._halves:
            self._displace(self._halves.oldest())
        elif self._sending:
            self._give_up_sending(next(iter(self._sending)))

    def _send_rest(self, conn: Any, fs: Any) -> None:
        self._sending[conn] = _Sending(time.monotonic() + self._seconds, conn.sock.unsent, fs)
        self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._flush, conn))
        self._unsent += self._sending[conn].size
        while self._unsent > MAX_UNSENT_BYTES and len(self._sending) > 1:
            self._give_up_sending(next(iter(self._sending)))

    def _flush(self, conn: Any, client: ClientSocket) -> None:
        if _is_closed(client):
            return
        try:
            client.flush()
        except OSError:
            self._give_up_sending(conn)
            return
        if not client.unsent:
            self.finish_request(conn, self._end_sending(conn))

    def _end_sending(self, conn: Any) -> Any:
        """Returns the future of the request."""
        sending = self._sending.pop(conn)
        self._unsent -= sending.size
        self.poller.unregister(conn.sock)
        return sending.answer

    def _give_up_sending(self, conn: Any) -> None:
        self._end_sending(conn)
        self._close(conn)

    def _linger(self, conn: Any) -> None:
        """Half-close. A full close while the client still sends would reset the connection and lose its response."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._lingering[conn] = time.monotonic() + LINGER_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Any, client: ClientSocket) -> None:
        if _is_closed(client):
            return
        try:
            is_over = not client.drain()
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


def _is_closed(client: ClientSocket) -> bool:
    """By an event of the same turn of the loop, such as a new connection that needed its room."""
    return client.fileno() < 0
