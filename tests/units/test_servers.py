"""How the tests start programs: on ports of their own, and in a way that they can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.servers.process import Process, eventually, free_port


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


def test_a_child_ends_with_a_suite_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from tests.servers.process import Process; folder = pathlib.Path(sys.argv[1]);"
        "child = Process('child', ['sleep', '60'], folder);"
        "child.start(lambda: pathlib.Path(f'/proc/{child.pid}/comm').read_text() == 'sleep\\n');"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as suite:
        assert suite.stdout is not None
        child = int(suite.stdout.readline())
        suite.kill()
    eventually(lambda: not is_alive(child), lambda: f"{child} goes on")


def is_alive(pid: int) -> bool:
    """A zombie, which nobody may wait for here, is not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return False
    return "State:\tZ" not in status


def test_workers_share_no_port() -> None:
    code = "from tests.servers.process import free_port; print(*(free_port() for _ in range(50)))"
    command = [sys.executable, "-c", code]
    chosen = [
        subprocess.check_output(command, env={**os.environ, "PYTEST_XDIST_WORKER": f"gw{number}"}, text=True).split()
        for number in range(3)
    ]
    assert len({*chosen[0], *chosen[1], *chosen[2]}) == 150
    assert free_port() != free_port()


def test_a_failure_shows_what_servers_logged_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_makereport\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from tests.servers.process import Process, eventually\n\n"
        "@pytest.fixture(scope='session', params=['early', 'late'])\n"
        "def server(request, tmp_path_factory):\n"
        "    script = f'echo {request.param}-start; sleep 0.5; echo {request.param}-traceback; sleep 60'\n"
        "    folder = tmp_path_factory.mktemp('server')\n"
        "    with Process(request.param, ['sh', '-c', script], folder) as process:\n"
        "        process.start(lambda: 'start' in process.tail())\n"
        "        yield process\n\n"
        "def test_one(server):\n"
        "    eventually(lambda: 'traceback' in server.tail(), server.tail)\n"
        "    assert server.name == 'early'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    shown = subprocess.run(command, env=environ, capture_output=True, text=True, cwd=tmp_path).stdout
    assert "1 failed, 1 passed" in shown
    assert "log of late" in shown
    assert "late-traceback" in shown.partition("log of late")[2]
    assert "log of early" not in shown
