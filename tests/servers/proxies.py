"""Things that stand in the way: a proxy that counts, stalls or refuses, and one that cuts connections."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType

from tests.clients.wire import Target, WireError, ask


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that is gone is no news here."""


@dataclass
class IndexProxy:
    """Stands between a registry and its index: remembers every request line, and can be down or slow."""

    behind: Target
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    awake: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.awake.set()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            disable_nagle_algorithm = True
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                proxy.asked.append(f"{self.command} {self.path}")
                proxy.awake.wait()
                if proxy.is_down:
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kept = [(name, value) for name, value in self.headers.items() if name.lower() != "connection"]
                with contextlib.suppress(OSError, WireError):
                    answer = ask(
                        proxy.behind, self.requestline.rpartition(" ")[0], [*kept, ("Connection", "close")], body
                    )
                    self.send_response_only(answer.status)
                    for name, value in answer.headers:
                        if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST = do_DELETE = _pass_on

            def log_message(self, *_: object) -> None:
                """The tests read `asked`."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def target(self) -> Target:
        return Target("http", "127.0.0.1", self._server.server_address[1])

    def close(self) -> None:
        self.awake.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass
class CuttingProxy:
    """Passes connections on, and ends one from which `cut_after` bytes came back; once for every `arm`."""

    behind: Target
    cuts: int = 0
    _cut_after: int | None = None

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def target(self) -> Target:
        return Target("http", "127.0.0.1", self._listener.getsockname()[1])

    def arm(self, cut_after: int) -> None:
        """Cut the next connection that brings more than `cut_after` bytes back."""
        self._cut_after = cut_after

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection((self.behind.host, self.behind.port)) as server:
            upward = threading.Thread(target=_pump, args=(client, server), daemon=True)
            upward.start()
            self._pump_back(server, client)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            upward.join()

    def _pump_back(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                limit = self._cut_after
                if limit is not None and passed + len(data) > limit:
                    self._cut_after = None
                    self.cuts += 1
                    client.sendall(data[: limit - passed])
                    return
                client.sendall(data)
                passed += len(data)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
