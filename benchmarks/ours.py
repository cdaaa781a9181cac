"""Set-ups of this project alone: the services as their operator starts them, with nothing in front."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import processes
from benchmarks.client import Daemon, Habits
from benchmarks.direct import Direct
from benchmarks.layers import Image
from benchmarks.processes import Server
from benchmarks.set_up import LOGIN, NAMESPACE, SetUp
from benchmarks.v1 import V1

PROJECT = Path(__file__).resolve().parent.parent


class Standalone(SetUp):
    """One registry, files as storage."""

    delivery = "direct"

    def start(self) -> None:
        self.servers.append(start_registry(self, self.port, self.settings()))

    def settings(self) -> Mapping[str, str]:
        return {"WHARFINGER_REGISTRY_DELIVERY": self.delivery}

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits)


class OnStore(SetUp):
    """Mixed into a set-up of ours that keeps its images in the object store, where all such find the same."""

    def settings(self) -> Mapping[str, str]:
        self.store.start()
        return self.store.settings

    def fill(self, image: Image, repository: str) -> None:
        if image.id not in self.store.held:
            super().fill(image, repository)
            self.store.held.add(image.id)

    def measured(self) -> Sequence[Server]:
        return [*self.servers, *self.store.servers]


class S3(OnStore, Standalone):
    """One registry that streams layers from the store."""

    def settings(self) -> Mapping[str, str]:
        return {**super().settings(), "WHARFINGER_REGISTRY_DELIVERY": self.delivery}


class S3Redirect(S3):
    """One registry that sends clients to the store, by signed URL."""

    delivery = "redirect"


class S3Direct(S3):
    """No registry, once there is an image: clients read its layers from the store with URLs that they have already."""

    def fill(self, image: Image, repository: str) -> None:
        super().fill(image, repository)
        self.stop()
        self.servers.clear()
        self._urls = {layer.id: self.store.layer_url(layer.id) for layer in image.layers}

    def session(self, repository: str, habits: Habits) -> Daemon:
        if self.servers:
            return super().session(repository, habits)
        return Direct(self._urls, habits)


class Split(SetUp):
    """An index (SQLite) and a registry behind it: every pull gets a token."""

    def start(self) -> None:
        registry_port = processes.free_port()
        self.servers.append(self._start_index(registry_port))
        of_registry = {
            "WHARFINGER_REGISTRY_STANDALONE": "false",
            "WHARFINGER_REGISTRY_INDEX_URL": f"http://127.0.0.1:{self.port}",
            "WHARFINGER_REGISTRY_SECRET_KEYS": secrets.token_hex(32),
        }
        self.servers.append(start_registry(self, registry_port, of_registry))
        self._sign_up()

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits, LOGIN)

    def _start_index(self, registry_port: int) -> Server:
        settings = {
            "WHARFINGER_INDEX_LISTEN": f"127.0.0.1:{self.port}",
            "WHARFINGER_INDEX_SECRET_KEYS": secrets.token_hex(32),
            "WHARFINGER_INDEX_DATABASE_URL": f"sqlite:///{self.folder / 'index.db'}",
            "WHARFINGER_INDEX_REGISTRY_ENDPOINTS": f"127.0.0.1:{registry_port}",
            "WHARFINGER_INDEX_LOG_LEVEL": "warning",
        }
        migrate = [sys.executable, "-c", "from index_service.cli import main; main()", "migrate"]
        subprocess.run(migrate, cwd=PROJECT, env=processes.environ(settings), check=True)
        return _gunicorn("index", self.folder, self.port, settings)

    def _sign_up(self) -> None:
        name, password = LOGIN
        account = json.dumps({"username": name, "password": password, "email": "bench@localhost", "auth": ""}).encode()
        url = f"http://127.0.0.1:{self.port}/v1/users/"
        urllib.request.urlopen(urllib.request.Request(url, account, {"Content-Type": "application/json"})).close()


def start_registry(set_up: SetUp, port: int, settings: Mapping[str, str]) -> Server:
    """A registry of the set-up, standalone and with its files unless `settings` say otherwise. Raises DidNotStart."""
    common = {
        "WHARFINGER_REGISTRY_LISTEN": f"127.0.0.1:{port}",
        "WHARFINGER_REGISTRY_STANDALONE": "true",
        "WHARFINGER_REGISTRY_STORAGE_PATH": str(set_up.data),
        "WHARFINGER_REGISTRY_LOG_LEVEL": "warning",
    }
    return _gunicorn("registry", set_up.folder, port, {**common, **settings})


def _gunicorn(service: str, folder: Path, port: int, settings: Mapping[str, str]) -> Server:
    """A service as its operator starts it, with the project's own gunicorn.conf.py."""
    application = f"{service}_service.wsgi:app"
    command = [sys.executable, "-m", "gunicorn", "-c", str(PROJECT / "gunicorn.conf.py"), application]
    return processes.start(service, command, folder, f"http://127.0.0.1:{port}/v1/_ping", settings, PROJECT)
