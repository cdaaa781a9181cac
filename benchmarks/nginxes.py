"""Set-ups with nginx: this project's registries behind the files of deploy/nginx, and nginx with no registry at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.client import Daemon, Habits, every
from benchmarks.layers import Image
from benchmarks.ours import OnStore, start_registry
from benchmarks.processes import Server
from benchmarks.set_up import NAMESPACE, SetUp, walk
from benchmarks.v1 import V1
from tests.servers.front import start_front
from tests.servers.nginx import start_file_server
from tests.servers.process import free_port

_REGISTRIES = 2
_BACKLOG = 4096


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
            backlog=_BACKLOG,
            access_log=self.log if self.logs_requests else None,
        )
        self.servers.append(Server("nginx", front))

    def settings(self) -> Mapping[str, str]:
        return {"workers": "1", "delivery": "nginx", "trusted_proxies": "1"}

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits)


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
