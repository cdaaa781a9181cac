"""A mirror and its sources as live processes: filled once, served to many, and right when the source is not."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.clients.docker_v1 import Daemon, DaemonError, Refusal, Refused
from tests.clients.generations import GENERATIONS, NEWEST, V0_5, V1_0, V1_6, V1_10, Generation
from tests.clients.images import Chain, Image, make_chain, make_image
from tests.clients.wire import Answer, Connection, Target, call
from tests.journeys.test_generations import chain_for, same_bytes
from tests.servers.process import eventually, free_port
from tests.servers.services import Account, Service, index_command, running, sign_up, start_index, start_registry

ALICE = Account("alice")
LAYER = re.compile(rb"GET /v1/images/([0-9a-f]{64})/layer ")
BIG = 8 * 1024 * 1024
"""More than the sockets between two processes buffer."""


class Wire:
    """A line between a mirror and its source: remembers what is asked, and can hold, cut or refuse."""

    def __init__(self, behind: Target) -> None:
        self.behind = behind
        self.said = b""
        self.hold_after: int | None = None
        self.is_cut = False
        self.flow = threading.Event()
        self.flow.set()
        self.is_holding = threading.Event()
        self._breaks = self._holds = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def target(self) -> Target:
        return Target("http", "127.0.0.1", self._listener.getsockname()[1])

    def layers(self) -> list[str]:
        """The images whose layers were asked for, once for each time."""
        return [found.decode() for found in LAYER.findall(self.said)]

    def hold(self, after: int) -> None:
        """Pass that many bytes back on each connection from now on, then none until `release`."""
        self._holds += 1
        self.is_holding.clear()
        self.flow.clear()
        self.hold_after = after

    def cut(self) -> None:
        """Break every connection off, and let none be made, until `release`."""
        self.is_cut = True
        self.flow.set()

    def break_off(self) -> None:
        """Break every connection off; new ones are made and pass everything."""
        self._breaks += 1
        self.release()

    def release(self) -> None:
        self.hold_after, self.is_cut = None, False
        self.flow.set()

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.is_cut:
                return
            with socket.create_connection((self.behind.host, self.behind.port)) as server:
                threading.Thread(target=self._pump_up, args=(client, server), daemon=True).start()
                self._pump_back(server, client, self._breaks)
                client.shutdown(socket.SHUT_RDWR)

    def _pump_up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self.said += data
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _pump_back(self, server: socket.socket, client: socket.socket, breaks: int) -> None:
        passed = holds = 0
        while data := server.recv(65536):
            if holds != self._holds:
                passed, holds = 0, self._holds
            if self.hold_after is not None and passed + len(data) > self.hold_after:
                self.is_holding.set()
                self.flow.wait()
            if self.is_cut or breaks != self._breaks:
                return
            client.sendall(data)
            passed += len(data)


@dataclass
class Origin:
    """A source: index and registry, with a wire in front of each; images are pushed past the wires."""

    index: Service
    registry: Service
    temporary: Path
    index_wire: Wire
    wire: Wire
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def push(self, name: str, chain: Chain, tag: str = "latest", generation: Generation = V1_6) -> Chain:
        Daemon(generation, self.index.target, ALICE.name, ALICE.password).push(name, chain, tag)
        return chain

    def name(self, namespace: str = "alice") -> str:
        return f"{namespace}/app-{next(self.numbers)}"

    def settings(self, **changed: str) -> dict[str, str]:
        url = self.index_wire.target.url.replace("://", f"://{ALICE.name}:{ALICE.password}@")
        return {"mirror_sources": f"*={url}", "workers": "2", "mirror_timeout": "30", **changed}

    def down(self) -> None:
        self.index_wire.cut()
        self.wire.cut()

    def up(self) -> None:
        self.index_wire.release()
        self.wire.release()


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    folder, temporary, port = tmp_path_factory.mktemp("origin"), tmp_path_factory.mktemp("temporary"), free_port()
    wire = Wire(Target("http", "127.0.0.1", port))
    index = start_index(folder / "index", [wire.target.netloc])
    registry = start_registry(folder / "registry", index.url, port)
    index_wire = Wire(index.target)
    sign_up(index.target, ALICE)
    with running(index, registry), pytest.MonkeyPatch.context() as environ:
        environ.setenv("TMPDIR", str(temporary))
        yield Origin(index, registry, temporary, index_wire, wire, folder)
        wire.close()
        index_wire.close()


@pytest.fixture(autouse=True)
def _up(origin: Origin) -> Iterator[None]:
    origin.up()
    yield
    origin.up()


@pytest.fixture(scope="module")
def mirror(origin: Origin) -> Iterator[Service]:
    """A mirror alone, with two workers, that looks for new tags each time."""
    service = start_registry(origin.folder / "mirror", None, **origin.settings(mirror_tag_seconds="0"))
    with running(service):
        yield service


@contextlib.contextmanager
def started(folder: Path, index_url: str | None = None, port: int | None = None, **settings: str) -> Iterator[Service]:
    service = start_registry(folder, index_url, port, **settings)
    with running(service):
        yield service


def pull(mirror: Service, name: str, tag: str = "latest", generation: Generation = V1_6) -> list:
    return Daemon(generation, mirror.target).pull(name, tag)


def token_for(name: str) -> dict[str, str]:
    return {"Authorization": f'Token signature=any,repository="{name}",access=read'}


def ask_layer(mirror: Service, name: str, image: Image, **headers: str) -> Answer:
    return call(mirror.target, f"GET /v1/images/{image.id}/layer", token_for(name) | headers)


def is_held(mirror: Service, image: Image) -> bool:
    folder = mirror.store / "images" / image.id
    return (folder / "json").exists() and not (folder / "_inprogress").exists()


def wait_until_held(mirror: Service, *images: Image) -> None:
    eventually(lambda: all(is_held(mirror, image) for image in images), mirror.process.tail)


def _left(origin: Origin) -> list[Path]:
    """What is on its way through the mirrors of these tests."""
    return list(origin.temporary.iterdir())


# filling


@pytest.mark.parametrize("generation", GENERATIONS, ids=str)
def test_every_generation_pulls_what_the_mirror_has_to_fetch_first(
    origin: Origin, mirror: Service, generation: Generation
) -> None:
    name, chain = origin.name(), chain_for(generation)
    origin.push(name, chain, generation=generation)
    same_bytes(pull(mirror, name, generation=generation), chain)
    wait_until_held(mirror, *chain)
    origin.down()
    same_bytes(pull(mirror, name, generation=generation), chain)
    for image in chain:
        kept = mirror.store / "images" / image.id
        assert (kept / "layer").read_bytes() == image.layer
        assert image.payload in (kept / "_checksum").read_text()


def test_a_filled_mirror_starts_and_serves_without_its_source(origin: Origin) -> None:
    name, chain, folder = origin.name(), make_chain(3), origin.folder / "restarted"
    origin.push(name, chain)
    with started(folder, **origin.settings()) as mirror:
        same_bytes(pull(mirror, name), chain)
        wait_until_held(mirror, *chain)
    origin.down()
    with started(folder, **origin.settings(mirror_tag_seconds="0")) as mirror:
        same_bytes(pull(mirror, name), chain)
        assert call(mirror.target, f"GET /v1/repositories/{name}/images").status == 200
    with started(folder) as registry:
        same_bytes(pull(registry, name), chain)


def test_a_layer_is_read_once_however_many_ask(origin: Origin, mirror: Service) -> None:
    name, together = origin.name(), threading.Barrier(30)
    chain = origin.push(name, tuple(_grown(3, 300_000)))

    def client(number: int) -> None:
        together.wait()
        same_bytes(pull(mirror, name, generation=V1_10 if number % 2 else V1_6), chain)

    with ThreadPoolExecutor(30) as pool:
        for done in [pool.submit(client, number) for number in range(30)]:
            done.result()
    asked = origin.wire.layers()
    assert [asked.count(image.id) for image in chain] == [1, 1, 1]


def test_hosts_that_share_a_store_read_a_layer_once_between_them(
    origin: Origin, mirror: Service, tmp_path: Path
) -> None:
    """Each has a folder for temporary files to itself: neither can read along with the other."""
    name, together = origin.name(), threading.Barrier(20)
    chain = origin.push(name, tuple(_grown(3, 300_000)))
    (tmp_path / "temporary").mkdir()
    settings = origin.settings(mirror_tag_seconds="0", storage_path=str(mirror.store))
    elsewhere = {"TMPDIR": str(tmp_path / "temporary")}
    host = start_registry(tmp_path / "host", None, driver_environ=elsewhere, **settings)

    def client(number: int) -> None:
        together.wait()
        same_bytes(pull((mirror, host)[number % 2], name), chain)

    with running(host), ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(client, number) for number in range(20)]:
            done.result()
    asked = origin.wire.layers()
    assert [asked.count(image.id) for image in chain] == [1, 1, 1]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_first_client_is_served_while_the_layer_comes_and_others_read_along(
    origin: Origin, mirror: Service
) -> None:
    """Clients of both processes get bytes before the source has sent the rest."""
    name, image = origin.name(), make_image(size=BIG)
    origin.push(name, (image,))
    assert call(mirror.target, f"GET /v1/images/{image.id}/json", token_for(name)).status == 200
    origin.wire.hold(after=BIG // 2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Connection(mirror.target)) for _ in range(8)]
        for client in clients:
            headers = [("Host", mirror.target.netloc), *token_for(name).items(), ("Connection", "close")]
            client.send_head(f"GET /v1/images/{image.id}/layer HTTP/1.1", headers)
        heads = [client.read_head() for client in clients]
        assert {head.header("Content-Length") for head in heads} == {str(len(image.layer))}
        beginnings = [client.read(100_000) for client in clients]
        assert set(beginnings) == {image.layer[:100_000]}
        assert not is_held(mirror, image)
        origin.wire.release()
        assert [client.read(BIG * 2) for client in clients] == [image.layer[100_000:]] * 8
    assert origin.wire.layers().count(image.id) == 1
    wait_until_held(mirror, image)
    eventually(lambda: not _left(origin), lambda: f"left behind: {_left(origin)}")


def test_a_top_layer_asked_for_alone_brings_its_base(origin: Origin, mirror: Service) -> None:
    name, chain = origin.name(), make_chain(4)
    origin.push(name, chain)
    assert ask_layer(mirror, name, chain[-1]).body == chain[-1].layer
    wait_until_held(mirror, *chain)
    assert [origin.wire.layers().count(image.id) for image in chain] == [1, 1, 1, 1]


def test_ranges_heads_files_and_diffs_of_what_is_not_held(origin: Origin, mirror: Service) -> None:
    name, chain = origin.name(), make_chain(3)
    origin.push(name, chain)
    base, middle, top = chain
    head = call(mirror.target, f"HEAD /v1/images/{base.id}/layer", token_for(name))
    assert (head.status, head.header("Content-Length")) == (200, str(len(base.layer)))
    part = ask_layer(mirror, name, base, Range=f"bytes=100-{len(base.layer)}")
    assert (part.status, part.body) == (206, base.layer[100:])
    middle_part = ask_layer(mirror, name, middle, Range="bytes=10-19")
    assert (middle_part.status, middle_part.body) == (206, middle.layer[10:20])
    past = ask_layer(mirror, name, top, Range=f"bytes={len(top.layer)}-{len(top.layer)}")
    assert (past.status, past.body) == (416, b"")
    files = call(mirror.target, f"GET /v1/images/{top.id}/files", token_for(name))
    assert (files.status, files.json()) == (200, [])
    wait_until_held(mirror, *chain)
    diff = call(mirror.target, f"GET /v1/images/{middle.id}/diff", token_for(name))
    assert set(diff.json()) == {"deleted", "changed", "created"}


def test_an_etag_outlives_the_moment_when_the_layer_is_stored(origin: Origin, mirror: Service) -> None:
    name, image = origin.name(), make_image()
    origin.push(name, (image,))
    first = ask_layer(mirror, name, image)
    wait_until_held(mirror, image)
    assert first.header("ETag") == f'"{image.payload}"'
    assert ask_layer(mirror, name, image, **{"If-None-Match": str(first.header("ETag"))}).status == 304


# sources that fail


def test_a_source_that_breaks_off_is_asked_for_the_rest(origin: Origin, mirror: Service) -> None:
    name, image = origin.name(), make_image(size=BIG)
    origin.push(name, (image,))
    call(mirror.target, f"GET /v1/images/{image.id}/json", token_for(name))
    origin.wire.hold(after=BIG // 2)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask_layer, mirror, name, image)
        assert origin.wire.is_holding.wait(60)
        origin.wire.break_off()
        assert answer.result().body == image.layer
    assert origin.wire.layers().count(image.id) == 2
    assert re.search(rb"Range: bytes=[1-9][0-9]*-%d\r" % (len(image.layer) - 1), origin.wire.said)
    wait_until_held(mirror, image)


def test_a_source_killed_in_the_middle_cuts_the_clients_and_leaves_nothing(origin: Origin, mirror: Service) -> None:
    name, image = origin.name(), make_image(size=BIG)
    origin.push(name, (image,))
    call(mirror.target, f"GET /v1/images/{image.id}/json", token_for(name))
    origin.wire.hold(after=BIG // 2)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask_layer, mirror, name, image) for _ in range(4)]
        assert origin.wire.is_holding.wait(60)
        origin.wire.cut()
        for answer in answers:
            assert answer.result().status == 503 or not answer.result().complete
        assert any(answer.result().status == 200 for answer in answers)
    assert not (mirror.store / "images" / image.id).exists()
    eventually(lambda: not _left(origin), lambda: f"left behind: {_left(origin)}")
    refused = ask_layer(mirror, name, image)
    assert (refused.status, "cannot be reached" in refused.error()) == (503, True)
    origin.wire.release()
    assert ask_layer(mirror, name, image).body == image.layer


def test_a_worker_killed_in_the_middle_is_taken_over_from(origin: Origin) -> None:
    name, image = origin.name(), make_image(size=BIG)
    origin.push(name, (image,))
    with started(origin.folder / "killed", **origin.settings()) as mirror:
        call(mirror.target, f"GET /v1/images/{image.id}/json", token_for(name))
        origin.wire.hold(after=BIG // 2)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask_layer, mirror, name, image)
            assert origin.wire.is_holding.wait(60)
            eventually(lambda: bool(_left(origin)), mirror.process.tail)
            for worker in mirror.process.children():
                os.kill(worker, signal.SIGKILL)
            with contextlib.suppress(Exception):
                assert not answer.result().complete
        origin.wire.release()
        assert ask_layer(mirror, name, image).body == image.layer
        wait_until_held(mirror, image)
        eventually(lambda: not _left(origin), lambda: f"left behind: {_left(origin)}")


def test_what_is_not_held_while_the_source_is_down_is_503_and_404_when_it_says_so(
    origin: Origin, mirror: Service
) -> None:
    name, image = origin.name(), make_image()
    assert call(mirror.target, f"GET /v1/repositories/{name}/tags").status == 404
    assert call(mirror.target, f"GET /v1/repositories/{name}/images").status == 404
    assert not (mirror.store / "repositories" / name).exists()
    origin.push(name, (image,))
    for path in ("json", "ancestry", "layer"):
        answer = call(mirror.target, f"GET /v1/images/{'0' * 64}/{path}", token_for(name))
        assert (answer.status, answer.error()) == (404, "Image not found")
    origin.down()
    for line in (f"GET /v1/repositories/{name}/tags", f"GET /v1/images/{image.id}/json"):
        answer = call(mirror.target, line, token_for(name))
        assert answer.status == 503, answer
        assert "cannot be reached" in answer.error()


# tags


def test_tags_follow_the_source_and_are_stale_while_it_is_down(origin: Origin, mirror: Service) -> None:
    name, first, second = origin.name(), make_chain(2), make_chain(2)
    origin.push(name, first, "one")
    assert _tags(mirror, name) == {"one": first[-1].id}
    origin.push(name, second, "one")
    origin.push(name, second, "two")
    assert _tags(mirror, name) == {"one": second[-1].id, "two": second[-1].id}
    described = call(mirror.target, f"GET /v1/repositories/{name}/tags/two/json").json()
    assert described["docker_version"] == "1.6.2"
    origin.down()
    assert _tags(mirror, name) == {"one": second[-1].id, "two": second[-1].id}
    assert call(mirror.target, f"GET /v1/repositories/{name}/tags/two/json").status == 200


def test_tags_are_believed_for_their_time(origin: Origin) -> None:
    name, first, second = origin.name(), make_chain(1), make_chain(1)
    origin.push(name, first)
    with started(origin.folder / "patient", **origin.settings(mirror_tag_seconds="3600")) as mirror:
        assert _tags(mirror, name) == {"latest": first[0].id}
        origin.push(name, second)
        before = origin.index_wire.said
        assert _tags(mirror, name) == {"latest": first[0].id}
        assert origin.index_wire.said == before


def test_tags_and_repositories_deleted_at_the_source_are_deleted(origin: Origin, mirror: Service) -> None:
    name, chain = origin.name(), make_chain(1)
    origin.push(name, chain)
    assert pull(mirror, name)
    wait_until_held(mirror, *chain)
    owner = {"Authorization": Daemon(NEWEST, origin.index.target, ALICE.name, ALICE.password).basic}
    begun = call(origin.index.target, f"DELETE /v1/repositories/{name}/", owner | {"X-Docker-Token": "true"})
    token = {"Authorization": f"Token {begun.header('X-Docker-Token')}"}
    assert call(origin.registry.target, f"DELETE /v1/repositories/{name}/", token).status == 200
    assert call(origin.index.target, f"DELETE /v1/repositories/{name}/", owner).status == 200
    assert call(mirror.target, f"GET /v1/repositories/{name}/tags").status == 404
    assert is_held(mirror, chain[0])


# who may


def test_a_private_repository_needs_the_mirrors_credentials(origin: Origin, mirror: Service) -> None:
    name, chain = origin.name(), make_chain(2)
    origin.push(name, chain)
    index_command(origin.index.environ, "set-access", name, "private")
    same_bytes(pull(mirror, name), chain)
    plain = origin.index_wire.target.url
    without = origin.settings(mirror_sources=f"*={plain}")
    with started(origin.folder / "stranger", **without) as stranger, pytest.raises(Refused, match="images"):
        Daemon(V1_6, stranger.target).pull(name, refused=Refusal.UNKNOWN)
    wrong = f"*={plain.replace('://', '://alice:mistaken-word@')}"
    with started(origin.folder / "mistaken", **origin.settings(mirror_sources=wrong)) as mistaken:
        answer = call(mistaken.target, f"GET /v1/repositories/{name}/images")
        assert (answer.status, "refused the mirror's credentials" in answer.error()) == (503, True)
        assert "mistaken-word" not in mistaken.process.log.read_text()


def test_a_mirror_behind_the_index_lets_in_whom_the_index_lets_in(origin: Origin) -> None:
    name, chain = origin.name(), make_chain(2)
    origin.push(name, chain)
    index_command(origin.index.environ, "set-access", name, "private")
    with started(origin.folder / "site", origin.index.url, **origin.settings()) as site:
        listed = call(
            origin.index.target,
            f"GET /v1/repositories/{name}/images",
            {
                "Authorization": Daemon(NEWEST, origin.index.target, ALICE.name, ALICE.password).basic,
                "X-Docker-Token": "true",
            },
        )
        token = {"Authorization": f"Token {listed.header('X-Docker-Token')}"}
        assert call(site.target, f"GET /v1/repositories/{name}/tags", token).json() == {"latest": chain[-1].id}
        for image in chain:
            path = f"GET /v1/images/{image.id}"
            assert call(site.target, f"{path}/json", token).body == image.json
            assert call(site.target, f"{path}/layer", token).body == image.layer
            for nobody in ({}, token_for(name)):
                assert call(site.target, f"{path}/layer", nobody).status == 401
        assert call(site.target, f"GET /v1/repositories/{name}/tags", token_for(name)).status == 401


def test_two_sources_by_namespace_with_credentials_of_their_own_and_repositories_of_its_own(origin: Origin) -> None:
    theirs, ours = make_chain(2), make_chain(2)
    with started(origin.folder / "other") as other, contextlib.closing(Wire(other.target)) as wire:
        Daemon(V1_6, other.target).push("acme/app", theirs)
        name = origin.name()
        chain = origin.push(name, make_chain(2))
        alice = origin.settings()["mirror_sources"].removeprefix("*=")
        acme = wire.target.url.replace("://", "://bob:of-acme@")
        with started(origin.folder / "both", **origin.settings(mirror_sources=f"alice={alice} acme={acme}")) as mirror:
            same_bytes(pull(mirror, "acme/app"), theirs)
            same_bytes(pull(mirror, name), chain)
            Daemon(V1_6, mirror.target).push("bob/own", ours)
            same_bytes(pull(mirror, "bob/own"), ours)
            assert call(mirror.target, "GET /v1/repositories/bob/none/tags").status == 404
        bobs, alices = basic("bob", "of-acme"), basic(ALICE.name, ALICE.password)
        assert bobs in wire.said
        assert alices in origin.index_wire.said
        assert alices not in wire.said
        assert b"alice" not in wire.said
        assert bobs not in origin.index_wire.said + origin.wire.said


def basic(name: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())


def test_writes_to_what_is_mirrored_are_refused(origin: Origin, mirror: Service) -> None:
    name, chain = origin.name(), make_chain(1)
    origin.push(name, chain)
    target, writing = mirror.target, {"Authorization": f'Token signature=a,repository="{name}",access=write'}
    for line, body in (
        (f"PUT /v1/repositories/{name}/", b"[]"),
        (f"PUT /v1/repositories/{name}/images", b"[]"),
        (f"PUT /v1/repositories/{name}/tags/new", f'"{chain[0].id}"'.encode()),
        (f"PUT /v1/repositories/{name}/properties", b'{"access": "private"}'),
        (f"DELETE /v1/repositories/{name}/tags/latest", None),
        (f"DELETE /v1/repositories/{name}/", None),
        (f"PUT /v1/images/{chain[0].id}/json", chain[0].json),
        (f"PUT /v1/images/{chain[0].id}/layer", chain[0].layer),
        (f"PUT /v1/images/{chain[0].id}/checksum", b""),
    ):
        answer = call(target, line, writing, body=body)
        assert answer.status == 403, line
        assert answer.error() == f"{name} is mirrored here: push to {origin.index_wire.target.netloc}"
    with pytest.raises(DaemonError, match="is mirrored here"):
        Daemon(V1_6, target).push(name, chain)


def test_what_was_pushed_here_before_stays_its_own(origin: Origin) -> None:
    """Setting a source does not make a copy of a repository that is none, nor take its tags away."""
    folder, own, later = origin.folder / "converted", make_chain(2), make_chain(1)
    with started(folder) as registry:
        Daemon(V1_6, registry.target).push("alice/grown-here", own)
    with started(folder, **origin.settings(mirror_tag_seconds="0")) as mirror:
        same_bytes(pull(mirror, "alice/grown-here"), own)
        Daemon(V1_6, mirror.target).push("alice/grown-here", later, "later")
        assert set(_tags(mirror, "alice/grown-here")) == {"latest", "later"}


def test_an_image_named_by_id_alone_is_looked_for_nowhere(origin: Origin, mirror: Service) -> None:
    """Without a token nobody knows whose it is; and a daemon's test before a push must not take it for stored."""
    name, image = origin.name(), make_image()
    origin.push(name, (image,))
    assert call(mirror.target, f"GET /v1/images/{image.id}/json").status == 404
    assert call(mirror.target, f"GET /v1/images/{image.id}/json", token_for("nobody/else")).status == 404
    assert call(mirror.target, f"GET /v1/images/{image.id}/json", token_for(name)).status == 200


def test_a_daemon_with_registry_mirror_asks_with_the_sources_token(origin: Origin, mirror: Service) -> None:
    """Only ancestry, JSON and layers come to the mirror; the token names the repository (protocol §1.8)."""
    name, chain = origin.name(), make_chain(2)
    origin.push(name, chain)
    listed = call(origin.index.target, f"GET /v1/repositories/{name}/images", {"X-Docker-Token": "true"})
    token = {"Authorization": f"Token {listed.header('X-Docker-Token')}"}
    ancestry = call(mirror.target, f"GET /v1/images/{chain[-1].id}/ancestry", token).json()
    assert ancestry == [image.id for image in reversed(chain)]
    for image in chain:
        assert call(mirror.target, f"GET /v1/images/{image.id}/json", token).body == image.json
        assert call(mirror.target, f"GET /v1/images/{image.id}/layer", token).body == image.layer


# by digest


def test_a_first_pull_by_digest(origin: Origin, mirror: Service) -> None:
    """The mirror knows no digest of what it has not fetched, and its source does; here by way of a second mirror."""
    name, chain = origin.name(), make_chain(3)
    origin.push(name, chain)
    index_command(origin.index.environ, "set-access", name, "private")
    basic = {"Authorization": Daemon(V1_6, origin.index.target, ALICE.name, ALICE.password).basic}
    token = call(origin.index.target, f"GET /v2/token?scope=repository:{name}:pull", basic).json()["token"]
    first = call(origin.registry.target, f"GET /v2/{name}/manifests/latest", {"Authorization": f"Bearer {token}"})
    digest, absent = first.header("Docker-Content-Digest"), f"sha256:{'0' * 64}"
    with started(origin.folder / "by-digest", mirror_sources=f"*={mirror.url}") as second:
        assert call(second.target, f"GET /v2/{name}/manifests/{absent}").status == 404
        assert call(second.target, f"GET /v2/{name}/manifests/{digest}").body == first.body
        for image, layer in zip(chain, first.json()["layers"], strict=True):
            assert call(second.target, f"GET /v2/{name}/blobs/{layer['digest']}").body == image.layer


# mirrors and mirrors


def test_a_mirror_of_a_mirror(origin: Origin, mirror: Service) -> None:
    name, chain = origin.name(), make_chain(3)
    origin.push(name, chain)
    with started(origin.folder / "second", mirror_sources=f"*={mirror.url}", workers="2") as second:
        for generation in (V0_5, V1_0, NEWEST):
            same_bytes(pull(second, name, generation=generation), chain)
        wait_until_held(second, *chain)
    wait_until_held(mirror, *chain)


def test_mirrors_that_are_each_others_source_answer_all_the_same(tmp_path: Path) -> None:
    """A circle by mistake, of one or of two, is a plain 404."""
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with (
        started(tmp_path / "a", port=ports[0], mirror_sources=f"*={urls[1]} own={urls[0]}") as first,
        started(tmp_path / "b", port=ports[1], mirror_sources=f"*={urls[0]}"),
    ):
        for name in ("alice/app", "own/app"):
            assert call(first.target, f"GET /v1/repositories/{name}/images").status == 404


def _tags(mirror: Service, name: str) -> dict[str, str]:
    answer = call(mirror.target, f"GET /v1/repositories/{name}/tags")
    assert answer.status == 200, answer
    return dict(answer.json())


def _grown(count: int, size: int) -> Iterator[Image]:
    parent = None
    for _ in range(count):
        image = make_image(parent, size=size)
        parent = image.id
        yield image
