"""Gunicorn's logger: counts every request for the metrics, and writes the access log.

A line is one write to a file that all workers append to, or to standard output. No line has a query or a header but
User-Agent, and the rest is redacted as in every log; the line of a request that gunicorn could not parse has only the
client's address and the status.

The arbiter imports this too, before any worker patches its sockets.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.http import errors

from common import log, metrics
from common.request_record import KEY, Record, token_id
from common.settings import SettingsError

OFF, JSON = "off", "json"

_MOST_TEXT = 1024
"""Characters of a path or a User-Agent in a line, so that a line is one write also to a pipe."""

_MODE = 0o640

_STATUSES = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.UnsupportedTransferCoding: 501,
    errors.ExpectationFailed: 417,
    errors.ForbiddenProxyRequest: 403,
    errors.ParseException: 400,
}
"""The status that gunicorn answers with, by the error of its parser."""

_encode = json.JSONEncoder(separators=(",", ":")).encode

_redact_agent = lru_cache(maxsize=1024)(log.redact)


class Logger(GunicornLogger):  # type: ignore[misc]
    """Both workers call `access` once the last byte of a response is given to the kernel, and `unreadable` or `refused`
    for what never became a request."""

    _format = OFF
    _service = ""
    _path = ""
    _file = -1

    def open_access_log(self, service: str, form: str, path: str) -> None:
        """Begin to write; call it in a worker. `path` may be empty for standard output."""
        self._service, self._format, self._path = service, form, path
        if form != OFF:
            self._file = _open(path) if path else sys.stdout.fileno()

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        record = environ.get(KEY)
        sent = resp.sent + record.file_bytes if record is not None else resp.sent
        if metrics.is_on():
            route = record.route if record is not None else ""
            # Of a request that failed in gunicorn the environ has no path.
            metrics.note_request(
                "" if route else metrics.door_of(environ.get("PATH_INFO", req.path)),
                route or "none",
                environ["REQUEST_METHOD"],
                resp.status,
                environ.get("HTTP_USER_AGENT", ""),
                request_time.total_seconds(),
                sent,
            )
        if self._format != OFF:
            self._write(environ, record, str(resp.status)[:3], sent, request_time.total_seconds())

    def unreadable(self, addr: Any, error: BaseException) -> None:
        """Count and log what gunicorn could not parse, for which it does not call `access`. `addr`: as in `refused`."""
        status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)
        if metrics.is_on():
            metrics.note_request("none", "none", "", str(status), "", 0.0, 0)
        self.refused(addr, status)

    def refused(self, addr: Any, status: int) -> None:
        """Log a request that was refused before it was parsed. `addr`: the client's as gunicorn has it, a tuple that
        begins with the host, or empty for a Unix socket."""
        if self._format != OFF:
            self._write({"REMOTE_ADDR": addr[0] if addr else ""}, None, str(status), 0, 0.0)

    def reopen_files(self) -> None:
        """The same descriptor leads to a new file, so that no thread of this worker writes to a closed one."""
        super().reopen_files()
        if self._path and self._file >= 0:
            with suppress(OSError):
                new = _open(self._path)
                os.dup2(new, self._file, inheritable=False)
                os.close(new)

    def _write(self, environ: dict[str, Any], record: Record | None, status: str, sent: int, seconds: float) -> None:
        if self._format == JSON:
            line = _json(self._service, environ, record, status, sent, seconds)
        else:
            line = _common(environ, record, status, sent)
        # A full disk ends no request.
        with suppress(OSError):
            os.write(self._file, line.encode("utf-8", "replace") + b"\n")


def require_writable(form: str, path: str) -> None:
    """Raises SettingsError for a file that cannot be written to."""
    if form != OFF and path:
        try:
            os.close(_open(path))
        except OSError as error:
            raise SettingsError(f"the access log cannot be written to {path}: {error.strerror}") from error


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)


def _json(service: str, environ: dict[str, Any], record: Record | None, status: str, sent: int, seconds: float) -> str:
    line: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "service": service,
        "address": environ.get("REMOTE_ADDR", ""),
        "status": int(status),
        "bytes": sent,
        "seconds": round(seconds, 6),
    }
    if record is not None:
        line |= _request_fields(environ, record)
    return _encode(line)


def _request_fields(environ: dict[str, Any], record: Record) -> dict[str, Any]:
    """The fields of a request that was parsed; what is unknown is left out."""
    upstream = record.upstream and {name: round(taken, 6) for name, taken in record.upstream.items()}
    fields = {
        "id": record.id,
        "method": environ["REQUEST_METHOD"],
        "path": _path(environ),
        "route": record.route,
        "received": _number(environ.get("CONTENT_LENGTH")),
        "account": record.account,
        "access_token": record.access_token,
        "token": record.token and token_id(record.token),
        "repository": log.redact(record.repository),
        "agent": _redact_agent(environ.get("HTTP_USER_AGENT", "")[:_MOST_TEXT]),
        "upstream": upstream,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
    }
    return {key: value for key, value in fields.items() if value}


def _common(environ: dict[str, Any], record: Record | None, status: str, sent: int) -> str:
    """The Common Log Format of Apache and NCSA."""
    request, account = "-", ""
    if record is not None:
        path = quote(_path(environ), safe=_SAFE)
        request, account = f"{environ['REQUEST_METHOD']} {path} {environ['SERVER_PROTOCOL']}", quote(record.account)
    address = environ.get("REMOTE_ADDR") or "-"
    return f'{address} - {account or "-"} [{_local_time(int(time.time()))}] "{request}" {status} {sent}'


_SAFE = "/:@!$&'()*+,;=~"


def _path(environ: dict[str, Any]) -> str:
    """Without the query, as the text that it is."""
    text: str = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
    if not text.isascii():
        text = text.encode("latin-1").decode("utf-8", "replace")
    return log.redact(text[:_MOST_TEXT])


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0


@lru_cache(maxsize=1)
def _local_time(second: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second))
