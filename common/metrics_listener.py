"""The listener of metrics: a process beside the workers that answers `GET /metrics` with what all of them counted.

    python -m common.metrics_listener HOST:PORT FOLDER

It is no worker: a scrape neither waits in the queue of an overloaded service nor delays its requests. It is started by
gunicorn's arbiter and ends with it. What dead workers counted is added up in one file, so that there are
never more files than workers; their gauges are dropped.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from common.metrics import allocate

REQUEST_SECONDS = 10.0
"""How long a client may take to send its request."""

_IGNORED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")
"""What is sent to the whole group: this process ends after the last worker, with the arbiter."""

_EVERY_SECONDS = 0.5
_DEAD = 0
"""No process has this id."""


class Metrics:
    """What the files of one folder hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The text, and its content type, in the format that a scraper prefers."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._folder))
        encode, content_type = choose_encoder(accept)
        with self._lock:
            # On a full disk, another time.
            with suppress(OSError):
                self.fold_dead()
            return encode(registry), content_type

    def fold_dead(self) -> None:
        """Add what processes counted that have ended to one file of each type."""
        for file in list(self._dead_files()):
            kind = file.name.partition("_")[0]
            if kind != "gauge":
                path = self._folder / f"{kind}_{_DEAD}.db"
                allocate(path, kind)
                sums = MmapedDict(str(path))
                for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                    sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
                sums.close()
            file.unlink()

    def _dead_files(self) -> Iterator[Path]:
        for file in self._folder.glob("*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if pid != _DEAD and not _is_alive(pid):
                yield file


def _is_alive(pid: int) -> bool:
    """A process that has ended and is not waited for yet is alive, and writes nothing more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    metrics: Metrics

    def handle_error(self, _request: object, _address: object) -> None:
        """A client that went away is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_SECONDS
    server_version, sys_version = "wharfinger", ""
    server: _Server

    def do_GET(self) -> None:
        if urlsplit(self.path).path != "/metrics":
            self.send_error(404, "There is nothing here but /metrics")
            return
        body, content_type = self.server.metrics.exposition(self.headers.get("Accept", ""))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the library's
        """Scrapes are not logged."""


def _listen(address: str) -> _Server | None:
    """None where the address is taken, as by the service that this one is to replace."""
    host, _, port = address.rpartition(":")
    _Server.address_family = socket.AF_INET6 if "]" in host else socket.AF_INET
    try:
        return _Server((host.strip("[]"), int(port)), _Handler)
    except OSError as error:
        sys.stderr.write(f"wharfinger: metrics cannot be served at {address}, which is tried again: {error}\n")
        return None


def _serve(address: str, folder: Path, arbiter: int) -> None:
    server = None
    while os.getppid() == arbiter:
        if server is None:
            server = _listen(address)
            if server is not None:
                server.metrics = Metrics(folder)
                threading.Thread(target=server.serve_forever, daemon=True).start()
        time.sleep(_EVERY_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    _serve(sys.argv[1], Path(sys.argv[2]), os.getppid())
