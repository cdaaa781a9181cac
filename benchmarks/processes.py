"""Starts a server with all its worker processes, stops it, and says what it has used: memory and CPU time."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60
_PORTS = range(10_000, 32_768)
_SERVERS_OWN = ("WHARFINGER_", "REGISTRY_", "AWS_", "CEPH_")
_STOP_SECONDS = 20


class DidNotStart(Exception):
    """The server ended or kept silent; the message holds the end of its log."""


@dataclass(eq=False)
class Server:
    """A server under `name`, a session of processes of its own."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    peak_memory: int = 0

    def sample(self) -> None:
        """Take notice of the memory in use now."""
        self.peak_memory = max(self.peak_memory, sum(map(_pss, self._processes())))

    def cpu_seconds(self) -> float:
        """Of all its processes since they began, ended workers included."""
        return sum(sum(map(int, _stat(process)[11:15])) for process in self._processes()) / _TICKS

    def stop(self) -> None:
        """Ask it to end, then make it end. A second call does nothing."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _processes(self) -> Iterator[Path]:
        """Those of its session: every server here is started as the leader of a new one."""
        for directory in _PROC.iterdir():
            if directory.name.isdigit():
                stat = _stat(directory)
                if stat and int(stat[3]) == self.process.pid:
                    yield directory


def start(
    name: str,
    command: Sequence[str],
    folder: Path,
    url: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    working_directory: Path | None = None,
) -> Server:
    """Start a server and wait until it answers at `url`; its log goes to `folder`. Raises DidNotStart.

    `settings` are added to the environment.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ(settings),
            cwd=working_directory,
            start_new_session=True,
        )
    server = Server(name, process, log)
    try:
        _wait_for(server, url)
    except BaseException:
        server.stop()
        raise
    return server


def environ(settings: Mapping[str, str]) -> dict[str, str]:
    """These settings, and no others of a server that happen to be in the environment of the benchmark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SERVERS_OWN)}
    return {**kept, **settings}


def free_port() -> int:
    """Below those that the kernel hands out itself, so that no client is given it before its server takes it."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise DidNotStart("no port is free")


def machine_cpu_seconds() -> float:
    """CPU time the whole machine has spent at work."""
    fields = [int(field) for field in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / _TICKS


def _wait_for(server: Server, url: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        with suppress(OSError):
            try:
                urllib.request.urlopen(url, timeout=1).close()
            except urllib.error.HTTPError as answer:
                answer.close()
            return
        time.sleep(0.05)
    raise DidNotStart(f"{server.name} does not answer at {url}\n{server.log.read_text(errors='replace')[-2000:]}")


def _pss(process: Path) -> int:
    """Bytes: what it has alone, and its share of what it shares; 0 for one that has just ended."""
    with suppress(OSError):
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _stat(process: Path) -> list[str]:
    """Fields of proc(5) stat from the third on, state; empty for a process that has just ended."""
    with suppress(OSError):
        return (process / "stat").read_text().rpartition(")")[2].split()
    return []
