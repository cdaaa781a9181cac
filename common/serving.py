"""What gunicorn needs to serve either service: where its configuration lies, what it does with signals and with workers
that cannot start, and errors a daemon can read.

Imported by the gunicorn master before any worker patches its sockets, so nothing here touches ssl, urllib3 or a driver.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from gunicorn.arbiter import Arbiter

from common import log, metrics
from common.settings import SettingsError

CONFIG = "gunicorn.conf.py"

_OTHER_FILES = 256
"""Descriptors of a worker that are no clients: databases, stores, registries, logs."""

BOOT_RETRY_SECONDS = 3.0
"""Pause before a worker that could not start is started again."""

TRIAL_SECONDS = 60.0
"""How long the trial of new settings may take."""

environ: Mapping[str, str] = os.environ
"""Where a worker finds its settings: with those of the file as they were when the arbiter read it."""

_has_served = mmap.mmap(-1, 1)
"""Whether any worker has started; shared with all of them."""


def note_started() -> None:
    """Call it in a worker that has started."""
    _has_served[0] = 1


def refuse_to_start(complaint: str) -> NoReturn:
    """End a worker that cannot start. Where others could before, its settings are right, and it will be tried again:
    a store that is away for a moment must not end the service."""
    sys.stderr.write(f"{complaint}\n")
    if not _has_served[0]:
        # Gunicorn starts a worker anew for ever unless it ends with this very status.
        sys.exit(Arbiter.WORKER_BOOT_ERROR)
    time.sleep(BOOT_RETRY_SECONDS)
    sys.exit(1)


class MetricsListener:
    """The process that serves what all workers counted, and the folder for their files: of one arbiter."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, address: str) -> None:
        """Call it in the arbiter, before it forks workers; with an empty address nothing is counted."""
        if address:
            self._folder = Path(tempfile.mkdtemp(prefix="wharfinger-metrics-"))
            command = [sys.executable, "-m", "common.metrics_listener", address, str(self._folder)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def count(self, service: str) -> None:
        """Call it in a worker."""
        if self._folder is not None:
            metrics.start(self._folder, service)

    def stop(self) -> None:
        """Call it in the arbiter, once the workers have ended."""
        if self._process is not None and self._folder is not None:
            self._process.kill()
            shutil.rmtree(self._folder, ignore_errors=True)


metrics_listener = MetricsListener()


def guard_signals(arbiter: Any, listen: tuple[str, ...], load_listen: Callable[[], tuple[str, ...]]) -> None:
    """Reload at SIGHUP only what would start, and let SIGUSR2 find gunicorn; `load_listen` reads the new addresses."""
    reload = arbiter.handle_hup

    def reload_if_right() -> None:
        problem = _problem_of_reload(arbiter, listen, load_listen)
        if problem is None:
            reload()
        else:
            arbiter.log.error("Nothing is reloaded: %s", problem)

    arbiter.handle_hup = reload_if_right
    # Run by its path, gunicorn's own `http` would stand before the standard library's.
    arbiter.START_CTX["args"] = [sys.executable, "-m", "gunicorn", *sys.argv[1:]]


def _problem_of_reload(arbiter: Any, listen: tuple[str, ...], load_listen: Callable[[], tuple[str, ...]]) -> str | None:
    try:
        if load_listen() != listen:
            return "another address to listen on takes a restart"
    except SettingsError as error:
        return str(error)
    command = [sys.executable, "-m", "gunicorn", "--check-config", *sys.argv[1:]]
    try:
        done = subprocess.run(
            command, env=arbiter.cfg.env_orig, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the new settings were tried out for {TRIAL_SECONDS:g} seconds to no end"
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or "no reason was given").splitlines()[-1]


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
    return min(wanted, max(soft - _OTHER_FILES, soft // 4))


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


TLS_RECORD = b"\x16\x03"
"""What a TLS handshake begins with, and no request of HTTP."""

NO_TLS = "This port speaks plain HTTP, not TLS"
"""Daemons try TLS first, at each of their pings: nothing to warn of."""


def write_json_error(
    sock: socket.socket, status: int, reason: str, message: str, *, retry_after: int | None = None
) -> None:
    """Stands in for gunicorn's HTML page where a request is too broken to reach an application (protocol §0.19)."""
    body = json.dumps({"error": message or reason}).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    if retry_after is not None:
        head += f"Retry-After: {retry_after}\r\n"
    head += "\r\n"
    sock.settimeout(5)
    sock.sendall(head.encode("latin-1") + body)
