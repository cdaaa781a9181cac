"""Set-ups with nginx: this project's registries behind the files of deploy/nginx, and nginx with no registry at all."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from benchmarks.client import Daemon, Habits, every
from benchmarks.layers import Image
from benchmarks.ours import OnStore, start_registry
from benchmarks.processes import Server
from benchmarks.set_up import LOGIN, NAMESPACE, SetUp, walk
from benchmarks.v1 import V1
from tests.servers import services
from tests.servers.front import start_front
from tests.servers.nginx import start_file_server
from tests.servers.process import free_port

_REGISTRIES = 2


class Front(SetUp):
    """The nginx of deploy/nginx before two registries of one worker each; it sends the layers."""

    logs_requests = False

    @property
    def log(self) -> Path:
        """Where nginx writes a line for each request, if it does."""
        return self.folder / "access.log"

    def start(self) -> None:
        ports = [free_port() for _ in range(_REGISTRIES)]
        for port in ports:
            self.servers.append(start_registry(self, port, **self.settings()))
        front = start_front(
            self.folder / "nginx",
            self.port,
            indexes=None,
            registries=ports,
            store=self.data,
            access_log=self.log if self.logs_requests else None,
        )
        self.servers.append(Server("nginx", front))

    def settings(self) -> Mapping[str, str]:
        return {"workers": "1", "delivery": "nginx", "trusted_proxies": "1"}

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits)


class SplitFront(Front):
    """The same nginx before an index (SQLite) and two registries behind it; the image is public."""

    access = "public"

    def start(self) -> None:
        index_port, ports, keys = free_port(), [free_port() for _ in range(_REGISTRIES)], secrets.token_hex(32)
        announced = f"127.0.0.1:{self.port}"
        as_it_comes = {"workers": None, "login_rate": None, "address_rate": None}
        fronted = {"trusted_proxies": "1", "registry_urls": f"{announced}=http://127.0.0.1:{ports[0]}"}
        self._index = services.start_index(
            self.folder, [announced], index_port, log_level="warning", **as_it_comes, **fronted
        )
        self.servers.append(Server("index", self._index.process))
        for port in ports:
            self.servers.append(start_registry(self, port, self._index.url, secret_keys=keys, **self.settings()))
        front = start_front(
            self.folder / "nginx",
            self.port,
            indexes=[index_port],
            registries=ports,
            store=self.data,
        )
        self.servers.append(Server("nginx", front))
        services.sign_up(self._index.target, services.Account(*LOGIN))

    def fill(self, image: Image, repository: str) -> None:
        super().fill(image, repository)
        services.index_command(self._index.environ, "set-access", f"{NAMESPACE}/{repository}", self.access)

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits, LOGIN)


class SplitFrontPrivate(SplitFront):
    """The same with a private image, of which nginx keeps nothing."""

    access = "private"


class S3Front(OnStore, Front):
    """The same with the object store behind, and what is pulled in nginx's cache already."""

    def fill(self, image: Image, repository: str) -> None:
        super().fill(image, repository)
        walk(self.session(repository, Habits()).pull(image, every(0)))


class S3RedirectFront(OnStore, Front):
    """Nginx before registries that send clients to the store: it says again for seconds where a layer is."""

    def settings(self) -> Mapping[str, str]:
        return {**super().settings(), "delivery": "redirect"}


class Nginx(SetUp):
    """Files laid out as the URLs of a pull: nginx and nothing else."""

    def start(self) -> None:
        self.servers.append(Server("nginx", start_file_server(self.folder / "nginx", self.port, self.data)))

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
