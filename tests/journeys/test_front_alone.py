"""The nginx of deploy/nginx before registries that stand alone: one answer serves many, and no wrong one does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import GENERATIONS, NEWEST, Generation
from tests.clients.images import Chain
from tests.clients.wire import Target, call
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.faults import FaultProxy
from tests.servers.front import start_front
from tests.servers.process import free_port
from tests.servers.services import (
    Account,
    Service,
    index_command,
    running,
    sign_up,
    start_index,
    start_registry,
)
from tests.servers.setups import ALICE, MALLORY, SetUp

PULLS = 12


@dataclass(frozen=True)
class Quay:
    """A registry, nginx before it, and between them what sees each question."""

    setup: SetUp
    front: Target
    way: FaultProxy

    def pushed(self, generation: Generation = NEWEST) -> Chain:
        """An image that nobody has asked for."""
        chain = chain_for(generation)
        daemon_of(generation, self.setup).push(self.setup.fresh_name("quay"), chain)
        self.way.asked.clear()
        return chain

    def asked(self, path: str) -> int:
        """How often nginx asked for it."""
        return sum(path in request for request in self.way.asked)


@contextmanager
def quay_before(folder: Path, service: Service, index: Service | None = None) -> Iterator[Quay]:
    with ExitStack() as stack:
        way = stack.enter_context(FaultProxy(service.target))
        port = free_port()
        behind = Target.parse(way.url).port
        stack.enter_context(
            start_front(folder / "nginx", port, indexes=None, registries=[behind], store=folder / "registry" / "store")
        )
        target = Target("http", "127.0.0.1", port)
        yield Quay(SetUp("alone", index.target if index else target, target, service, index), target, way)


@pytest.fixture(scope="module")
def quay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quay]:
    folder = tmp_path_factory.mktemp("alone")
    service = start_registry(folder / "registry", None, delivery="nginx", trusted_proxies="1")
    with running(service), quay_before(folder, service) as started:
        yield started


@pytest.mark.parametrize("generation", GENERATIONS, ids=str)
def test_every_daemon_pushes_and_pulls(quay: Quay, generation: Generation) -> None:
    daemon, name, chain = daemon_of(generation, quay.setup), quay.setup.fresh_name("any"), chain_for(generation)
    daemon.push(name, chain, "one")
    same_bytes(daemon.pull(name, "one"), chain)


def test_one_answer_serves_many(quay: Quay) -> None:
    """Answers are kept for seconds: on a machine that stands still meanwhile some are asked for twice, never all."""
    chain, name = chain_for(NEWEST), quay.setup.fresh_name("many")
    daemon_of(NEWEST, quay.setup).push(name, chain)
    same_bytes(daemon_of(NEWEST, quay.setup).pull(name), chain)
    quay.way.asked.clear()
    with ThreadPoolExecutor(4) as clients:
        for pull in [clients.submit(daemon_of(NEWEST, quay.setup).pull, name) for _ in range(PULLS)]:
            same_bytes(pull.result(), chain)
    for image in chain:
        assert quay.asked(f"/v1/images/{image.id}/json") < PULLS
        assert quay.asked(f"/v1/images/{image.id}/layer") < PULLS


@pytest.mark.parametrize("warm", [False, True])
def test_conditions_and_heads_are_answered_as_ever(quay: Quay, warm: bool) -> None:
    image = quay.pushed()[0]
    path = f"/v1/images/{image.id}/json"
    if warm:
        call(quay.front, f"GET {path}")
    known = {"If-None-Match": f'"{image.id}"'}
    assert call(quay.front, f"GET {path}", known).status == 304
    later = {"If-Modified-Since": "Mon, 02 Mar 2015 10:00:00 GMT"}
    assert call(quay.front, f"GET {path}", later).status == 304
    assert call(quay.front, f"GET {path}", {"If-None-Match": '"other"'}).body == image.json
    head = call(quay.front, f"HEAD {path}")
    assert (head.status, head.header("Content-Length"), head.body) == (200, str(len(image.json)), b"")
    whole = call(quay.front, f"GET {path}")
    assert (whole.status, whole.body, whole.header("ETag")) == (200, image.json, f'"{image.id}"')
    assert whole.header("X-Docker-Size") == str(len(image.layer))
    assert whole.header("X-Accel-Expires") is None


@pytest.mark.parametrize("warm", [False, True])
def test_ranges_of_layers_are_answered_as_ever(quay: Quay, warm: bool) -> None:
    image = quay.pushed()[0]
    path, length = f"/v1/images/{image.id}/layer", len(image.layer)
    if warm:
        call(quay.front, f"GET {path}")
    part = call(quay.front, f"GET {path}", {"Range": f"bytes=10-{length}"})
    assert (part.status, part.body) == (206, image.layer[10:])
    end = call(quay.front, f"GET {path}", {"Range": f"bytes={length}-{length}"})
    assert (end.status, end.body, end.header("Content-Length")) == (416, b"", "0")
    assert call(quay.front, f"HEAD {path}").header("Content-Length") == str(length)
    whole = call(quay.front, f"GET {path}")
    assert (whole.status, whole.body, whole.header("Accept-Ranges")) == (200, image.layer, "bytes")
    known = {"If-None-Match": whole.header("ETag") or ""}
    assert call(quay.front, f"GET {path}", known).status == 304


def test_who_proved_himself_and_who_did_not_have_answers_of_their_own(quay: Quay) -> None:
    path = f"/v1/images/{quay.pushed()[0].id}/json"
    for _ in range(2):
        for headers, kind in (({"Authorization": "Basic YTpi"}, "private"), ({}, "public")):
            answer = call(quay.front, f"GET {path}", headers)
            assert answer.header("Cache-Control") == f"{kind}, max-age=31536000"


def test_what_is_not_there_is_there_as_soon_as_it_is_pushed(quay: Quay) -> None:
    chain = chain_for(NEWEST)
    for part in ("json", "layer", "ancestry"):
        absent = call(quay.front, f"GET /v1/images/{chain[0].id}/{part}")
        assert absent.status == 404
        assert absent.error()
    daemon_of(NEWEST, quay.setup).push(quay.setup.fresh_name("late"), chain)
    assert call(quay.front, f"GET /v1/images/{chain[0].id}/json").body == chain[0].json
    assert call(quay.front, f"GET /v1/images/{chain[0].id}/layer").body == chain[0].layer
    assert call(quay.front, f"GET /v1/images/{chain[0].id}/ancestry").json()[0] == chain[0].id


def test_a_layer_that_was_deleted_is_not_found_though_the_answer_was_kept(quay: Quay) -> None:
    image = quay.pushed()[0]
    path = f"/v1/images/{image.id}/layer"
    assert call(quay.front, f"GET {path}").body == image.layer
    (quay.setup.registry_service.store / "images" / image.id / "layer").unlink()
    gone = call(quay.front, f"GET {path}")
    assert gone.status == 404
    assert gone.error()


def test_registries_that_send_layers_themselves_are_served_too(tmp_path: Path) -> None:
    service = start_registry(tmp_path / "registry", None, delivery="direct", trusted_proxies="1")
    with running(service), quay_before(tmp_path, service) as quay:
        chain, name = chain_for(NEWEST), quay.setup.fresh_name("direct")
        daemon_of(NEWEST, quay.setup).push(name, chain)
        for _ in range(2):
            same_bytes(daemon_of(NEWEST, quay.setup).pull(name), chain)
        part = call(quay.front, f"GET /v1/images/{chain[0].id}/layer", {"Range": "bytes=1-9"})
        assert (part.status, part.body) == (206, chain[0].layer[1:10])


def token_for(index: Service, name: str, account: Account) -> dict[str, str]:
    daemon = Daemon(NEWEST, index.target, account.name, account.password)
    asked = {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    answer = call(index.target, f"GET /v1/repositories/{name}/images", asked)
    return {"Authorization": f"Token {answer.header('X-Docker-Token')}"}


def test_nothing_is_kept_of_registries_that_look_at_tokens(tmp_path: Path) -> None:
    """The same files before a registry behind an index: each token is looked at, whatever was answered before."""
    port = free_port()
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"])
    service = start_registry(tmp_path / "registry", index.url, port, delivery="nginx", trusted_proxies="1")
    with running(index, service), quay_before(tmp_path, service, index) as quay:
        for account in (ALICE, MALLORY):
            sign_up(index.target, account)
        chain, hidden, shown = chain_for(NEWEST), quay.setup.fresh_name("hidden"), quay.setup.fresh_name("shown")
        for name, images in ((hidden, chain), (shown, chain_for(NEWEST))):
            daemon = Daemon(NEWEST, index.target, ALICE.name, ALICE.password)
            daemon.push(name, images)
        index_command(index.environ, "set-access", hidden, "private")
        owner, stranger = token_for(index, hidden, ALICE), token_for(index, shown, MALLORY)
        for part in ("json", "ancestry", "layer"):
            path = f"/v1/images/{chain[0].id}/{part}"
            for _ in range(2):
                assert call(quay.front, f"GET {path}", owner).status == 200
                assert call(quay.front, f"GET {path}").status == 401
                assert call(quay.front, f"GET {path}", stranger).status == 404


def test_clients_of_v2_are_served_from_the_same_answers(quay: Quay) -> None:
    chain = chain_for(NEWEST)
    name = quay.setup.fresh_name("today")
    daemon_of(NEWEST, quay.setup).push(name, chain)
    manifest = call(quay.front, f"GET /v2/{name}/manifests/latest")
    digests = [each["digest"] for each in manifest.json()["layers"]]
    quay.way.asked.clear()
    for _ in range(PULLS):
        by_digest = call(quay.front, f"GET /v2/{name}/manifests/{manifest.header('Docker-Content-Digest')}")
        assert (by_digest.status, by_digest.body) == (200, manifest.body)
        for digest, image in zip(digests, chain, strict=True):
            layer = call(quay.front, f"GET /v2/{name}/blobs/{digest}")
            assert (layer.status, layer.body) == (200, image.layer)
            assert layer.headers_named("Docker-Content-Digest") == [digest]
            assert (layer.header("Content-Encoding"), layer.header("X-Accel-Expires")) == (None, None)
    assert quay.asked(f"/v2/{name}/") < PULLS
    path, length = f"/v2/{name}/blobs/{digests[0]}", len(chain[0].layer)
    part = call(quay.front, f"GET {path}", {"Range": "bytes=10-"})
    assert (part.status, part.body, part.headers_named("Docker-Content-Digest")) == (
        206,
        chain[0].layer[10:],
        [digests[0]],
    )
    assert call(quay.front, f"GET {path}", {"Range": f"bytes={length}-"}).status == 416
    head = call(quay.front, f"HEAD {path}")
    assert (head.status, head.header("Content-Length")) == (200, str(length))
    # What is kept for one is not for daemons that go on by v1.
    old = {"User-Agent": "docker/1.12.6 go/go1.6.4"}
    assert call(quay.front, f"GET {path}", old).status == 404
    assert call(quay.front, f"GET /v2/{name}/manifests/{manifest.header('Docker-Content-Digest')}", old).status == 404
