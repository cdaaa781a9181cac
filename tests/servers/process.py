"""Real programs as child processes of a test or a benchmark: each started in a session of its own, waited for until
it is ready, and ended as a process group."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from types import TracebackType

PATIENCE = 60.0
"""Seconds a program gets to come up. Never a measure of speed: only a program that will not come up takes them."""

PORTS = range(20_000, 32_000)
"""Below those that connections are given, and without any that Chromium refuses to go to."""
PORTS_APART = 16
"""More than there are workers."""

LOG_LINES = 80
"""Of a server's log, in the report of what failed: enough for a traceback."""

_SERVER_SETTINGS = ("WHARFINGER_", "REGISTRY_", "AWS_", "CEPH_")


class ServerFailed(Exception):
    """A server did not come up or died; the message ends with the tail of its log."""


_logs: dict[Path, str] = {}
"""Of every program that was started: its name."""


def logs_since(since: float) -> list[tuple[str, str]]:
    """Name and tail of each log that was written to since then."""
    written = [log for log in _logs if log.exists() and log.stat().st_mtime >= since]
    return [(f"log of {_logs[log]}", tail_of(log, LOG_LINES)) for log in written]


def tail_of(log: Path, lines: int) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join([f"--- {log}", *text.splitlines()[-lines:]])


def require(program: str, package: str) -> str:
    """The path of a program the tests cannot do without; where it is missing, say what to install."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise ServerFailed(f"{program} is not installed: apt-get install --no-install-recommends {package}")
    return found


def _ports() -> Iterator[int]:
    """Those of this worker of pytest-xdist, again and again, begun anywhere: other suites may run beside this one."""
    own = PORTS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % PORTS_APART :: PORTS_APART]
    begin = os.getpid() % len(own)
    return cycle([*own[begin:], *own[:begin]])


_next_ports = _ports()


def free_port() -> int:
    """One that nobody listens at, nor will until this process gives it away: no other worker chooses it, and the kernel
    gives it to no connection."""
    for port in _next_ports:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            break
    return port


def server_environ(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment with these settings, without those of a server that happen to stand in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SERVER_SETTINGS)}
    return {**kept, **settings}


def listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def eventually(holds: Callable[[], bool], complaint: Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait until something holds; what does not come at all fails with `complaint()`."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise ServerFailed(complaint())
        time.sleep(0.02)


class Process:
    """One running program; a context manager that ends its whole group."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.environ = dict(os.environ if environ is None else environ)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Raises ServerFailed when the program ends or does not become ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _logs[self.log] = self.name
        with self.log.open("ab") as log:
            # A child ends with the thread that started it, however that ends: in most cases the tests. What a shell has
            # started in the background ignores SIGINT, and so would its children.
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", "env", "--default-signal=INT", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ,
                start_new_session=True,
            )
        try:
            eventually(lambda: not self.running or ready(), lambda: f"{self.name} does not answer\n{self.tail()}")
        except ServerFailed:
            self.stop()
            raise
        if not self.running:
            self.stop()
            raise ServerFailed(f"{self.name} ended at once\n{self.tail()}")

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def terminate(self) -> None:
        """Ask the program itself, not its group, to end; gunicorn then lets requests finish."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, patience: float = PATIENCE) -> int:
        assert self._child is not None
        return self._child.wait(patience)

    def stop(self) -> None:
        if self._child is None:
            return
        if self.running:
            with suppress(ProcessLookupError):
                self.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._child = None

    def tail(self, lines: int = 40) -> str:
        return tail_of(self.log, lines)

    def children(self) -> list[int]:
        """The process ids of its children: gunicorn's workers."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in listed.split()]

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def stop_together(*processes: Process) -> None:
    """End several at once; each takes a second to say goodbye."""
    for process in processes:
        if process.running:
            process.terminate()
    for process in processes:
        process.stop()
