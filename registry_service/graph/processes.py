"""Identity and liveness of processes: whether the owner of a lease is still running."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_GONE = ("Z", "X")


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from all others: of other machines, of other containers, and of earlier ones with its pid."""

    machine: str
    pid: int
    started: str

    @staticmethod
    def this() -> Process:
        pid = os.getpid()
        return Process(_machine(), pid, _started(pid) or "")

    def is_running(self) -> bool | None:
        """None where that cannot be known from here."""
        if self.machine != _machine() or not self.started:
            return None
        return _started(self.pid) == self.started


@cache
def _machine() -> str:
    """This boot of this machine, and the container within it that gives out the pids."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since the boot; None if it runs no more."""
    try:
        # The second field is the program's name in parentheses, and may hold anything.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in _GONE else fields[19]
