"""What every driver of a remote store promises when its store is a network away: a class to inherit from.

The bytes of a layer are there when the store has them. Whatever reads them in the real worker has to wait for them, and
on the thread whose connection it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import V0_7, V0_9
from tests.clients.images import Chain
from tests.clients.wire import call
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.process import eventually
from tests.servers.services import Service, registry_command, running, start_registry
from tests.servers.setups import SetUp
from tests.servers.store import Store
from tests.units.registry_service.mirror_source import ACME, Said, ScriptedSource, serving

LATENCY_SECONDS = 0.003


def a_network_away(exchange: Exchange) -> None:
    if exchange.method == "GET":
        exchange.trickle(LATENCY_SECONDS, 4)
    else:
        exchange.delay(LATENCY_SECONDS)


class SlowStoreContract:
    """Inherit, and give the fixtures `proxy`, a FaultProxy before the store, and `far`, an empty Store through it."""

    @pytest.fixture
    def source(self) -> Iterator[ScriptedSource]:
        with serving() as source:
            yield source

    @pytest.fixture
    def registry(self, tmp_path: Path, proxy: FaultProxy, far: Store, source: ScriptedSource) -> Iterator[Service]:
        """A registry on the slow store, which mirrors `acme` from the source."""
        proxy.plan(a_network_away)
        settings = {"storage": far.name, "storage_path": far.path, "mirror_sources": f"acme={source.url}"}
        service = start_registry(tmp_path, None, driver_environ=far.environ, **settings)
        with running(service):
            yield service
        proxy.pass_everything()

    def test_whatever_reads_layers_waits_for_the_store(self, registry: Service, source: ScriptedSource) -> None:
        """Docker 0.6 to 0.9 push with a tarsum, which takes all entries of the layer; so do listings, and what is
        mirrored from a registry that knows no other checksum."""
        setup, names = SetUp("far", registry.target, registry.target, registry), set()
        for generation in (V0_7, V0_9):
            name, chain = setup.fresh_name("slow"), chain_for(generation)
            names.add(name)
            daemon = daemon_of(generation, setup)
            daemon.push(name, chain, "latest")
            same_bytes(daemon.pull(name, "latest"), chain)
            self.list_files(registry, chain)
        mirrored = chain_for(V0_7)
        source.hold(mirrored)
        for image in mirrored:
            headers = [("X-Docker-Size", str(len(image.layer))), ("X-Docker-Checksum-Payload", image.tarsum)]
            source.say(f"/v1/images/{image.id}/json", Said(image.json, headers))
        same_bytes(Daemon(V0_9, registry.target).pull(str(ACME), "latest"), mirrored)
        top = f"HEAD /v1/images/{mirrored[-1].id}/layer"
        eventually(lambda: call(registry.target, top).status == 200, registry.process.tail)
        self.list_files(registry, mirrored)
        # What a new index takes over.
        assert set(registry_command(registry.process.environ, "repositories").split()) == {*names, str(ACME)}

    def list_files(self, registry: Service, chain: Chain) -> None:
        for image in chain:
            for listed in ("files", "diff"):
                answer = call(registry.target, f"GET /v1/images/{image.id}/{listed}")
                assert answer.status == 200, f"{answer}\n{registry.process.tail()}"
        assert b'"srv/data"' in call(registry.target, f"GET /v1/images/{chain[0].id}/files").body
