"""The services as an operator runs them: gunicorn with the project's own configuration, settings in the environment."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.clients.wire import Target, WireError, call
from tests.servers.process import Process, ServerFailed, free_port, server_environ, stop_together

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PASSWORD = "harbour-master-7"


@dataclass(frozen=True)
class Account:
    name: str
    password: str = PASSWORD


ADMIN = Account("admiral")


@dataclass(frozen=True)
class Service:
    """One running service."""

    process: Process
    port: int
    folder: Path
    environ: dict[str, str]

    @property
    def target(self) -> Target:
        return Target("http", "127.0.0.1", self.port)

    @property
    def url(self) -> str:
        return self.target.url

    @property
    def store(self) -> Path:
        """Where a registry keeps its images."""
        return self.folder / "store"


def start_index(
    folder: Path,
    registries: list[str],
    port: int | None = None,
    *,
    prefix: Sequence[str] = (),
    **settings: str | None,
) -> Service:
    """A migrated index with one administrator, `ADMIN`; `registries` is what it announces, host:port each.

    `prefix` is the beginning of the command that runs it. A setting that is None keeps the service's own default.
    """
    port = port or free_port()
    environ = environ_for(
        "index",
        {
            "listen": f"127.0.0.1:{port}",
            "database_url": f"sqlite:///{folder}/index.db",
            "secret_keys": secrets.token_hex(32),
            "registry_endpoints": ",".join(registries),
            "workers": "1",
            # Every test comes from the same address; those of the rates themselves set them back.
            "login_rate": "100000/minute",
            "address_rate": "100000/minute",
            **settings,
        },
    )
    folder.mkdir(parents=True, exist_ok=True)
    if "database_url" in settings:
        _fill(environ)
    else:
        shutil.copy(_filled(), folder / "index.db")
    return serve("index", folder, port, environ, prefix)


def _fill(environ: dict[str, str]) -> None:
    """Migrate a database, and make the administrator."""
    index_command(environ, "migrate")
    index_command(environ, "create-user", "--admin", "--password-stdin", ADMIN.name, typed=ADMIN.password)


@cache
def _filled() -> Path:
    """The database of a new index, made once: the two commands take as much time as all else in which one starts."""
    folder = Path(tempfile.mkdtemp(prefix="wharfinger-index-"))
    atexit.register(shutil.rmtree, folder)
    database = folder / "index.db"
    _fill(environ_for("index", {"database_url": f"sqlite:///{database}", "secret_keys": secrets.token_hex(32)}))
    return database


def start_another(first: Service, folder: Path) -> Service:
    """One more index or registry that differs from the first in its port only."""
    port = free_port()
    environ = dict(first.process.environ)
    listen = next(key for key in environ if key.endswith("_LISTEN"))
    environ[listen] = f"127.0.0.1:{port}"
    return serve(first.process.name, folder, port, environ)


def start_registry(
    folder: Path,
    index_url: str | None,
    port: int | None = None,
    *,
    driver_environ: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    **settings: str | None,
) -> Service:
    """A registry behind the index at `index_url`, or a standalone one where that is None.

    `driver_environ` is what its storage driver reads for itself, `prefix` the beginning of the command that runs it. A
    setting that is None keeps the service's own default.
    """
    port = port or free_port()
    behind = {"standalone": "true"} if index_url is None else {"index_url": index_url}
    environ = environ_for(
        "registry",
        {
            "listen": f"127.0.0.1:{port}",
            "storage_path": str(folder / "store"),
            "secret_keys": secrets.token_hex(32),
            "workers": "1",
            **behind,
            **settings,
        },
    )
    environ.update(driver_environ or {})
    if "storage" not in settings:
        Path(environ["WHARFINGER_REGISTRY_STORAGE_PATH"]).mkdir(parents=True, exist_ok=True)
    return serve("registry", folder, port, environ, prefix)


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """End the services with the block."""
    try:
        yield
    finally:
        stop_together(*(service.process for service in services))


def index_command(environ: dict[str, str], *words: str, typed: str = "") -> str:
    """One of the operator's commands, as its console script would run it. Raises ServerFailed."""
    command = [sys.executable, "-c", "from index_service.cli import main; main()", *words]
    done = subprocess.run(command, env=environ, cwd=ROOT, input=typed, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerFailed(f"{' '.join(words)} failed\n{done.stdout}{done.stderr}")
    return done.stdout


def registry_command(environ: dict[str, str], *words: str) -> str:
    """As `index_command`, of a registry."""
    command = [sys.executable, "-c", "from registry_service.cli import main; main()", *words]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerFailed(f"{' '.join(words)} failed\n{done.stdout}{done.stderr}")
    return done.stdout


def sign_up(index: Target, account: Account) -> Account:
    """Make an account as a daemon's first login does."""
    body = f'{{"username":"{account.name}","password":"{account.password}","email":"{account.name}@example.com"}}'
    answer = call(index, "POST /v1/users/", body=body.encode())
    if answer.status != 201:
        raise ServerFailed(f"signing {account.name} up: {answer}")
    return account


def environ_for(service: str, settings: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of a service, `index` or `registry`, with these settings and no others."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    given = {f"WHARFINGER_{service}_{key}".upper(): value for key, value in settings.items() if value is not None}
    return server_environ({"PATH": path, "PYTHONPATH": str(ROOT), **given})


def serve(name: str, folder: Path, port: int, environ: dict[str, str], prefix: Sequence[str] = ()) -> Service:
    """Start a service whose store or database is ready, by a command of `prefix` and itself. Raises ServerFailed."""
    command = [*prefix, str(BIN / "gunicorn"), "-c", str(ROOT / "gunicorn.conf.py"), f"{name}_service.wsgi:app"]
    process = Process(name, command, folder, environ)
    target = Target("http", "127.0.0.1", port)
    process.start(lambda: answers(target))
    return Service(process, port, folder, environ)


def answers(target: Target) -> bool:
    """Whether a service answers there."""
    try:
        return call(target, "GET /v1/_ping").status == 200
    except (OSError, WireError):
        return False
