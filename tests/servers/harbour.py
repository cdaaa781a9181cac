"""Harbour, the object store that the example driver in docs/example-driver speaks to; its protocol is told there.

Run as `python -m tests.servers.harbour PORT FOLDER TOKEN`.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.process import Process, free_port, listening
from tests.servers.store import Store

TOKEN = "let-me-moor-here"
PAGE = 1000
PIECE = 256 * 1024


class Harbour(Process):
    """The server as a child of the tests."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__("harbour", [sys.executable, "-m", __name__, str(self.port), str(folder), TOKEN], folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Harbour:
        self.start(lambda: listening(self.port))
        return self

    def store(self, path: str, **environ: str) -> Store:
        return Store(
            "harbour", path, {"WHARFINGER_HARBOUR_URL": self.url, "WHARFINGER_HARBOUR_TOKEN": TOKEN, **environ}
        )


@dataclass(frozen=True)
class Kept:
    """One content; its file never changes."""

    file: Path
    size: int
    etag: str
    modified: str


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, folder: Path, token: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder
        self.token = token
        self.kept: dict[str, Kept] = {}
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Writers that hang up cancel; that is no news."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_request(self) -> None:
        key = unquote(urlsplit(self.path).path[1:])
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self.close_connection = True
            self._answer(401)
        elif self.command == "PUT":
            self._put(key)
        elif not key:
            self._list(parse_qs(urlsplit(self.path).query))
        elif key not in self.server.kept:
            self._answer(404)
        else:
            {"GET": self._get, "HEAD": self._get, "DELETE": self._delete, "MOVE": self._move}[self.command](key)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_MOVE = do_request

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _put(self, key: str) -> None:
        file = self.server.folder / uuid.uuid4().hex
        with file.open("xb") as content:
            for piece in self._body():
                content.write(piece)
            size = content.tell()
        with self.server.lock:
            before = self.server.kept.get(key)
            refused = before is not None and self.headers.get("If-None-Match") == "*"
            if not refused:
                self.server.kept[key] = Kept(file, size, f'"{file.name}"', formatdate(usegmt=True))
        doomed = file if refused else before.file if before else None
        if doomed:
            doomed.unlink()
        self._answer(412 if refused else 201)

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield from self._exactly(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline() or b"none", 16):
            yield from self._exactly(size)
            self.rfile.readline()
        self.rfile.readline()

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionError
            size -= len(piece)
            yield piece

    def _get(self, key: str) -> None:
        with contextlib.ExitStack() as opened:
            with self.server.lock:
                kept = self.server.kept[key]
                file = opened.enter_context(kept.file.open("rb"))
            if self.headers.get("If-Match", kept.etag) != kept.etag:
                self._answer(412)
                return
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, stop = (int(match[1]), int(match[2]) + 1) if match else (0, kept.size)
            self.send_response_only(206 if match else 200)
            self.send_header("ETag", kept.etag)
            self.send_header("Last-Modified", kept.modified)
            self.send_header("Content-Length", str(stop - start))
            self.end_headers()
            if self.command == "GET":
                self.connection.sendfile(file, start, stop - start)

    def _delete(self, key: str) -> None:
        with self.server.lock:
            kept = self.server.kept.pop(key, None)
        if kept:
            kept.file.unlink()
        self._answer(204 if kept else 404)

    def _move(self, key: str) -> None:
        target = unquote(self.headers["Destination"][1:])
        with self.server.lock:
            kept = self.server.kept.pop(key, None)
            before = self.server.kept.get(target)
            if kept:
                self.server.kept[target] = kept
        if kept and before:
            before.file.unlink()
        self._answer(204 if kept else 404)

    def _list(self, query: dict[str, list[str]]) -> None:
        below, after, deep = (query.get(name, [""])[0] for name in ("below", "after", "deep"))
        with self.server.lock:
            keys = [key for key in self.server.kept if key.startswith(below)]
        names = keys if deep else {key.removeprefix(below).partition("/")[0] for key in keys}
        listed = sorted(name for name in names if name > after)[:PAGE]
        self._answer(200, json.dumps(listed).encode(), Content_Type="application/json")


def main(arguments: list[str]) -> None:
    port, folder, token = arguments
    Server(int(port), Path(folder), token).serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main(sys.argv[1:])
