"""What gunicorn needs to serve either service: where its configuration lies, and errors a daemon can read.

Imported by the gunicorn master before any worker patches its sockets, so nothing here touches ssl, urllib3 or a driver.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from common import log

CONFIG = "gunicorn.conf.py"

_OTHER_FILES = 256
"""Descriptors of a worker that are no clients: databases, stores, registries, logs."""


def strike_out_secrets(gunicorn_log: Any) -> None:
    """Gunicorn's own log repeats what clients sent wrongly; treat it as ours is."""
    for handler in gunicorn_log.error_log.handlers:
        handler.setFormatter(log.Formatter(gunicorn_log.error_fmt, gunicorn_log.datefmt))


def connections(wanted: int) -> int:
    """How many connections a worker may have: as many as wanted, unless the limit of open files is lower.

    The soft limit is raised to what they take, as far as the hard one lets: 1024 is the default in a shell and of
    systemd, and a worker that runs out of descriptors ends.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + _OTHER_FILES:
        soft = min(wanted + _OTHER_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, max(soft - _OTHER_FILES, soft // 2))


def config_path() -> str:
    """The configuration both services share: in a checkout's root, or beside an installed package."""
    for folder in (Path(__file__).parent.parent, Path(sys.prefix) / "share" / "wharfinger"):
        if (folder / CONFIG).is_file():
            return str(folder / CONFIG)
    raise FileNotFoundError(f"{CONFIG} is neither in the checkout nor in {sys.prefix}/share/wharfinger")


def become_gunicorn(application: str) -> NoReturn:
    """Serve a WSGI application, `module:name`, in place of this process: its pid and signals become gunicorn's."""
    # This environment's gunicorn, though the environment's bin folder may not be on the PATH.
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", config_path(), application])


def write_json_error(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """Stands in for gunicorn's HTML page where a request is too broken to reach an application (protocol §0.19)."""
    body = json.dumps({"error": message or reason}).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    sock.settimeout(5)
    sock.sendall(head.encode("latin-1") + body)
