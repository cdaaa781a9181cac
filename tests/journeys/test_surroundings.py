"""A service outlives its surroundings: settings that were changed wrongly, a store that is away, its own successor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from common.settings import CONFIG_FILE
from tests.servers.process import Process, eventually, free_port, listening
from tests.servers.services import ROOT, Service, answers, running, start_index, start_registry

SERVICES = pytest.mark.parametrize("name", ["index", "registry"])


def start(name: str, folder: Path, port: int | None = None, prefix: Sequence[str] = ()) -> Service:
    if name == "index":
        return start_index(folder, ["127.0.0.1:1"], port, prefix=prefix)
    return start_registry(folder, None, port, prefix=prefix)


def demand_up(service: Service) -> None:
    eventually(lambda: answers(service.target), service.process.tail)


def demand_log(service: Service, words: str) -> None:
    eventually(lambda: words in service.process.tail(), lambda: f"no {words!r}\n{service.process.tail()}", 20)


def demand_other_workers(service: Service, old: set[int]) -> None:
    eventually(lambda: bool(service.process.children()) and not old & set(service.process.children()), str)


WRONG = [
    ("log_level = 'loud'", "WHARFINGER_{service}_LOG_LEVEL: 'loud' is none of"),
    ("doors = 7", "unknown setting: doors"),
    ("= no TOML", "cannot read"),
    ("listen = '127.0.0.1:1'", "another address to listen on takes a restart"),
]


@SERVICES
def test_a_wrong_reload_is_refused_and_the_service_goes_on(tmp_path: Path, name: str) -> None:
    file, port = tmp_path / "settings.toml", free_port()
    right = f"[{name}]\nlisten = '127.0.0.1:{port}'\n"
    file.write_text(right, encoding="utf-8")
    variable = f"WHARFINGER_{name}_LISTEN".upper()
    service = start(name, tmp_path, port, ["env", f"--unset={variable}", f"{CONFIG_FILE}={file}"])
    with running(service):
        workers = set(service.process.children())
        for line, words in WRONG:
            file.write_text(f"[{name}]\n{line}\n" if "listen" in line else right + line, encoding="utf-8")
            os.kill(service.process.pid, signal.SIGHUP)
            demand_log(service, words.format(service=name.upper()))
            assert answers(service.target)
        assert set(service.process.children()) == workers

        # A worker that is started meanwhile has the settings of the others.
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        demand_other_workers(service, workers)
        demand_up(service)

        workers = set(service.process.children())
        file.write_text(f"{right}log_level = 'debug'\n", encoding="utf-8")
        os.kill(service.process.pid, signal.SIGHUP)
        demand_other_workers(service, workers)
        demand_up(service)


def test_a_reload_on_a_store_that_is_away_is_refused(tmp_path: Path) -> None:
    service = start("registry", tmp_path)
    with running(service):
        workers = set(service.process.children())
        service.store.rename(tmp_path / "away")
        os.kill(service.process.pid, signal.SIGHUP)
        demand_log(
            service, f"Nothing is reloaded: wharfinger-registry: storage path {service.store} is not a directory"
        )
        assert answers(service.target)
        assert set(service.process.children()) == workers


def test_a_worker_that_starts_on_a_store_that_is_away_is_tried_again(tmp_path: Path) -> None:
    service = start("registry", tmp_path)
    with running(service):
        service.store.rename(tmp_path / "away")
        for worker in service.process.children():
            os.kill(worker, signal.SIGKILL)
        demand_log(service, "is not a directory")
        (tmp_path / "away").rename(service.store)
        demand_up(service)


@SERVICES
def test_a_successor_takes_over(tmp_path: Path, name: str) -> None:
    """As SIGUSR2 starts it, from a service that was started as its own command starts it."""
    first = start(name, tmp_path)
    first.process.stop()
    application = f"{name}_service.wsgi:app"
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), application]
    process = Process("successor", command, tmp_path, first.process.environ)
    process.start(lambda: answers(first.target))
    with process:
        workers = set(process.children())
        os.kill(process.pid, signal.SIGUSR2)
        eventually(lambda: bool(successors_of(process, workers)), process.tail)
        (successor,) = successors_of(process, workers)
        eventually(lambda: bool(children_of(successor)), process.tail)
        process.terminate()
        assert process.wait() == 0
        assert answers(first.target)
        os.kill(successor, signal.SIGTERM)
        eventually(lambda: not listening(first.port), process.tail)


def successors_of(process: Process, workers: set[int]) -> set[int]:
    return {child for child in process.children() if child not in workers}


def children_of(pid: int) -> list[str]:
    done = subprocess.run(["pgrep", "-P", str(pid)], stdout=subprocess.PIPE, text=True)
    return done.stdout.split()
