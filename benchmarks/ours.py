"""Set-ups of this project alone: the services as their operator starts them, with nothing in front."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.request import urlopen

from benchmarks.client import Daemon, Habits
from benchmarks.direct import Direct
from benchmarks.layers import Image
from benchmarks.processes import Server
from benchmarks.set_up import LOGIN, NAMESPACE, SetUp
from benchmarks.v1 import V1
from benchmarks.v2 import V2
from tests.servers import services
from tests.servers.process import free_port


class Standalone(SetUp):
    """One registry, files as storage."""

    delivery = "direct"

    def start(self) -> None:
        self.servers.append(start_registry(self, self.port, **self.settings()))

    def settings(self) -> Mapping[str, str]:
        return {"delivery": self.delivery}

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits)


class StandaloneV2(Standalone):
    """The same registry and the same push by v1, pulled by v2."""

    _translated: tuple[bytes, bytes] | None = None

    def fill(self, image: Image, repository: str) -> None:
        super().fill(image, repository)
        manifest = self._get(f"{repository}/manifests/latest")
        self._translated = manifest, self._get(f"{repository}/blobs/{json.loads(manifest)['config']['digest']}")

    def session(self, repository: str, habits: Habits) -> Daemon:
        if self._translated is None:
            return super().session(repository, habits)
        return V2(self.address, f"{NAMESPACE}/{repository}", habits, self._translated)

    def _get(self, path: str) -> bytes:
        with urlopen(f"http://127.0.0.1:{self.port}/v2/{NAMESPACE}/{path}") as answer:
            content: bytes = answer.read()
        return content


class OnStore(SetUp):
    """Mixed into a set-up of ours that keeps its images in the object store, where all such find the same."""

    def settings(self) -> Mapping[str, str]:
        self.store.start()
        return {**super().settings(), "storage": self.store.place.name, "storage_path": self.store.place.path}

    def fill(self, image: Image, repository: str) -> None:
        if image.id not in self.store.held:
            super().fill(image, repository)
            self.store.held.add(image.id)

    def measured(self) -> Sequence[Server]:
        return [*self.servers, *self.store.servers]


class S3(OnStore, Standalone):
    """One registry that streams layers from the store."""


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
        registry_port = free_port()
        as_it_comes = {"workers": None, "login_rate": None, "address_rate": None}
        announced = [f"127.0.0.1:{registry_port}"]
        index = services.start_index(self.folder, announced, self.port, log_level="warning", **as_it_comes)
        self.servers.append(Server("index", index.process))
        self.servers.append(start_registry(self, registry_port, index.url))
        services.sign_up(index.target, services.Account(*LOGIN))

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits, LOGIN)


def start_registry(set_up: SetUp, port: int, index_url: str | None = None, **settings: str | None) -> Server:
    """A registry of the set-up with its files, unless `settings` say otherwise, and else as it comes.

    Raises ServerFailed.
    """
    given = {"storage_path": str(set_up.data), "workers": None, "log_level": "warning", **settings}
    of_driver = set_up.store.place.environ if "storage" in given else {}
    service = services.start_registry(set_up.folder, index_url, port, driver_environ=of_driver, **given)
    return Server("registry", service.process)
