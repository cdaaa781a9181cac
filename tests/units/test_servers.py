"""How the tests start programs: on ports of their own, and in a way that they can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.servers.process import Process, free_port


def test_a_child_can_be_interrupted_where_the_suite_cannot(tmp_path: Path) -> None:
    """A shell lets what it starts in the background ignore SIGINT, which children inherit."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Process("child", ["sleep", "60"], tmp_path) as child:
            child.start(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n")
            os.kill(child.pid, signal.SIGINT)
            assert child.wait() == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


def test_workers_share_no_port() -> None:
    code = "from tests.servers.process import free_port; print(*(free_port() for _ in range(50)))"
    command = [sys.executable, "-c", code]
    chosen = [
        subprocess.check_output(command, env={**os.environ, "PYTEST_XDIST_WORKER": f"gw{number}"}, text=True).split()
        for number in range(3)
    ]
    assert len({*chosen[0], *chosen[1], *chosen[2]}) == 150
    assert free_port() != free_port()
