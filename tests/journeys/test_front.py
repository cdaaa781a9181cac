"""The files of deploy/nginx before two indexes and two registries: daemons see one host, and nobody misses the dead."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.docker_v1 import DaemonError
from tests.clients.generations import GENERATIONS, NEWEST, Generation
from tests.clients.wire import Connection, Target, call
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.front import start_front
from tests.servers.process import Process, eventually, free_port, stop_together
from tests.servers.services import Service, sign_up, start_another, start_index, start_registry
from tests.servers.setups import ALICE, SetUp
from tests.servers.tls import make_certificate


@dataclass(frozen=True)
class Harbour:
    """Two indexes and two registries behind one nginx."""

    setup: SetUp
    front: Process
    indexes: list[Service]
    registries: list[Service]

    def stop(self) -> None:
        stop_together(self.front, *(service.process for service in (*self.indexes, *self.registries)))


def start_harbour(folder: Path, delivery: str = "nginx") -> Harbour:
    port = free_port()
    index = start_index(folder / "index", [f"127.0.0.1:{port}"], trusted_proxies="1")
    indexes = [index, start_another(index, folder / "another-index")]
    urls = ",".join(service.url for service in indexes)
    registry = start_registry(folder / "registry", urls, trusted_proxies="1", delivery=delivery)
    registries = [registry, start_another(registry, folder / "another-registry")]
    front = start_front(
        folder / "nginx",
        port,
        indexes=[service.port for service in indexes],
        registries=[service.port for service in registries],
        store=registry.store,
    )
    target = Target("http", "127.0.0.1", port)
    sign_up(target, ALICE)
    return Harbour(SetUp("front", target, target, registry, index), front, indexes, registries)


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    started = start_harbour(tmp_path_factory.mktemp("front"))
    yield started
    started.stop()


@pytest.mark.parametrize("generation", GENERATIONS, ids=str)
def test_every_daemon_finds_everything_behind_one_name(harbour: Harbour, generation: Generation) -> None:
    daemon, name, chain = daemon_of(generation, harbour.setup), harbour.setup.fresh_name("one"), chain_for(generation)
    daemon.login()
    daemon.push(name, chain, "one")
    same_bytes(daemon.pull(name, "one"), chain)
    assert [result["name"] for result in daemon.search(name.partition("/")[2])] == [name]


def test_clients_of_v2_find_both_services_behind_one_name(harbour: Harbour) -> None:
    (name, chain), front = (harbour.setup.fresh_name("today"), chain_for(NEWEST)), harbour.setup.index
    daemon_of(NEWEST, harbour.setup).push(name, chain)
    base = call(front, "GET /v2/")
    assert (base.status, f'realm="{front.url}/v2/token"' in (base.header("WWW-Authenticate") or "")) == (401, True)
    refused = call(front, f"GET /v2/{name}/manifests/latest")
    assert f'realm="{front.url}/v2/token"' in (refused.header("WWW-Authenticate") or "")
    token = call(front, f"GET /v2/token?scope=repository:{name}:pull").json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert call(front, "GET /v2/", bearer).status == 200
    assert name in call(front, "GET /v2/_catalog?n=1000", bearer).json()["repositories"]
    assert call(front, f"GET /v2/{name}/tags/list", bearer).json() == {"name": name, "tags": ["latest"]}
    manifest = call(front, f"GET /v2/{name}/manifests/latest", bearer)
    assert len(manifest.headers_named("Docker-Content-Digest")) == 1
    for described, image in zip(manifest.json()["layers"], chain, strict=True):
        layer = call(front, f"GET /v2/{name}/blobs/{described['digest']}", bearer)
        assert (layer.status, layer.body) == (200, image.layer)
        assert layer.headers_named("Docker-Content-Digest") == [described["digest"]]
        # nginx sent it itself: it sends no other date and tag than those of the file.
        assert layer.header("Last-Modified") != "Thu, 01 Jan 1970 00:00:00 GMT"
    for line in ("PUT /v2/a/b/manifests/x", "POST /v2/a/b/blobs/uploads/"):
        assert call(front, line, bearer, b"{}").status == 405


def token_for(harbour: Harbour, name: str) -> dict[str, str]:
    answer = call(harbour.setup.index, f"GET /v1/repositories/{name}/images", {"X-Docker-Token": "true"})
    return {"Authorization": f"Token {answer.header('X-Docker-Token')}"}


def test_nginx_sends_the_files_itself_and_only_to_those_who_may(harbour: Harbour) -> None:
    name, chain = harbour.setup.fresh_name("files"), chain_for(NEWEST)
    daemon_of(NEWEST, harbour.setup).push(name, chain)
    token, image = token_for(harbour, name), chain[0]
    path = f"/v1/images/{image.id}/layer"
    whole = call(harbour.setup.registry, f"GET {path}", token)
    assert (whole.status, whole.body, whole.header("Accept-Ranges")) == (200, image.layer, "bytes")
    assert "nginx" in (whole.header("Server") or "")
    assert whole.header("Content-Encoding") is None
    length = len(image.layer)
    part = call(harbour.setup.registry, f"GET {path}", {**token, "Range": f"bytes=10-{length}"})
    assert (part.status, part.body, part.header("Content-Range")) == (
        206,
        image.layer[10:],
        f"bytes 10-{length - 1}/{length}",
    )
    end = call(harbour.setup.registry, f"GET {path}", {**token, "Range": f"bytes={length}-{length}"})
    assert (end.status, end.body, end.header("Content-Length")) == (416, b"", "0")
    assert call(harbour.setup.registry, f"HEAD {path}", token).header("Content-Length") == str(length)
    assert call(harbour.setup.registry, f"GET {path}").status == 401
    for hidden in (f"/_files/images/{image.id}/layer", "/_store/http/127.0.0.1:1/x", "/_error"):
        refused = call(harbour.setup.registry, f"GET {hidden}", token)
        assert refused.status == 404
        assert refused.error()


MIB = 1024**2


def test_nothing_but_a_layer_may_be_endless(harbour: Harbour) -> None:
    """Lists of thousands of images pass; what no service would take, nginx does not take either."""
    path = f"/v1/repositories/{harbour.setup.fresh_name('long')}"
    basic = {"Authorization": daemon_of(NEWEST, harbour.setup).basic, "X-Docker-Token": "true"}
    many = json.dumps([{"id": f"{number:064x}", "checksum": f"tarsum+{number:064x}"} for number in range(10_000)])
    assert call(harbour.setup.index, f"PUT {path}/", basic, many.encode()).status == 200
    endless = call(harbour.setup.index, f"PUT {path}/images", {**basic, "Content-Length": str(8 * MIB + 1)})
    assert (endless.status, endless.header("Content-Type")) == (413, "application/json")
    assert endless.error()
    layer = call(harbour.setup.registry, f"PUT /v1/images/{'a' * 64}/layer", body=bytes(8 * MIB + 1))
    assert layer.status == 401


def described(harbour: Harbour) -> tuple[str, dict[str, str], bytes]:
    """An image whose layer may be sent: its path, a token for it, its JSON."""
    name, image = harbour.setup.fresh_name("slow"), chain_for(NEWEST, 1)[0]
    basic = {"Authorization": daemon_of(NEWEST, harbour.setup).basic, "X-Docker-Token": "true"}
    begun = call(harbour.setup.index, f"PUT /v1/repositories/{name}/", basic, json.dumps([{"id": image.id}]).encode())
    token = {"Authorization": f"Token {begun.header('X-Docker-Token')}"}
    path = f"/v1/images/{image.id}"
    assert call(harbour.setup.registry, f"PUT {path}/json", token, image.json).status == 200
    return path, token, image.json


def seal(harbour: Harbour, path: str, token: dict[str, str], description: bytes, layer: bytes) -> None:
    payload = hashlib.sha256(description + b"\n" + layer).hexdigest()
    checksum = {**token, "X-Docker-Checksum-Payload": f"sha256:{payload}"}
    assert call(harbour.setup.registry, f"PUT {path}/checksum", checksum).status == 200


def test_a_layer_goes_through_while_it_is_sent_and_whoever_pauses_is_waited_for(harbour: Harbour) -> None:
    """The registry has the first half before the second is sent; nginx's own limits, a minute, end nothing."""
    layer, host = bytes(32 * MIB), ("Host", harbour.setup.registry.netloc)
    there, reading, description = described(harbour)
    assert call(harbour.setup.registry, f"PUT {there}/layer", reading, layer).status == 200
    seal(harbour, there, reading, description, layer)
    path, token, description = described(harbour)
    before = kept_bytes(harbour)
    with Connection(harbour.setup.registry) as up, Connection(harbour.setup.registry) as down:
        down.send_head(f"GET {there}/layer HTTP/1.1", [host, *reading.items()])
        assert down.read_head().status == 200
        up.send_head(f"PUT {path}/layer HTTP/1.1", [host, *token.items(), ("Transfer-Encoding", "chunked")])
        for _ in range(16):
            up.send_chunk(bytes(MIB))
        eventually(lambda: kept_bytes(harbour) >= before + 15 * MIB, lambda: "the registry got nothing of it yet")
        time.sleep(62)
        for _ in range(16):
            up.send_chunk(bytes(MIB))
        up.send(b"0\r\n\r\n")
        assert up.read_answer().status == 200
        assert down.read(len(layer)) == layer
    seal(harbour, path, token, description, layer)


def kept_bytes(harbour: Harbour) -> int:
    """What the registries have written, staged or not."""
    store = harbour.setup.registry_service.store
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


def test_a_repository_is_read_and_deleted_through_one_name(harbour: Harbour) -> None:
    name, chain = harbour.setup.fresh_name("gone"), chain_for(NEWEST)
    daemon = daemon_of(NEWEST, harbour.setup)
    daemon.push(name, chain)
    basic = {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    for asking in ({}, {"Authorization": daemon.basic}, token_for(harbour, name)):
        tags = call(harbour.setup.index, f"GET /v1/repositories/{name}/tags", asking)
        assert (tags.status, tags.json()) == (200, {"latest": chain[-1].id})
    begun = call(harbour.setup.index, f"DELETE /v1/repositories/{name}/", basic)
    assert begun.status == 202
    token = {"Authorization": f"Token {begun.header('X-Docker-Token')}"}
    assert call(harbour.setup.registry, f"DELETE /v1/repositories/{name}/", token).status == 200
    assert call(harbour.setup.index, f"DELETE /v1/repositories/{name}/", basic).status == 200
    assert call(harbour.setup.index, f"GET /v1/repositories/{name}/images", basic).status == 404


@pytest.mark.parametrize("delivery", ["nginx", "direct"])
def test_a_registry_that_is_killed_is_missed_by_nobody(tmp_path: Path, delivery: str) -> None:
    """Pulls and pushes are under way when one of the two dies at once, workers and all."""
    harbour = start_harbour(tmp_path, delivery)
    try:
        name, chain = harbour.setup.fresh_name("alive"), chain_for(NEWEST, 8)
        daemon_of(NEWEST, harbour.setup).push(name, chain)
        begun = threading.Barrier(9)

        def work(number: int) -> None:
            begun.wait()
            for turn in range(4):
                same_bytes(daemon_of(NEWEST, harbour.setup).pull(name), chain)
                if number % 4 == 0:
                    push_until_it_ends_well(harbour, f"{ALICE.name}/pushed-{number}-{turn}")

        with ThreadPoolExecutor(8) as clients:
            working = [clients.submit(work, number) for number in range(8)]
            begun.wait()
            os.killpg(harbour.registries[0].process.pid, signal.SIGKILL)
        for one in working:
            one.result()
    finally:
        harbour.stop()


def push_until_it_ends_well(harbour: Harbour, name: str) -> None:
    """Daemons try a GET again by themselves; after a broken PUT the person does, and finds nothing in the way."""
    chain = chain_for(NEWEST)
    try:
        daemon_of(NEWEST, harbour.setup).push(name, chain)
    except DaemonError:
        daemon_of(NEWEST, harbour.setup).push(name, chain)
    same_bytes(daemon_of(NEWEST, harbour.setup).pull(name), chain)


@pytest.mark.parametrize("alone", [False, True])
def test_with_nobody_behind_it_nginx_still_answers_what_daemons_can_read(tmp_path: Path, alone: bool) -> None:
    port, image = free_port(), "a" * 64
    with start_front(tmp_path / "nginx", port, indexes=None if alone else [free_port()], registries=[free_port()]):
        target = Target("http", "127.0.0.1", port)
        for path in ("_ping", f"images/{image}/json", f"images/{image}/layer", "users/"):
            request = f"GET /v1/{path}"
            answer = call(target, request)
            assert (answer.status, answer.header("Content-Type")) == (503, "application/json")
            assert answer.error()


def handshake(port: int, *options: str) -> bool:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options]
    return subprocess.run(command, input=b"", capture_output=True, timeout=30).returncode == 0


@pytest.mark.parametrize(("profile", "takes_old"), [("old", True), ("modern", False)])
def test_tls_profiles(tmp_path: Path, profile: str, takes_old: bool) -> None:
    certificate = make_certificate(tmp_path / "tls", "rsa")
    port = free_port()
    nobody = [free_port()]
    with start_front(tmp_path / "nginx", port, indexes=nobody, registries=nobody, tls=certificate, profile=profile):
        assert handshake(port, "-tls1_3")
        assert handshake(port, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
        assert handshake(port, "-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0") is takes_old


def test_one_address_cannot_ask_the_index_without_end(harbour: Harbour, tmp_path: Path) -> None:
    """Nor can it be kept from the registries."""
    port = free_port()
    ports = [[service.port for service in services] for services in (harbour.indexes, harbour.registries)]
    with start_front(tmp_path / "nginx", port, indexes=ports[0], registries=ports[1], rate="1r/m") as front:
        target = Target("http", "127.0.0.1", port)
        said = [call(target, "GET /v1/_ping") for _ in range(6)]
        assert [answer.status for answer in said] == [200] * 4 + [429] * 2
        assert said[-1].error() == "Too many requests from your address; try again in a second"
        assert said[-1].header("Content-Type") == "application/json"
        for _ in range(8):
            assert call(target, f"GET /v1/images/{'a' * 64}/json").status == 401
            assert call(target, "GET /v1/_status").status == 200
        assert "limiting requests" in front.tail()


def test_nothing_behind_nginx_is_sniffed(harbour: Harbour) -> None:
    """Be it said by a service, or by nginx itself: an error, or a layer that it sends."""
    name, chain = harbour.setup.fresh_name("sniffed"), chain_for(NEWEST, 1)
    daemon = daemon_of(NEWEST, harbour.setup)
    daemon.push(name, chain, "latest")
    target = harbour.setup.registry
    asked = {"X-Docker-Token": "true", "Authorization": daemon.basic}
    token = call(target, f"GET /v1/repositories/{name}/images", asked).header("X-Docker-Token")
    reads = {"Authorization": f"Token {token}"}
    lines = ("GET /v1/_ping", "GET /", "GET /_files/x", "GET /nowhere", f"GET /v1/images/{chain[0].id}/json")
    for answer in (
        *(call(target, line, reads) for line in lines),
        call(target, f"GET /v1/images/{chain[0].id}/layer", reads),
    ):
        assert answer.headers_named("X-Content-Type-Options") == ["nosniff"], answer


def test_the_site_is_below_a_path_of_another_sites_host(tmp_path: Path) -> None:
    """As docs/operations.md says it; daemons find the protocols at the root of the host."""
    port = free_port()
    site, target = f"http://127.0.0.1:{port}/images", Target("http", "127.0.0.1", port)
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"], trusted_proxies="1", site_url=site)
    registry = start_registry(tmp_path / "registry", index.url, trusted_proxies="1")
    others = "location ~ ^/(?!images(/|$)|v1/|v2/|_ping|_status) { return 200 'another site'; }\n"
    ports = {"indexes": [index.port], "registries": [registry.port]}
    front = start_front(tmp_path / "nginx", port, **ports, locations=others)
    with ExitStack() as stack:
        stack.callback(stop_together, front, index.process, registry.process)
        sign_up(target, ALICE)
        daemon, chain = daemon_of(NEWEST, SetUp("below", target, target, registry, index)), chain_for(NEWEST, 1)
        daemon.push(f"{ALICE.name}/app", chain, "latest")
        same_bytes(daemon.pull(f"{ALICE.name}/app", "latest"), chain)
        assert call(target, "GET /").body == call(target, "GET /imagesque").body == b"another site"
        page = call(target, f"GET /images/r/{ALICE.name}/app")
        assert page.status == 200
        assert b'href="/images/graph"' in page.body
        assert b'href="/graph"' not in page.body
        assert call(target, "GET /images").status == 200
