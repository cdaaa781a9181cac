"""Layers in a real object store, sent by whoever the settings say: the registry, the store, or nginx from its cache."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from registry_service.storage.driver import BLOCK
from tests.clients.generations import GENERATIONS, NEWEST, Generation
from tests.clients.wire import Connection, Target, call
from tests.conformance.drivers_contract import generated
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.journeys.test_large import MIB, peak_bytes
from tests.servers.faults import FaultProxy
from tests.servers.front import start_front
from tests.servers.process import free_port
from tests.servers.radosgw import Radosgw
from tests.servers.services import Service, running, start_registry
from tests.servers.setups import SetUp


@pytest.fixture
def way(radosgw: Radosgw) -> Iterator[FaultProxy]:
    """What signed addresses lead through: it remembers what was read of the store."""
    with FaultProxy(Target.parse(radosgw.url)) as proxy:
        yield proxy


def start_on_store(folder: Path, radosgw: Radosgw, delivery: str, url_endpoint: str, **settings: str) -> Service:
    store = radosgw.store(url_endpoint=url_endpoint)
    return start_registry(
        folder,
        None,
        driver_environ=store.environ,
        storage="s3",
        storage_path=store.path,
        delivery=delivery,
        **settings,
    )


def standing(registry: Service, target: Target | None = None) -> SetUp:
    target = target or registry.target
    return SetUp("store", target, target, registry)


@pytest.fixture
def direct(tmp_path: Path, radosgw: Radosgw) -> Iterator[Service]:
    service = start_on_store(tmp_path, radosgw, "direct", "")
    with running(service):
        yield service


def test_every_generation_finds_its_images_in_the_store(direct: Service) -> None:
    for generation in GENERATIONS:
        setup, chain = standing(direct), chain_for(generation)
        name = setup.fresh_name("kept")
        daemon = daemon_of(generation, setup)
        daemon.push(name, chain)
        same_bytes(daemon.pull(name), chain)


def test_the_registry_streams_ranges_from_the_store(direct: Service) -> None:
    setup, chain = standing(direct), chain_for(NEWEST)
    daemon_of(NEWEST, setup).push(setup.fresh_name("ranges"), chain)
    path, layer = f"/v1/images/{chain[0].id}/layer", chain[0].layer
    for asked, wanted in (("0-9", layer[:10]), (f"7-{len(layer)}", layer[7:]), ("-5", layer[-5:])):
        answer = call(direct.target, f"GET {path}", {"Range": f"bytes={asked}"})
        assert (answer.status, answer.body) == (206, wanted)
    assert call(direct.target, f"GET {path}", {"Range": f"bytes={len(layer)}-"}).status == 416
    assert call(direct.target, f"HEAD {path}").header("Content-Length") == str(len(layer))


def test_a_client_that_pauses_holds_the_store_back(direct: Service) -> None:
    """A layer far longer than what the sockets hold passes through a worker that keeps none of it."""
    layer = b"".join(generated(96 * MIB // BLOCK))
    path, description = f"/v1/images/{'5' * 64}", json.dumps({"id": "5" * 64}).encode()
    assert call(direct.target, f"PUT {path}/json", body=description).status == 200
    assert call(direct.target, f"PUT {path}/layer", body=layer).status == 200
    checksum = hashlib.sha256(description + b"\n" + layer).hexdigest()
    sealed = call(direct.target, f"PUT {path}/checksum", {"X-Docker-Checksum-Payload": f"sha256:{checksum}"})
    assert sealed.status == 200
    before = peak_bytes(direct)
    with Connection(direct.target) as connection:
        connection.send_head(f"GET {path}/layer HTTP/1.1", [("Host", "registry")])
        assert connection.read_head().status == 200
        time.sleep(3)
        grown = peak_bytes(direct) - before
        assert call(direct.target, "GET /v1/_ping").status == 200
        assert connection.read(len(layer)) == layer
    assert grown < 16 * MIB


def test_a_redirect_leads_to_the_layer_without_any_credential(
    tmp_path: Path, radosgw: Radosgw, way: FaultProxy
) -> None:
    service = start_on_store(tmp_path, radosgw, "redirect", way.url)
    with running(service):
        setup, chain = standing(service), chain_for(NEWEST)
        daemon_of(NEWEST, setup).push(setup.fresh_name("led"), chain)
        for image in chain:
            answer = call(service.target, f"GET /v1/images/{image.id}/layer")
            assert (answer.status, answer.body) == (302, b"")
            parts = urlsplit(answer.header("Location") or "")
            request = f"GET {parts.path}?{parts.query}"
            assert call(way.target, request).body == image.layer
            part = call(way.target, request, {"Range": f"bytes=5-{len(image.layer)}"})
            assert (part.status, part.body) == (206, image.layer[5:])
            assert call(way.target, f"GET {parts.path}").status == 403
        assert len(way.asked) == 3 * len(chain)


def test_nginx_says_again_where_a_layer_is(tmp_path: Path, radosgw: Radosgw, way: FaultProxy) -> None:
    """To many the same for some seconds, and it is right."""
    service = start_on_store(tmp_path / "registry", radosgw, "redirect", way.url, trusted_proxies="1")
    port = free_port()
    with (
        running(service),
        FaultProxy(service.target) as asked,
        start_front(tmp_path / "nginx", port, indexes=None, registries=[Target.parse(asked.url).port]),
    ):
        front = Target("http", "127.0.0.1", port)
        setup, chain = standing(service, front), chain_for(NEWEST)
        daemon_of(NEWEST, setup).push(setup.fresh_name("told"), chain)
        path = f"/v1/images/{chain[-1].id}/layer"
        told = [call(front, f"GET {path}") for _ in range(5)]
        assert [answer.status for answer in told] == [302] * 5
        assert len({answer.header("Location") for answer in told}) == 1
        assert all(answer.header("X-Accel-Expires") is None for answer in told)
        assert sum(f"GET {path}" in request for request in asked.asked) <= 2
        parts = urlsplit(told[-1].header("Location") or "")
        assert call(way.target, f"GET {parts.path}?{parts.query}").body == chain[-1].layer


@pytest.fixture(params=["answers asked for", "answers kept"])
def cached(request: pytest.FixtureRequest, tmp_path: Path, radosgw: Radosgw, way: FaultProxy) -> Iterator[SetUp]:
    """A registry on the store, and nginx before it that fetches and keeps: layers, or what the registry says too."""
    service = start_on_store(tmp_path / "registry", radosgw, "nginx", way.url, trusted_proxies="1")
    with running(service):
        port = free_port()
        indexes = None if request.param == "answers kept" else [service.port]
        with start_front(tmp_path / "nginx", port, indexes=indexes, registries=[service.port]):
            yield standing(service, Target("http", "127.0.0.1", port))


@pytest.mark.parametrize("generation", [GENERATIONS[0], NEWEST], ids=str)
def test_nginx_reads_the_store_once_however_many_ask(cached: SetUp, way: FaultProxy, generation: Generation) -> None:
    name, chain = cached.fresh_name("cached"), chain_for(generation)
    daemon_of(generation, cached).push(name, chain)
    way.asked.clear()
    with ThreadPoolExecutor(12) as clients:
        pulls = [clients.submit(daemon_of(generation, cached).pull, name) for _ in range(12)]
    for pull in pulls:
        same_bytes(pull.result(), chain)
    assert len(way.asked) == len(chain)


def test_nginx_serves_ranges_of_what_it_keeps_and_of_what_it_fetches(cached: SetUp, way: FaultProxy) -> None:
    chain = chain_for(NEWEST)
    daemon_of(NEWEST, cached).push(cached.fresh_name("parts"), chain)
    layer, length = chain[0].layer, len(chain[0].layer)
    way.asked.clear()
    for _ in range(2):
        part = call(cached.registry, f"GET /v1/images/{chain[0].id}/layer", {"Range": f"bytes=3-{length}"})
        assert (part.status, part.body) == (206, layer[3:])
        assert part.header("Content-Range") == f"bytes 3-{length - 1}/{length}"
    whole = call(cached.registry, f"GET /v1/images/{chain[0].id}/layer")
    assert (whole.status, whole.body, whole.header("Content-Encoding")) == (200, layer, None)
    head = call(cached.registry, f"HEAD /v1/images/{chain[0].id}/layer")
    assert (head.status, head.header("Content-Length")) == (200, str(length))
    end = call(cached.registry, f"GET /v1/images/{chain[0].id}/layer", {"Range": f"bytes={length}-{length}"})
    assert (end.status, end.body) == (416, b"")
    assert len(way.asked) == 1


def test_a_layer_that_left_the_store_makes_an_error_daemons_can_read(cached: SetUp, radosgw: Radosgw) -> None:
    chain = chain_for(NEWEST)
    daemon_of(NEWEST, cached).push(cached.fresh_name("refused"), chain)
    gone = next(key for key in keys_of(radosgw) if chain[0].id in key and key.endswith("/layer"))
    call(cached.registry, f"GET /v1/images/{chain[0].id}/json")
    radosgw.client.delete_object(Bucket="images", Key=gone)
    answer = call(cached.registry, f"GET /v1/images/{chain[0].id}/layer")
    assert answer.status == 404
    assert answer.error()


def keys_of(radosgw: Radosgw) -> list[str]:
    pages = radosgw.client.get_paginator("list_objects_v2").paginate(Bucket="images")
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]
