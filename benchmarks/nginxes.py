"""Set-ups with nginx: this project's registries behind the files of deploy/nginx, and nginx with no registry at all."""

from __future__ import annotations

import getpass
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks import processes
from benchmarks.client import Daemon, Habits, every
from benchmarks.layers import Image
from benchmarks.ours import PROJECT, OnStore, start_registry
from benchmarks.set_up import NAMESPACE, SetUp, walk
from benchmarks.v1 import V1

_REGISTRIES = 2


class Front(SetUp):
    """The nginx of deploy/nginx before two registries of one worker each; it sends the layers."""

    logs_requests = False

    @property
    def log(self) -> Path:
        """Where nginx writes a line for each request, if it does."""
        return self.folder / "access.log"

    def start(self) -> None:
        ports = [processes.free_port() for _ in range(_REGISTRIES)]
        common = {
            "WHARFINGER_REGISTRY_WORKERS": "1",
            "WHARFINGER_REGISTRY_DELIVERY": "nginx",
            "WHARFINGER_REGISTRY_TRUSTED_PROXIES": "1",
        }
        for port in ports:
            self.servers.append(start_registry(self, port, {**common, **self.settings()}))
        config = self.folder / "nginx"
        self._configure(config, ports)
        orders = f"daemon off; pid {config}/nginx.pid; error_log stderr warn; user {getpass.getuser()};"
        command = ["nginx", "-p", str(config), "-c", str(config / "nginx.conf"), "-e", "stderr", "-g", orders]
        self.servers.append(processes.start("nginx", command, self.folder, f"http://127.0.0.1:{self.port}/v1/_ping"))

    def settings(self) -> Mapping[str, str]:
        return {}

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits)

    def _configure(self, config: Path, ports: list[int]) -> None:
        """Only what a site says is said here: where everything is."""
        shutil.copytree(PROJECT / "deploy" / "nginx", config)
        (config / "cache").mkdir()
        answers = f"127.0.0.1:{processes.free_port()};"
        site = {
            "    server 127.0.0.1:5001;\n": "".join(f"    server 127.0.0.1:{port};\n" for port in ports),
            "server 127.0.0.1:5009;": f"server {answers}",
            "listen 127.0.0.1:5009;": f"listen {answers}",
            "alias /srv/registry/;": f"alias {self.data}/;",
            "listen 80;": f"listen 127.0.0.1:{self.port} backlog=4096;",
        }
        shutil.copy(config / "site-alone.conf", config / "site.conf")
        _change(config / "site.conf", site)
        if self.logs_requests:
            _change(config / "nginx.conf", {"access_log off;": f"access_log {self.log};"})


class S3Front(OnStore, Front):
    """The same with the object store behind, and what is pulled in nginx's cache already."""

    def fill(self, image: Image, repository: str) -> None:
        super().fill(image, repository)
        walk(self.session(repository, Habits()).pull(image, every(0)))


class S3RedirectFront(OnStore, Front):
    """Nginx before registries that send clients to the store: it says again for seconds where a layer is."""

    def settings(self) -> Mapping[str, str]:
        return {**super().settings(), "WHARFINGER_REGISTRY_DELIVERY": "redirect"}


class Nginx(SetUp):
    """Files laid out as the URLs of a pull: nginx and nothing else."""

    def start(self) -> None:
        config = self.folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self.folder, port=self.port, user=getpass.getuser()))
        command = ["nginx", "-p", str(self.folder), "-c", str(config), "-e", str(self.folder / "nginx.log")]
        self.servers.append(processes.start("nginx", command, self.folder, f"http://127.0.0.1:{self.port}/"))

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits)

    def fill(self, image: Image, repository: str) -> None:
        root = self.data / "v1"
        listed = root / "repositories" / NAMESPACE / repository
        listed.mkdir(parents=True)
        (listed / "images").write_text(json.dumps([{"id": layer.id} for layer in image.layers]))
        (listed / "tags").write_text(json.dumps({"latest": image.id}))
        for layer in image.layers:
            place = root / "images" / layer.id
            place.mkdir(parents=True)
            (place / "json").write_bytes(layer.json)
            layer.write(place / "layer")
        (root / "images" / image.id / "ancestry").write_text(json.dumps(image.ancestry))


def _change(file: Path, changes: Mapping[str, str]) -> None:
    text = file.read_text()
    for old, new in changes.items():
        if old not in text:
            raise processes.DidNotStart(f"{file.name} of deploy/nginx no longer says {old.strip()!r}")
        text = text.replace(old, new)
    file.write_text(text)


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
