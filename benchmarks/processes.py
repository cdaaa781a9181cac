"""What a running server uses: memory and CPU time, of all the processes of its session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.servers.process import Process, stop_together

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A server as it is measured, under this name; it may be several programs."""

    def __init__(self, name: str, *programs: Process) -> None:
        self.name = name
        self.programs = programs
        self.peak_memory = 0

    def sample(self) -> None:
        """Take notice of the memory in use now."""
        self.peak_memory = max(self.peak_memory, sum(map(_pss, self._processes())))

    def cpu_seconds(self) -> float:
        """Of all its processes since they began, ended workers included."""
        return sum(sum(map(int, _stat(process)[11:15])) for process in self._processes()) / _TICKS

    def stop(self) -> None:
        stop_together(*self.programs)

    def _processes(self) -> Iterator[Path]:
        """Those of its sessions: every `Process` is started as the leader of a new one."""
        sessions = {program.pid for program in self.programs if program.running}
        for directory in _PROC.iterdir():
            if directory.name.isdigit():
                stat = _stat(directory)
                if stat and int(stat[3]) in sessions:
                    yield directory


def machine_cpu_seconds() -> float:
    """CPU time the whole machine has spent at work."""
    fields = [int(field) for field in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / _TICKS


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
