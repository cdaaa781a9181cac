"""The servers under load, each as a set-up that is started, filled and asked for sessions of a daemon.

standalone     this registry alone, one port
split          this index and this registry behind it: every pull gets a token
distribution   Debian's docker-registry, protocol v2
nginx          the same files served by nginx with no registry at all: the upper bound of a pull
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from benchmarks import processes
from benchmarks.client import Daemon, Habits
from benchmarks.layers import Image
from benchmarks.processes import Server
from benchmarks.v1 import V1
from benchmarks.v2 import V2
from benchmarks.wire import Address

_PROJECT = Path(__file__).resolve().parent.parent
_NAMESPACE = "bench"
_LOGIN = (_NAMESPACE, secrets.token_hex(8))


class SetUp:
    """One way to serve an image; `folder` is its own, for data, logs and configuration."""

    can_be_pushed_to = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.port = processes.free_port()
        self.servers: list[Server] = []

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    def start(self) -> None:
        """Raises DidNotStart."""
        raise NotImplementedError

    def session(self, repository: str, habits: Habits) -> Daemon:
        """A new session of a daemon with the repository of this name."""
        raise NotImplementedError

    def place(self, image: Image, repository: str) -> None:
        """Make the image ready to be pulled where it cannot be pushed."""
        raise NotImplementedError

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def sample(self) -> None:
        for server in self.servers:
            server.sample()

    def forget_peaks(self) -> None:
        for server in self.servers:
            server.peak_memory = 0

    def cpu_seconds(self) -> dict[str, float]:
        """Spent so far, of each server."""
        return {server.name: server.cpu_seconds() for server in self.servers}

    def memory(self) -> dict[str, int]:
        """Peak since the last `forget_peaks`, in bytes, of each server."""
        return {server.name: server.peak_memory for server in self.servers}


class Standalone(SetUp):
    def start(self) -> None:
        self.servers.append(_registry(self, self.port, {"WHARFINGER_REGISTRY_STANDALONE": "true"}))

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{_NAMESPACE}/{repository}", habits)


class Split(SetUp):
    def start(self) -> None:
        registry_port = processes.free_port()
        self.servers.append(self._start_index(registry_port))
        of_registry = {
            "WHARFINGER_REGISTRY_INDEX_URL": f"http://127.0.0.1:{self.port}",
            "WHARFINGER_REGISTRY_SECRET_KEYS": secrets.token_hex(32),
        }
        self.servers.append(_registry(self, registry_port, of_registry))
        self._sign_up()

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{_NAMESPACE}/{repository}", habits, _LOGIN)

    def _start_index(self, registry_port: int) -> Server:
        environ = {
            "WHARFINGER_INDEX_LISTEN": f"127.0.0.1:{self.port}",
            "WHARFINGER_INDEX_SECRET_KEYS": secrets.token_hex(32),
            "WHARFINGER_INDEX_DATABASE_URL": f"sqlite:///{self.folder / 'index.db'}",
            "WHARFINGER_INDEX_REGISTRY_ENDPOINTS": f"127.0.0.1:{registry_port}",
            "WHARFINGER_INDEX_LOG_LEVEL": "warning",
        }
        migrate = [sys.executable, "-c", "from index_service.cli import main; main()", "migrate"]
        subprocess.run(migrate, cwd=_PROJECT, env=_environ(environ), check=True)
        return _gunicorn("index", self.folder, self.port, environ)

    def _sign_up(self) -> None:
        name, password = _LOGIN
        account = json.dumps({"username": name, "password": password, "email": "bench@localhost", "auth": ""}).encode()
        url = f"http://127.0.0.1:{self.port}/v1/users/"
        urllib.request.urlopen(urllib.request.Request(url, account, {"Content-Type": "application/json"})).close()


class Distribution(SetUp):
    """Its own default configuration as packaged, in-memory cache included, without log lines for each request."""

    def start(self) -> None:
        settings = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "cache": {"blobdescriptor": "inmemory"},
                "filesystem": {"rootdirectory": str(self.data)},
                "delete": {"enabled": True},
            },
            "http": {"addr": f"127.0.0.1:{self.port}", "headers": {"X-Content-Type-Options": ["nosniff"]}},
        }
        config = self.folder / "config.yml"
        config.write_text(json.dumps(settings))  # JSON is YAML
        command = ["docker-registry", "serve", str(config)]
        url = f"http://127.0.0.1:{self.port}/v2/"
        self.servers.append(processes.start("distribution", command, self.folder, url))

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V2(self.address, f"{_NAMESPACE}/{repository}", habits)


class Nginx(SetUp):
    """Files laid out as the URLs of a pull."""

    can_be_pushed_to = False

    def start(self) -> None:
        config = self.folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self.folder, port=self.port, user=getpass.getuser()))
        command = ["nginx", "-p", str(self.folder), "-c", str(config), "-e", str(self.folder / "nginx.log")]
        self.servers.append(processes.start("nginx", command, self.folder, f"http://127.0.0.1:{self.port}/"))

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{_NAMESPACE}/{repository}", habits)

    def place(self, image: Image, repository: str) -> None:
        root = self.data / "v1"
        listed = root / "repositories" / _NAMESPACE / repository
        listed.mkdir(parents=True)
        (listed / "images").write_text(json.dumps([{"id": layer.id} for layer in image.layers]))
        (listed / "tags").write_text(json.dumps({"latest": image.id}))
        for layer in image.layers:
            place = root / "images" / layer.id
            place.mkdir(parents=True)
            (place / "json").write_bytes(layer.json)
            layer.write(place / "layer")
        (root / "images" / image.id / "ancestry").write_text(json.dumps(image.ancestry))


SET_UPS: Mapping[str, type[SetUp]] = {
    "standalone": Standalone,
    "split": Split,
    "distribution": Distribution,
    "nginx": Nginx,
}

_NGINX = """
daemon off;
user {user};
pid {folder}/nginx.pid;
worker_processes auto;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/data;
    }}
}}
"""


def _registry(set_up: SetUp, port: int, environ: Mapping[str, str]) -> Server:
    common = {
        "WHARFINGER_REGISTRY_LISTEN": f"127.0.0.1:{port}",
        "WHARFINGER_REGISTRY_STORAGE_PATH": str(set_up.data),
        "WHARFINGER_REGISTRY_LOG_LEVEL": "warning",
    }
    return _gunicorn("registry", set_up.folder, port, {**common, **environ})


def _gunicorn(service: str, folder: Path, port: int, environ: Mapping[str, str]) -> Server:
    """A service as its operator starts it, with the project's own gunicorn.conf.py."""
    application = f"{service}_service.wsgi:app"
    command = [sys.executable, "-m", "gunicorn", "-c", str(_PROJECT / "gunicorn.conf.py"), application]
    return processes.start(service, command, folder, f"http://127.0.0.1:{port}/v1/_ping", _environ(environ), _PROJECT)


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """These settings, and none that happen to be in the environment of the benchmark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WHARFINGER_")}
    return {**kept, **environ}
