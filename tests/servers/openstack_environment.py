"""Where OpenStack's servers are installed, and how one of its WSGI services is started."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from tests.servers.one_at_a_time import one_at_a_time
from tests.servers.process import Process, ServerFailed, listening

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".servers" / "openstack"
PYTHON = HOME / "bin" / "python"

PLACEHOLDER = "http://127.0.0.1:1"
"""Stands for an address not known yet in databases that are kept."""


def require_openstack() -> Path:
    """The Python that has the servers; where it is missing, say what to run."""
    if not (HOME / "installed").exists():
        raise ServerFailed(f"OpenStack's servers are not installed in {HOME}: run tests/install-tools")
    return PYTHON


def run(*command: object) -> None:
    """Run one of the environment's programs to its end."""
    done = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise ServerFailed(f"{command} failed\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def serve(name: str, application: str, port: int, folder: Path, environ: Mapping[str, str]) -> Process:
    """A WSGI application, MODULE:NAME, listening on a port."""
    program = Path(__file__).with_name("openstack_wsgi.py")
    process = Process(name, [str(require_openstack()), "-P", str(program), application, str(port)], folder, environ)
    process.start(lambda: listening(port))
    return process


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """A folder made once and kept beside the servers: building their databases takes ten seconds."""
    folder = HOME / "kept" / name
    with one_at_a_time(folder):
        if not folder.exists():
            making = folder.with_name(f"{name}.making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            for database in making.glob("*.db"):
                # Writers of such a database do not hold up its readers.
                execute(database, "PRAGMA journal_mode = WAL")
            making.rename(folder)
    return folder


def execute(database: Path, statement: str, *values: str) -> None:
    """Change a server's database before it runs."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement, values)
