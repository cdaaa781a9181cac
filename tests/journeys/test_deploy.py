"""`deploy/run`, which is `make run`: from nothing to a login, and away again without a trace of a process."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.clients.wire import Target, call
from tests.servers.process import Process, eventually, free_port, listening
from tests.servers.services import BIN, ROOT

RUN = str(ROOT / "deploy" / "run")
PASSWORD = "harbour-master-7"
ALICE = f"Basic {base64.b64encode(f'alice:{PASSWORD}'.encode()).decode()}"


@pytest.fixture
def ports():
    return free_port(), free_port()


@pytest.fixture
def environ(tmp_path, ports):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WHARFINGER_")}
    return {
        **kept,
        "BIN": str(BIN),
        "VAR": str(tmp_path / "var"),
        "WHARFINGER_INDEX_LISTEN": f"127.0.0.1:{ports[0]}",
        "WHARFINGER_REGISTRY_LISTEN": f"127.0.0.1:{ports[1]}",
    }


def started(environ, ports, *words):
    process = Process("run", [RUN, *words], Path(environ["VAR"]).parent, environ)
    process.start(lambda: all(listening(port) for port in ports))
    return process


def answer(port, request, **headers):
    return call(Target("http", "127.0.0.1", port), request, **headers)


def gone(ports):
    return not any(listening(port) for port in ports)


def test_from_nothing_to_a_login(environ, ports):
    with started(environ, ports) as process:
        eventually(lambda: answer(ports[0], "GET /v1/_ping").status == 200, process.tail)
        made = subprocess.run(
            [RUN, "index", "create-user", "--admin", "--email", "a@example.com", "alice"],
            env=environ,
            input=f"{PASSWORD}\n{PASSWORD}\n",
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        login = answer(ports[0], "GET /v1/users/", headers={"Authorization": ALICE})
        assert login.status == 200
        assert answer(ports[1], "GET /v1/_status").json()["failures"] == {}
        said = process.tail(200)
        for line in (f"http://127.0.0.1:{ports[0]}", f"docker push 127.0.0.1:{ports[0]}/alice/busybox", "create-user"):
            assert line in said
        os.kill(process.pid, signal.SIGINT)
        assert process.wait() == 0
    assert gone(ports)
    key = Path(environ["VAR"]) / "secret-key"
    assert key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_standalone_serves_and_ends(environ, ports, number):
    with started(environ, ports[1:], "standalone") as process:
        eventually(lambda: answer(ports[1], "GET /v1/_ping").status == 200, process.tail)
        assert answer(ports[1], "GET /v1/_ping").header("X-Docker-Registry-Standalone") == "true"
        os.kill(process.pid, number)
        assert process.wait() == 0
    assert gone(ports)


def test_one_that_cannot_start_takes_the_other_along(environ, ports):
    environ["WHARFINGER_REGISTRY_STORAGE"] = "tape"
    done = subprocess.run([RUN], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "storage 'tape' is unknown" in done.stderr
    assert "Traceback" not in done.stderr
    assert gone(ports)
