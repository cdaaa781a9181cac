"""A store that becomes read-only beneath a registry, as file systems do after a disk error, and writable again."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.clients.docker_v1 import DaemonError
from tests.clients.generations import NEWEST
from tests.clients.wire import call
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.process import eventually
from tests.servers.services import Service, answers, running, start_registry
from tests.servers.setups import SetUp

_AS_ROOT = () if os.geteuid() == 0 else ("--map-root-user",)
_INTO = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")


def own_mount_of(store: Path) -> list[str]:
    """The beginning of a command that sees the store as a mount of its own."""
    mount = 'mount --bind "$0" "$0" && exec "$@"'
    return ["unshare", "--mount", *_AS_ROOT, "sh", "-c", mount, str(store)]


def remount(service: Service, mode: str) -> None:
    into = ["nsenter", "--target", str(service.process.pid), *_INTO, "--mount"]
    subprocess.run([*into, "mount", "-o", f"remount,bind,{mode}", str(service.store)], check=True)


def replace_workers(service: Service) -> None:
    old = set(service.process.children())
    for worker in old:
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: bool(set(service.process.children()) - old), service.process.tail)
    eventually(lambda: answers(service.target), service.process.tail)


def test_what_is_stored_is_served_on(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    service = start_registry(tmp_path, None, prefix=own_mount_of(store))
    with running(service):
        setup = SetUp("read-only", service.target, service.target, service)
        daemon, name, chain = daemon_of(NEWEST, setup), setup.fresh_name("kept"), chain_for(NEWEST, 2)
        daemon.push(name, chain)
        remount(service, "ro")
        # A worker that starts on a store of which it can only read.
        replace_workers(service)
        same_bytes(daemon.pull(name), chain)
        with pytest.raises(DaemonError, match=r"got 503.*Read-only file system"):
            daemon.push(setup.fresh_name("refused"), chain_for(NEWEST, 1))
        status = call(service.target, "GET /v1/_status")
        assert status.status == 503
        assert status.json()["failures"]["storage"].endswith("Read-only file system; what is stored can be pulled")

        remount(service, "rw")
        daemon.push(setup.fresh_name("again"), chain_for(NEWEST, 1))
        assert "is served for reading only: Read-only file system" in service.process.tail()
