"""A registry whose layers are in Google Cloud Storage: pushed through it, fetched from there or through it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.generations import GENERATIONS, NEWEST, Generation
from tests.clients.wire import Target, call
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.gcs import Gcs
from tests.servers.services import Service, running, start_registry
from tests.servers.setups import SetUp


def start_on_store(folder: Path, gcs: Gcs, delivery: str) -> Service:
    store = gcs.store(gcs.new_bucket())
    return start_registry(
        folder,
        None,
        driver_environ=store.environ,
        storage=store.name,
        storage_path=store.path,
        delivery=delivery,
    )


def standing(registry: Service) -> SetUp:
    return SetUp("gcs", registry.target, registry.target, registry)


@pytest.mark.parametrize("generation", [GENERATIONS[0], NEWEST], ids=str)
def test_push_and_pull(gcs: Gcs, tmp_path: Path, generation: Generation) -> None:
    service = start_on_store(tmp_path, gcs, "direct")
    with running(service):
        setup, chain = standing(service), chain_for(generation)
        name = setup.fresh_name("kept")
        daemon = daemon_of(generation, setup)
        daemon.push(name, chain)
        same_bytes(daemon.pull(name), chain)


def test_a_redirect_leads_to_the_layer_without_any_credential(gcs: Gcs, tmp_path: Path) -> None:
    service = start_on_store(tmp_path, gcs, "redirect")
    with running(service):
        setup, chain = standing(service), chain_for(NEWEST)
        daemon_of(NEWEST, setup).push(setup.fresh_name("led"), chain)
        for image in chain:
            answer = call(service.target, f"GET /v1/images/{image.id}/layer")
            assert (answer.status, answer.body) == (302, b"")
            parts = urlsplit(answer.header("Location") or "")
            store = Target("http", "127.0.0.1", gcs.port)
            request = f"GET {parts.path}?{parts.query}"
            assert call(store, request).body == image.layer
            part = call(store, request, {"Range": f"bytes=5-{len(image.layer)}"})
            assert (part.status, part.body) == (206, image.layer[5:])
            assert call(store, f"GET {parts.path}").status == 403
