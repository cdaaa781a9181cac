"""Transfers that go wrong half way, and several at once: nothing broken is ever seen, and trying again works."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clients.docker_v1 import Daemon, DaemonError
from tests.clients.generations import GENERATIONS, NEWEST, V0_4, V0_5, V0_8, V0_9, V1_0, V1_6, Generation
from tests.clients.images import Image, make_chain, make_image
from tests.clients.wire import Answer, Connection, Target, call
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.process import eventually
from tests.servers.proxies import CuttingProxy
from tests.servers.services import Service, start_registry
from tests.servers.setups import ALL, SetUp

BIG = 24 * 1024 * 1024
"""More than the sockets between two processes buffer."""


@pytest.fixture
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A standalone registry that a test may kill."""
    registry = start_registry(tmp_path_factory.mktemp("own"), None)
    yield registry
    registry.process.stop()


def begin(registry: Target, image: Image) -> Answer:
    return call(registry, f"PUT /v1/images/{image.id}/json", body=image.json)


def send_layer(registry: Target, image: Image) -> Answer:
    return call(registry, f"PUT /v1/images/{image.id}/layer", chunks=image.chunks)


def seal(registry: Target, image: Image) -> Answer:
    headers = {"X-Docker-Checksum": image.tarsum, "X-Docker-Checksum-Payload": image.payload}
    return call(registry, f"PUT /v1/images/{image.id}/checksum", headers, body=b"")


def read_json(registry: Target, image: Image) -> Answer:
    return call(registry, f"GET /v1/images/{image.id}/json")


def send_half(registry: Target, image: Image, headers: dict[str, str]) -> Connection:
    """Begin to send a layer and stop in the middle of it; the connection stays open."""
    connection = Connection(registry)
    sent = [("Host", registry.netloc), ("Transfer-Encoding", "chunked"), *headers.items()]
    connection.send_head(f"PUT /v1/images/{image.id}/layer HTTP/1.1", sent)
    for chunk in image.chunks[: len(image.chunks) // 2]:
        connection.send_chunk(chunk)
    return connection


# several at once


@pytest.mark.parametrize("setup", ["split-http", "one-host-tls", "standalone-http", "standalone-tls"], indirect=True)
@pytest.mark.parametrize("same_name", [True, False], ids=["one repository", "two repositories"])
def test_daemons_that_push_the_same_image_at_once_all_succeed(setup: SetUp, same_name: bool) -> None:
    chain, together = make_chain(4), threading.Barrier(6)
    names = [setup.fresh_name("race")] * 6 if same_name else [setup.fresh_name("race") for _ in range(6)]

    def push(name: str, generation: Generation) -> None:
        daemon = daemon_of(generation, setup)
        together.wait()
        daemon.push(name, chain)

    with ThreadPoolExecutor(6) as pool:
        pushes = [pool.submit(push, name, V1_6 if number % 2 else V0_8) for number, name in enumerate(names)]
    for done in pushes:
        done.result()
    for name in set(names):
        same_bytes(daemon_of(NEWEST, setup).pull(name), chain)


def test_two_pushes_of_one_image_step_by_step_side_by_side(standalone: SetUp) -> None:
    """Each daemon has a stage of its own; whoever is second finds the work done."""
    image, first, second = make_image(), {"Authorization": "Basic YTph"}, {"Authorization": "Basic Yjpi"}
    target, path = standalone.registry, f"/v1/images/{image.id}"
    checksum = {"X-Docker-Checksum-Payload": image.payload}
    for who in (first, second):
        assert call(target, f"PUT {path}/json", who, body=image.json).status == 200
    for who in (first, second):
        assert call(target, f"PUT {path}/layer", who, chunks=image.chunks).status == 200
    for who in (first, second):
        assert call(target, f"PUT {path}/checksum", who | checksum, body=b"").status == 200
    assert call(target, f"GET {path}/layer").body == image.layer


def test_an_id_keeps_the_bytes_it_had_first(standalone: SetUp) -> None:
    """Daemons remember which layer an id means (protocol §1.5)."""
    first, target = make_image(), standalone.registry
    other = make_image(image_id=first.id)
    for step in (begin, send_layer, seal):
        assert step(target, first).status == 200
    refused = begin(target, other)
    assert (refused.status, refused.error()) == (409, "Image already exists")
    assert send_layer(target, other).status >= 400
    assert seal(target, other).status >= 400
    assert call(target, f"GET /v1/images/{first.id}/layer").body == first.layer


# pushes that break off


@pytest.mark.parametrize("setup", ALL, indirect=True)
@pytest.mark.parametrize("generation", [V0_4, V0_5, V0_8, V0_9, V1_0, NEWEST], ids=str)
def test_a_daemon_that_vanishes_in_the_middle_of_a_layer_can_push_again(setup: SetUp, generation: Generation) -> None:
    name, chain = setup.fresh_name("broken"), chain_for(generation)
    daemon, store = daemon_of(generation, setup), setup.registry_service.store
    token = _write_token(setup, name, [image.id for image in chain])
    top = chain[-1]
    for image in chain[:-1]:
        _push_by_hand(setup.registry, image, token)
    assert call(setup.registry, f"PUT /v1/images/{top.id}/json", token, body=top.json).status == 200
    connection = send_half(setup.registry, top, token)
    connection.vanish()
    assert call(setup.registry, f"GET /v1/images/{top.id}/json", token).status == 404
    assert not (store / "images" / top.id).exists()
    assert daemon.push(name, chain) == [top.id]
    same_bytes(daemon.pull(name), chain)


def test_a_layer_whose_body_ends_early_is_refused_and_forgotten(standalone: SetUp) -> None:
    """A lying Content-Length, and a chunked body without its end."""
    image, target = make_image(), standalone.registry
    begin(target, image)
    path = f"PUT /v1/images/{image.id}/layer HTTP/1.1"
    for framing in (("Content-Length", str(len(image.layer) + 10)), ("Transfer-Encoding", "chunked")):
        with Connection(target) as connection:
            connection.send_head(path, [("Host", target.netloc), framing])
            if framing[1] == "chunked":
                connection.send_chunk(image.layer)
            else:
                connection.send(image.layer)
            connection.half_close()
            refused = connection.read_answer()
        assert refused.status == 400
        assert refused.error()
        assert seal(target, image).status == 400
    assert read_json(target, image).status == 404
    for step in (begin, send_layer, seal):
        assert step(target, image).status == 200
    assert call(target, f"GET /v1/images/{image.id}/layer").body == image.layer


def test_a_push_survives_the_death_of_the_worker_that_served_it(own_registry: Service) -> None:
    """kill -9 in the middle of a layer: gunicorn starts another worker, the daemon pushes again."""
    chain = (make_image(size=3 * 1024 * 1024),)
    daemon = Daemon(NEWEST, own_registry.target)
    assert begin(own_registry.target, chain[0]).status == 200
    with send_half(own_registry.target, chain[0], {}):
        (worker,) = own_registry.process.children()
        eventually(lambda: _holds(own_registry, 1_000_000), lambda: "the layer never reached the store")
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: own_registry.process.children() not in ([], [worker]), own_registry.process.tail)
    assert read_json(own_registry.target, chain[0]).status == 404
    daemon.push("alice/survivor", chain)
    same_bytes(daemon.pull("alice/survivor"), chain)


# pulls that break off


@pytest.mark.parametrize("generation", [one for one in GENERATIONS if one.resumes], ids=str)
def test_a_pull_that_is_cut_goes_on_where_it_was(standalone: SetUp, generation: Generation) -> None:
    with CuttingProxy(standalone.registry) as proxy:
        name, chain = standalone.fresh_name("resumed"), (make_image(size=200_000),)
        daemon = Daemon(generation, proxy.target)
        daemon.push(name, chain)
        proxy.arm(cut_after=100_000)
        same_bytes(daemon.pull(name), chain)
        assert proxy.cuts == 1
        assert [step.got[:3] for step in daemon.steps if step.name == "resume"] == ["206"]


@pytest.mark.parametrize("generation", [V0_5, V0_8, V0_9], ids=str)
def test_daemons_before_0_12_notice_that_a_layer_was_cut(standalone: SetUp, generation: Generation) -> None:
    with CuttingProxy(standalone.registry) as proxy:
        name, chain = standalone.fresh_name("noticed"), (make_image(size=200_000),)
        Daemon(generation, standalone.index).push(name, chain)
        proxy.arm(cut_after=100_000)
        with pytest.raises(DaemonError, match="wants a whole layer"):
            Daemon(generation, proxy.target).pull(name)


def test_the_end_of_a_file_is_416_without_a_body(standalone: SetUp) -> None:
    """What daemons ask when they have all of a layer but the connection broke (protocol §1.6)."""
    image, target = make_image(), standalone.registry
    for step in (begin, send_layer, seal):
        step(target, image)
    size = len(image.layer)
    answer = call(target, f"GET /v1/images/{image.id}/layer", {"Range": f"bytes={size}-{size}"})
    assert (answer.status, answer.header("Content-Length"), answer.body) == (416, "0", b"")
    assert answer.header("Content-Range") == f"bytes */{size}"


def test_sigterm_lets_a_slow_download_finish(own_registry: Service) -> None:
    image, target = make_image(size=BIG), own_registry.target
    for step in (begin, send_layer, seal):
        assert step(target, image).status == 200
    with Connection(target) as connection:
        line = f"GET /v1/images/{image.id}/layer HTTP/1.1"
        connection.send_head(line, [("Host", target.netloc), ("Connection", "close")])
        head = connection.read_head()
        received = connection.read(65536)
        own_registry.process.terminate()
        eventually(lambda: not _accepts(target), lambda: "it still accepts connections")
        received += connection.read(BIG * 2)
    assert head.header("Content-Length") == str(len(received))
    assert received == image.layer
    assert own_registry.process.wait() == 0


def _write_token(setup: SetUp, name: str, ids: list[str]) -> dict[str, str]:
    """What a daemon presents at the registry after the first PUT of a push."""
    daemon = daemon_of(NEWEST, setup)
    entries = ",".join(f'{{"id":"{image_id}"}}' for image_id in ids)
    basic = {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    answer = call(setup.index, f"PUT /v1/repositories/{name}/", basic, body=f"[{entries}]".encode())
    assert answer.status in (200, 201), answer
    return {"Authorization": f"Token {answer.header('X-Docker-Token')}"}


def _push_by_hand(registry: Target, image: Image, token: dict[str, str]) -> None:
    path, checksum = f"/v1/images/{image.id}", {"X-Docker-Checksum-Payload": image.payload}
    assert call(registry, f"PUT {path}/json", token, body=image.json).status == 200
    assert call(registry, f"PUT {path}/layer", token, chunks=image.chunks).status == 200
    assert call(registry, f"PUT {path}/checksum", token | checksum, body=b"").status == 200


def _holds(registry: Service, size: int) -> bool:
    """Whether the store has grown to so many bytes, visible or not."""
    return sum(path.stat().st_size for path in registry.store.rglob("*") if path.is_file()) >= size


def _accepts(target: Target) -> bool:
    try:
        Connection(target, patience=5).close()
    except OSError:
        return False
    return True
