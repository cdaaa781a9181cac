"""A mirror of several sources: who puts an image into one of them does not decide what its id means in another."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.attacks.test_possession import trojan
from tests.clients.docker_v1 import Daemon
from tests.clients.generations import GENERATIONS, V0_8, V1_6, V1_10, Generation
from tests.clients.images import Chain, Image, make_chain, make_image
from tests.clients.wire import Target, call
from tests.journeys.test_generations import same_bytes
from tests.journeys.test_mirror import Wire, started, token_for
from tests.servers.front import start_front
from tests.servers.process import eventually, free_port
from tests.servers.services import Account, Service, index_command, running, sign_up, start_index, start_registry
from tests.servers.setups import ALICE, MALLORY

CAROL = Account("carol")
SIDES = ("mine", "theirs")


@dataclass
class Harbour:
    """Two sources, each with a wire in front, and the mirror of both: `mine/…` is of one, `theirs/…` of the other."""

    sources: dict[str, Service]
    wires: dict[str, Wire]
    mirror: Service
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def push(self, mine: Chain, theirs: Chain) -> dict[str, tuple[str, Chain]]:
        """The name and the images of each side."""
        number = next(self.numbers)
        sides = {"mine": (f"mine/app-{number}", mine), "theirs": (f"theirs/app-{number}", theirs)}
        for side, (name, chain) in sides.items():
            Daemon(V1_6, self.sources[side].target).push(name, chain)
        return sides

    def pull(self, name: str, chain: Chain, generation: Generation = V1_6) -> None:
        same_bytes(Daemon(generation, self.mirror.target).pull(name), chain)

    def layers(self, chain: Chain) -> list[int]:
        """How often the layers of these ids were asked for, of both sources together."""
        asked = [image for wire in self.wires.values() for image in wire.layers()]
        return [asked.count(image.id) for image in chain]


def settings(wires: dict[str, Wire]) -> dict[str, str]:
    sources = " ".join(f"{side}={wire.target.url}" for side, wire in wires.items())
    return {"mirror_sources": sources, "workers": "2", "mirror_timeout": "30", "mirror_tag_seconds": "0"}


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    folder = tmp_path_factory.mktemp("sources")
    sources = {side: start_registry(folder / side, None) for side in SIDES}
    wires = {side: Wire(source.target) for side, source in sources.items()}
    with running(*sources.values()), started(folder / "mirror", **settings(wires)) as mirror:
        yield Harbour(sources, wires, mirror)
        for wire in wires.values():
            wire.close()


@pytest.fixture(autouse=True)
def _up(harbour: Harbour) -> Iterator[None]:
    yield
    for wire in harbour.wires.values():
        wire.release()


def conflicting(count: int = 3) -> tuple[Chain, Chain]:
    mine = make_chain(count)
    return mine, tuple(map(trojan, mine))


def is_settled(mirror: Service, name: str, chain: Chain) -> bool:
    """Whether the mirror holds all of these for the repository."""
    return all((mirror.store / "repositories" / name / "_held" / image.id).exists() for image in chain)


def read(target: Target, name: str, image: Image, part: str) -> bytes:
    answer = call(target, f"GET /v1/images/{image.id}/{part}", token_for(name))
    assert answer.status == 200, answer
    return answer.body


@pytest.mark.parametrize("order", [SIDES, SIDES[::-1]], ids=["mine first", "theirs first"])
@pytest.mark.parametrize("generation", [V0_8, V1_6, V1_10], ids=str)
def test_every_daemon_gets_the_images_of_the_source_it_named(
    harbour: Harbour, order: tuple[str, ...], generation: Generation
) -> None:
    sides = harbour.push(*conflicting())
    for side in order:
        harbour.pull(*sides[side], generation)
    assert harbour.layers(sides["mine"][1]) == [2, 2, 2]
    for name, chain in sides.values():
        eventually(lambda name=name, chain=chain: is_settled(harbour.mirror, name, chain), lambda: "never settled")
        harbour.pull(name, chain, generation)
        for image in chain:
            assert read(harbour.mirror.target, name, image, "json") == image.json
    for wire in harbour.wires.values():
        wire.cut()
    for name, chain in sides.values():
        harbour.pull(name, chain, generation)
    assert harbour.layers(sides["mine"][1]) == [2, 2, 2], "each layer is read once of each source"


def test_daemons_that_pull_from_both_at_once_get_what_they_named(harbour: Harbour) -> None:
    sides, together = harbour.push(*conflicting()), threading.Barrier(12)

    def client(number: int) -> None:
        together.wait()
        harbour.pull(*sides[SIDES[number % 2]], GENERATIONS[number % len(GENERATIONS)])

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(client, range(12)))
    assert harbour.layers(sides["mine"][1]) == [2, 2, 2]


def test_the_same_images_are_fetched_once_and_stored_once(harbour: Harbour) -> None:
    chain = make_chain(3)
    sides = harbour.push(chain, chain)
    for name, _ in sides.values():
        harbour.pull(name, chain)
        eventually(lambda name=name: is_settled(harbour.mirror, name, chain), lambda: "never settled")
    assert harbour.layers(chain) == [1, 1, 1]
    assert not list((harbour.mirror.store / "_apart").glob(f"*/*/{chain[0].id}"))


def test_what_one_source_holds_back_delays_nobody_who_named_the_other(harbour: Harbour) -> None:
    image = make_image(size=1_000_000)
    sides = harbour.push((image,), (image,))
    harbour.wires["theirs"].hold(after=200_000)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(harbour.pull, *sides["theirs"])
        assert harbour.wires["theirs"].is_holding.wait(30)
        harbour.pull(*sides["mine"])
        harbour.wires["theirs"].release()
        slow.result()


@pytest.mark.parametrize("side", SIDES)
def test_workers_killed_while_they_fetch_mix_nothing(tmp_path: Path, harbour: Harbour, side: str) -> None:
    mine = (make_image(size=1_000_000),)
    sides = harbour.push(mine, (trojan(mine[0]),))
    with started(tmp_path, **settings(harbour.wires)) as mirror:
        here = Harbour(harbour.sources, harbour.wires, mirror)
        for one in (side, *SIDES):
            with ThreadPoolExecutor(1) as pool:
                pulling = pool.submit(here.pull, *sides[one])
                for worker in mirror.process.children():
                    # One may have ended between the look and the kill.
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                with contextlib.suppress(Exception, AssertionError):
                    pulling.result()
        eventually(lambda: call(mirror.target, "GET /v1/_ping").status == 200, mirror.process.tail)
        for one in SIDES:
            here.pull(*sides[one])
            eventually(lambda one=one: is_settled(mirror, *sides[one]), mirror.process.tail)
            here.pull(*sides[one])


def test_an_answer_about_one_image_is_no_proof_about_the_other_of_its_id(harbour: Harbour) -> None:
    """A client that kept what it read under one name asks whether it has changed under another."""
    sides = harbour.push(*conflicting(2))
    for part in ("json", "layer", "files"):
        tags = {}
        for name, chain in sides.values():
            first = call(harbour.mirror.target, f"GET /v1/images/{chain[0].id}/{part}", token_for(name))
            tags[name] = {"If-None-Match": str(first.header("ETag"))}
        for name, chain in sides.values():
            line = f"GET /v1/images/{chain[0].id}/{part}"
            for known, headers in tags.items():
                answer = call(harbour.mirror.target, line, token_for(name) | headers)
                assert answer.status == (304 if known == name else 200), (part, known, name)


def test_once_it_mirrors_no_more_each_name_means_what_it_meant(tmp_path: Path, harbour: Harbour) -> None:
    sides = harbour.push(*conflicting())
    with started(tmp_path, **settings(harbour.wires)) as mirror:
        here = Harbour(harbour.sources, harbour.wires, mirror)
        for name, chain in sides.values():
            here.pull(name, chain)
            eventually(lambda name=name, chain=chain: is_settled(mirror, name, chain), mirror.process.tail)
    with started(tmp_path) as registry:
        for name, chain in sides.values():
            same_bytes(Daemon(V1_6, registry.target).pull(name), chain)


def test_nginx_in_front_keeps_the_answers_of_each_repository_for_it(tmp_path: Path, harbour: Harbour) -> None:
    sides, port = harbour.push(*conflicting()), free_port()
    more = settings(harbour.wires) | {"delivery": "nginx", "trusted_proxies": "1"}
    with started(tmp_path / "mirror", **more) as mirror:
        front = start_front(tmp_path / "front", port, indexes=None, registries=[mirror.port], store=mirror.store)
        try:
            here = Harbour(harbour.sources, harbour.wires, mirror)
            for _ in range(3):
                for name, chain in sides.values():
                    for image in chain:
                        assert read(Target("http", "127.0.0.1", port), name, image, "json") == image.json
                        assert read(Target("http", "127.0.0.1", port), name, image, "layer") == image.layer
                    eventually(lambda name=name, chain=chain: is_settled(here.mirror, name, chain), mirror.process.tail)
        finally:
            front.stop()


def test_a_private_mirror_behind_an_index_keeps_its_sources_apart_too(tmp_path: Path) -> None:
    """Mallory's source is his own; the index lets him read what is his, whoever else has its id."""
    port = free_port()
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"])
    registry = start_registry(tmp_path / "registry", index.url, port)
    own = start_registry(tmp_path / "own", None)
    mine, theirs = conflicting()
    with running(index, registry, own):
        for account, chain in ((ALICE, mine), (MALLORY, theirs)):
            sign_up(index.target, account)
            Daemon(V1_6, index.target, account.name, account.password).push(f"{account.name}/app", chain)
            index_command(index.environ, "set-access", f"{account.name}/app", "private")
        Daemon(V1_6, own.target).push("mallory/app", theirs)
        alice = index.url.replace("://", f"://{ALICE.name}:{ALICE.password}@")
        sources = f"alice={alice} mallory={own.url}"
        with started(tmp_path / "mirror", index.url, mirror_sources=sources, mirror_tag_seconds="0") as mirror:
            for _ in range(2):
                for account, chain in ((MALLORY, theirs), (ALICE, mine)):
                    token = _token(index, account.name, account.password)
                    for image in chain:
                        for part, expected in (("json", image.json), ("layer", image.layer)):
                            answer = call(mirror.target, f"GET /v1/images/{image.id}/{part}", token)
                            assert answer.body == expected, part
                    eventually(
                        lambda account=account, chain=chain: is_settled(mirror, f"{account.name}/app", chain),
                        mirror.process.tail,
                    )


def test_a_tag_of_ones_own_source_opens_no_image_that_another_source_brought(tmp_path: Path) -> None:
    """Mallory's source names Alice's private image, and Carol tags what Mallory's token is said to hold."""
    port = free_port()
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"])
    registry = start_registry(tmp_path / "registry", index.url, port)
    own = start_registry(tmp_path / "own", None)
    mine, theirs = conflicting(2)
    with running(index, registry, own):
        for account, chain in ((ALICE, mine), (MALLORY, make_chain(1)), (CAROL, make_chain(1))):
            sign_up(index.target, account)
            Daemon(V1_6, index.target, account.name, account.password).push(f"{account.name}/app", chain)
        index_command(index.environ, "set-access", "alice/app", "private")
        Daemon(V1_6, own.target).push("mallory/app", theirs)
        alice = index.url.replace("://", f"://{ALICE.name}:{ALICE.password}@")
        sources = f"alice={alice} mallory={own.url}"
        with started(tmp_path / "mirror", index.url, mirror_sources=sources, mirror_tag_seconds="0") as mirror:
            hers, his = (_token(index, each.name, each.password)["Authorization"] for each in (ALICE, MALLORY))
            for image in mine:
                answer = call(mirror.target, f"GET /v1/images/{image.id}/layer", {"Authorization": hers})
                assert answer.body == image.layer
            eventually(lambda: is_settled(mirror, "alice/app", mine), mirror.process.tail)
            tags = call(mirror.target, "GET /v1/repositories/mallory/app/tags", {"Authorization": his})
            assert json.loads(tags.body) == {"latest": mine[-1].id}
            writer = _write_token(index, CAROL, mine)
            line, body = "PUT /v1/repositories/carol/app/tags/t", json.dumps(mine[-1].id).encode()
            for tokens in (f"{writer}, {his.removeprefix('Token ')}", f"{his}, {writer.removeprefix('Token ')}"):
                assert call(mirror.target, line, {"Authorization": tokens}, body).status == 404
            for image in theirs:
                answer = call(mirror.target, f"GET /v1/images/{image.id}/layer", {"Authorization": his})
                assert answer.body == image.layer, "he reads what his source has"
            carols = _token(index, CAROL.name, CAROL.password)
            assert call(mirror.target, f"GET /v1/images/{mine[0].id}/layer", carols).status == 404
            both = f"{writer}, {hers.removeprefix('Token ')}"
            assert call(mirror.target, line, {"Authorization": both}, body).status == 200, "what she lets others tag"


def test_what_an_index_asks_before_a_mirror_has_it_opens_no_image_that_is_pushed_there(tmp_path: Path) -> None:
    """Mallory's source has only to list the id: the index asks the mirror, which is its registry, what he holds."""
    port = free_port()
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"])
    own = start_registry(tmp_path / "own", None)
    (image,), theirs = conflicting(1)
    with running(index, own):
        for account in (ALICE, MALLORY, CAROL):
            sign_up(index.target, account)
        Daemon(V1_6, own.target).push("mallory/app", theirs)
        sources = {"mirror_sources": f"mallory={own.url}", "mirror_tag_seconds": "0"}
        mirror = start_registry(tmp_path / "mirror", index.url, port, **sources)
        with running(mirror):
            his = {"Authorization": _write_token(index, MALLORY, theirs)}
            call(index.target, "PUT /v1/repositories/mallory/app/images", his, json.dumps([{"id": image.id}]).encode())
            reads = _token(index, MALLORY.name, MALLORY.password)
            assert json.loads(call(mirror.target, "GET /v1/repositories/mallory/app/tags", reads).body)
            access = call(index.target, f"GET /v1/repositories/mallory/app/layer/{image.id}/access", reads)
            assert json.loads(access.body) == {"access": False}
            Daemon(V1_6, index.target, ALICE.name, ALICE.password).push("alice/app", (image,))
            index_command(index.environ, "set-access", "alice/app", "private")
            _write_token(index, CAROL, (image,))
            carols = _token(index, CAROL.name, CAROL.password)
            assert call(mirror.target, f"GET /v1/images/{image.id}/layer", carols).status == 404
            answer = call(mirror.target, f"GET /v1/images/{image.id}/layer", reads)
            assert answer.body == theirs[0].layer, "he reads what his source has"


def _write_token(index: Service, account: Account, chain: Chain) -> str:
    """A push that announces these images; the header with its token."""
    daemon = Daemon(V1_6, index.target, account.name, account.password)
    announced = json.dumps([{"id": image.id} for image in chain]).encode()
    sent = {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    begun = call(index.target, f"PUT /v1/repositories/{account.name}/app/", sent, announced)
    return f"Token {begun.header('X-Docker-Token')}"


def _token(index: Service, name: str, password: str) -> dict[str, str]:
    basic = Daemon(V1_6, index.target, name, password).basic
    listed = call(
        index.target, f"GET /v1/repositories/{name}/app/images", {"Authorization": basic, "X-Docker-Token": "true"}
    )
    return {"Authorization": f"Token {listed.header('X-Docker-Token')}"}
