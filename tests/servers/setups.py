"""The ways to set Wharfinger up that daemons meet, each with live processes.

split-http       an index and a registry, plain HTTP
split-tls        the same, nginx ending TLS in front of each
one-host-http    both behind one host name, nginx telling them apart
one-host-tls     the same over TLS
standalone-http  a registry alone
standalone-tls   the same behind nginx with TLS: daemons send Basic everywhere
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.wire import Target
from tests.servers.front import start_front
from tests.servers.nginx import start_termination
from tests.servers.process import Process, free_port, stop_together
from tests.servers.services import Account, Service, sign_up, start_index, start_registry
from tests.servers.tls import Certificate, make_certificate

WITH_INDEX = ("split-http", "split-tls", "one-host-http", "one-host-tls")
STANDALONE = ("standalone-http", "standalone-tls")
ALL = WITH_INDEX + STANDALONE

ALICE = Account("alice")
MALLORY = Account("mallory")


@dataclass(frozen=True)
class SetUp:
    """One running set-up: `index` is where a daemon begins, `registry` where images are."""

    name: str
    index: Target
    registry: Target
    registry_service: Service
    index_service: Service | None = None

    @property
    def standalone(self) -> bool:
        return self.index_service is None

    def fresh_name(self, words: str = "app", owner: Account = ALICE) -> str:
        """A repository's name that no test used before."""
        return f"{owner.name}/{words}-{secrets.token_hex(4)}"


@dataclass
class SetUps:
    """Starts a set-up when it is first asked for, and keeps it until `close`."""

    folder: Path
    _running: dict[str, SetUp] = field(default_factory=dict)
    _processes: list[Process] = field(default_factory=list)

    def __getitem__(self, name: str) -> SetUp:
        if name not in self._running:
            self._running[name] = self._start(name)
        return self._running[name]

    def close(self) -> None:
        stop_together(*self._processes)

    def certificate(self) -> Certificate:
        made = self.folder / "tls"
        if made.exists():
            return Certificate(made / "authority.pem", made / "server.pem", made / "server.key")
        return make_certificate(made)

    def _start(self, name: str) -> SetUp:
        shape, _, scheme = name.rpartition("-")
        tls = self.certificate() if scheme == "tls" else None
        if shape == "standalone":
            return self._standalone(name, tls)
        setup = self._split(name, tls) if shape == "split" else self._one_host(name, tls)
        assert setup.index_service is not None
        for account in (ALICE, MALLORY):
            sign_up(setup.index_service.target, account)
        return setup

    def _standalone(self, name: str, tls: Certificate | None) -> SetUp:
        registry = start_registry(self.folder / name, None, trusted_proxies="1" if tls else "0")
        self._processes.append(registry.process)
        target = registry.target
        if tls:
            port = free_port()
            front = start_termination(self.folder / f"{name}-nginx", {port: registry.port}, tls)
            self._processes.append(front.process)
            target = Target.parse(front.urls[0], tls.authority)
        return SetUp(name, target, target, registry)

    def _split(self, name: str, tls: Certificate | None) -> SetUp:
        index_port, registry_port = free_port(), free_port()
        announced = free_port() if tls else registry_port
        index, registry = self._pair(name, index_port, registry_port, announced, "1" if tls else "0")
        if tls is None:
            return SetUp(name, index.target, registry.target, registry, index)
        ports = {free_port(): index_port, announced: registry_port}
        front = start_termination(self.folder / f"{name}-nginx", ports, tls)
        self._processes.append(front.process)
        index_target, registry_target = (Target.parse(url, tls.authority) for url in front.urls)
        return SetUp(name, index_target, registry_target, registry, index)

    def _one_host(self, name: str, tls: Certificate | None) -> SetUp:
        index_port, registry_port, announced = free_port(), free_port(), free_port()
        index, registry = self._pair(name, index_port, registry_port, announced, "1")
        front = start_front(
            self.folder / f"{name}-nginx", announced, indexes=[index_port], registries=[registry_port], tls=tls
        )
        self._processes.append(front)
        target = Target("https" if tls else "http", "127.0.0.1", announced, tls.authority if tls else None)
        return SetUp(name, target, target, registry, index)

    def _pair(
        self, name: str, index_port: int, registry_port: int, announced: int, proxies: str
    ) -> tuple[Service, Service]:
        folder = self.folder / name
        endpoint = f"127.0.0.1:{announced}"
        # The index asks the registry itself: over TLS it would have to trust the certificate.
        urls = f"{endpoint}=http://127.0.0.1:{registry_port}"
        index = start_index(folder / "index", [endpoint], index_port, trusted_proxies=proxies, registry_urls=urls)
        self._processes.append(index.process)
        registry = start_registry(folder / "registry", index.url, registry_port, trusted_proxies=proxies)
        self._processes.append(registry.process)
        return index, registry
