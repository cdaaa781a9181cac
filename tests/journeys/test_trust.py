"""What the registry believes of the index: asked once a pull, shared between registries, short-lived, never guessed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.clients.docker_v1 import Daemon, Refusal, Refused
from tests.clients.generations import GENERATIONS, NEWEST, V0_8, V1_6, Generation
from tests.clients.images import Chain, make_chain
from tests.clients.wire import Answer, Target, call
from tests.journeys.test_generations import same_bytes
from tests.servers.process import eventually, free_port
from tests.servers.proxies import IndexProxy
from tests.servers.services import Account, Service, index_command, running, sign_up, start_index, start_registry
from tests.servers.setups import ALICE, MALLORY

GRANT_SECONDS = 2
INDEX_TIMEOUT = 0.5


@dataclass(frozen=True)
class Harbour:
    """An index and three registries that ask it through a proxy; two of them share a key."""

    index: Service
    proxy: IndexProxy
    first: Service
    second: Service
    stranger: Service

    def daemon(self, generation: Generation, account: Account = ALICE) -> Daemon:
        return Daemon(generation, self.index.target, account.name, account.password)

    def push(self, chain: Chain, words: str = "cargo", account: Account = ALICE) -> str:
        name = f"{account.name}/{words}-{secrets.token_hex(4)}"
        self.daemon(NEWEST, account).push(name, chain)
        return name

    def token(self, name: str, account: Account | None = ALICE) -> dict[str, str]:
        """What a daemon presents at the registry when it pulls."""
        headers = {"X-Docker-Token": "true"}
        if account:
            headers["Authorization"] = Daemon(NEWEST, self.index.target, account.name, account.password).basic
        answer = call(self.index.target, f"GET /v1/repositories/{name}/images", headers)
        assert answer.status == 200, answer
        return {"Authorization": f"Token {answer.header('X-Docker-Token')}"}


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    folder, port = tmp_path_factory.mktemp("harbour"), free_port()
    # It reads no image of the registry's for its pages: that, too, would be asked about here.
    elsewhere = f"127.0.0.1:{port}=http://127.0.0.1:{free_port()}"
    index = start_index(folder / "index", [f"127.0.0.1:{port}"], registry_urls=elsewhere)
    proxy = IndexProxy(index.target)
    shared = {
        "secret_keys": secrets.token_hex(32),
        "grant_seconds": str(GRANT_SECONDS),
        "index_timeout": str(INDEX_TIMEOUT),
        "storage_path": str(folder / "store"),
    }
    first = start_registry(folder / "first", proxy.target.url, port, **shared)
    second = start_registry(folder / "second", proxy.target.url, **shared)
    stranger = start_registry(folder / "stranger", proxy.target.url, **shared | {"secret_keys": secrets.token_hex(32)})
    for account in (ALICE, MALLORY):
        sign_up(index.target, account)
    with running(first, second, stranger, index):
        yield Harbour(index, proxy, first, second, stranger)
    proxy.close()


@pytest.fixture
def index_restored(harbour: Harbour) -> Iterator[IndexProxy]:
    """The way to the index, mended after the test."""
    yield harbour.proxy
    harbour.proxy.is_down = False
    harbour.proxy.awake.set()


@pytest.fixture
def patient_index_restored(patient_harbour: Harbour) -> Iterator[IndexProxy]:
    yield patient_harbour.proxy
    patient_harbour.proxy.is_down = False


def read_tags(registry: Target, name: str, headers: dict[str, str]) -> Answer:
    return call(registry, f"GET /v1/repositories/{name}/tags", headers)


def cookie_of(answer: Answer) -> dict[str, str]:
    lines = answer.headers_named("Set-Cookie")
    assert len(lines) == 1, lines
    return {"Cookie": lines[0].split(";")[0]}


@pytest.fixture(scope="module")
def patient_harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    """The same with grants that outlive any test, and registries of two workers each."""
    folder, port = tmp_path_factory.mktemp("patient"), free_port()
    # It reads no image of the registry's for its pages: that, too, would be asked about here.
    elsewhere = f"127.0.0.1:{port}=http://127.0.0.1:{free_port()}"
    index = start_index(folder / "index", [f"127.0.0.1:{port}"], registry_urls=elsewhere)
    proxy = IndexProxy(index.target)
    first = start_registry(folder / "first", proxy.target.url, port, workers="2", grant_seconds="600")
    sign_up(index.target, ALICE)
    with running(first, index):
        yield Harbour(index, proxy, first, first, first)
    proxy.close()


@pytest.mark.parametrize("generation", [one for one in GENERATIONS if one.cookies_on_reads], ids=str)
def test_a_pull_of_twenty_layers_asks_the_index_once_or_twice(patient_harbour: Harbour, generation: Generation) -> None:
    """Whichever of two workers answers: each asks once for the list that the token states."""
    name = patient_harbour.push(chain := make_chain(20))
    patient_harbour.proxy.asked.clear()
    same_bytes(patient_harbour.daemon(generation).pull(name), chain)
    asked = [line for line in patient_harbour.proxy.asked if "token_keys" not in line]
    assert 1 <= len(asked) <= 2, asked
    patient_harbour.proxy.asked.clear()
    for _ in range(5):
        same_bytes(patient_harbour.daemon(generation).pull(name), chain)
    assert len(asked) + len(patient_harbour.proxy.asked) <= 4, patient_harbour.proxy.asked


@pytest.mark.parametrize("generation", [V0_8, V1_6, NEWEST], ids=str)
def test_a_push_of_twenty_layers_asks_little_more(patient_harbour: Harbour, generation: Generation) -> None:
    """Once or twice for the token, and the tag is told."""
    patient_harbour.proxy.asked.clear()
    chain = make_chain(20)
    patient_harbour.daemon(generation).push(f"alice/pushed-{secrets.token_hex(4)}", chain)
    told = [line for line in patient_harbour.proxy.asked if line.startswith("PUT ")]
    assert len(told) == 1
    assert 1 <= len(patient_harbour.proxy.asked) - 1 <= 2, patient_harbour.proxy.asked


def test_registries_that_share_a_key_believe_each_others_cookie(harbour: Harbour, index_restored: IndexProxy) -> None:
    name = harbour.push(chain := make_chain(2))
    granted = pushing(harbour, name)
    index_restored.is_down = True
    layer = f"GET /v1/images/{chain[1].id}/layer"
    assert call(harbour.second.target, layer, granted).body == chain[1].layer
    refused = read_tags(harbour.stranger.target, name, granted)
    assert (refused.status, bool(refused.error())) == (503, True)


def test_a_cookie_opens_nothing_without_its_token(harbour: Harbour, index_restored: IndexProxy) -> None:
    name, other = harbour.push(make_chain(1)), harbour.push(make_chain(1))
    granted = pushing(harbour, name)
    token, cookie = ({key: granted[key]} for key in ("Authorization", "Cookie"))
    index_restored.is_down = True
    target = harbour.second.target
    assert read_tags(target, name, cookie).status == 401
    assert read_tags(target, name, cookie | {"Authorization": "Token "}).status == 401
    assert read_tags(target, other, cookie | token).status == 401
    forged = {"Authorization": token["Authorization"].replace("access=write", "access=delete")}
    assert read_tags(target, name, cookie | forged).status == 503
    head, _, tail = cookie["Cookie"].rpartition(".")
    assert read_tags(target, name, token | {"Cookie": f"{head}.{tail[::-1]}"}).status == 503


def test_a_grant_is_renewed_without_the_daemon_noticing(harbour: Harbour) -> None:
    name = harbour.push(make_chain(1))
    token = harbour.token(name)
    assert read_tags(harbour.first.target, name, token).status == 200
    asked = f"GET /v1/repositories/{name}/images"
    harbour.proxy.asked.clear()
    eventually(
        lambda: (
            read_tags(harbour.first.target, name, token).status != 200
            or any(asked in line for line in harbour.proxy.asked)
        ),
        lambda: "the index was never asked again",
    )
    assert read_tags(harbour.first.target, name, token).status == 200


def revoked_by_password(harbour: Harbour, account: Account, name: str) -> None:
    daemon = harbour.daemon(NEWEST, account)
    body = json.dumps({"password": "another-password-9"}).encode()
    answer = call(harbour.index.target, f"PUT /v1/users/{account.name}/", {"Authorization": daemon.basic}, body)
    assert answer.status == 204, answer


def revoked_by_closing(harbour: Harbour, account: Account, name: str) -> None:
    index_command(harbour.index.environ, "deactivate", account.name)


def revoked_by_command(harbour: Harbour, account: Account, name: str) -> None:
    index_command(harbour.index.environ, "revoke-tokens", account.name)


@pytest.mark.parametrize("revoke", [revoked_by_password, revoked_by_closing, revoked_by_command])
def test_a_revoked_token_stops_working_once_its_grant_is_over(harbour: Harbour, revoke: object) -> None:
    assert callable(revoke)
    account = sign_up(harbour.index.target, Account(f"leaver{secrets.token_hex(4)}"))
    name = harbour.push(chain := make_chain(1), account=account)
    index_command(harbour.index.environ, "set-access", name, "private")
    headers = harbour.token(name, account)
    assert read_tags(harbour.first.target, name, headers).status == 200
    revoke(harbour, account, name)
    deadline = time.monotonic() + GRANT_SECONDS
    eventually(
        lambda: time.monotonic() > deadline and read_tags(harbour.first.target, name, headers).status == 401,
        lambda: "the revoked token still works",
        patience=GRANT_SECONDS + 5,
    )
    for registry in (harbour.first, harbour.second):
        for line in (f"/v1/images/{chain[0].id}/json", f"/v1/images/{chain[0].id}/layer"):
            refused = call(registry.target, f"GET {line}", headers)
            assert (refused.status, refused.error()) == (401, "Requires authorization")


def test_a_repository_made_private_shuts_strangers_out(harbour: Harbour) -> None:
    name = harbour.push(chain := make_chain(1), "secret")
    token = harbour.token(name, None)
    assert read_tags(harbour.first.target, name, token).status == 200
    index_command(harbour.index.environ, "set-access", name, "private")
    eventually(
        lambda: read_tags(harbour.first.target, name, token).status == 401,
        lambda: "a stranger's token still reads a private repository",
        patience=GRANT_SECONDS + 5,
    )
    for generation in GENERATIONS:
        for daemon in (harbour.daemon(generation, MALLORY), Daemon(generation, harbour.index.target)):
            with pytest.raises(Refused, match="images"):
                daemon.pull(name, refused=Refusal.UNKNOWN)
    same_bytes(harbour.daemon(NEWEST).pull(name), chain)
    found = [result["name"] for result in harbour.daemon(V0_8, MALLORY).search("secret")]
    assert name not in found
    assert name in [result["name"] for result in harbour.daemon(NEWEST).search("secret")]


def test_images_of_a_private_repository_are_reached_through_no_other(harbour: Harbour) -> None:
    """Knowing an id is not permission, on json, layer, ancestry, files and diff alike."""
    name = harbour.push(chain := make_chain(2), "hidden")
    index_command(harbour.index.environ, "set-access", name, "private")
    own = harbour.push(make_chain(1), account=MALLORY)
    token = harbour.token(own, MALLORY)
    for part in ("json", "layer", "ancestry", "files", "diff"):
        for image in chain:
            refused = call(harbour.first.target, f"GET /v1/images/{image.id}/{part}", token)
            assert (refused.status, refused.error()) == (404, "Image not found"), part
            conditional = token | {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT", "If-None-Match": "*"}
            assert call(harbour.first.target, f"GET /v1/images/{image.id}/{part}", conditional).status == 404, part
    for part in ("json", "layer", "ancestry", "files", "diff"):
        own_token = harbour.token(name)
        assert call(harbour.first.target, f"GET /v1/images/{chain[1].id}/{part}", own_token).status == 200, part


def test_an_index_that_is_down_opens_nothing(harbour: Harbour, index_restored: IndexProxy) -> None:
    name = harbour.push(chain := make_chain(1))
    token = harbour.token(name)
    index_restored.is_down = True
    for line in (
        f"GET /v1/repositories/{name}/tags",
        f"GET /v1/images/{chain[0].id}/json",
        f"GET /v1/images/{chain[0].id}/layer",
        f"GET /v1/images/{chain[0].id}/ancestry",
    ):
        refused = call(harbour.first.target, line, token)
        assert (refused.status, bool(refused.error())) == (503, True), line
    assert call(harbour.first.target, "GET /v1/_ping").status == 200
    index_restored.is_down = False
    assert read_tags(harbour.first.target, name, token).status == 200


def put_tag(harbour: Harbour, token: dict[str, str], name: str, tag: str, image_id: str) -> int:
    return call(
        harbour.first.target, f"PUT /v1/repositories/{name}/tags/{tag}", token, json.dumps(image_id).encode()
    ).status


def pushing(harbour: Harbour, name: str, account: Account = ALICE) -> dict[str, str]:
    """A write token that the registry has verified."""
    headers = {"Authorization": harbour.daemon(NEWEST, account).basic, "X-Docker-Token": "true"}
    begun = call(harbour.index.target, f"PUT /v1/repositories/{name}/", headers, b"[]")
    token = {"Authorization": f"Token {begun.header('X-Docker-Token')}"}
    return token | cookie_of(read_tags(harbour.first.target, name, token))


def tags_in_the_index(harbour: Harbour, name: str) -> dict[str, str]:
    basic = {"Authorization": harbour.daemon(NEWEST).basic}
    listed = call(harbour.index.target, f"GET /api/v1/repositories/{name}/@tags", basic)
    return {tag["name"]: row["image_id"] for row in listed.json()["items"] for tag in row["tags"]}


def test_tags_changed_while_the_index_is_down_are_made_good(
    patient_harbour: Harbour, patient_index_restored: IndexProxy
) -> None:
    name = patient_harbour.push(chain := make_chain(2))
    token = pushing(patient_harbour, name)
    patient_index_restored.is_down = True
    assert put_tag(patient_harbour, token, name, "stable", chain[0].id) == 200
    assert put_tag(patient_harbour, token, name, "latest", chain[0].id) == 200
    patient_index_restored.is_down = False
    eventually(
        lambda: tags_in_the_index(patient_harbour, name) == {"stable": chain[0].id, "latest": chain[0].id},
        lambda: f"the index was never asked: {tags_in_the_index(patient_harbour, name)}",
    )


def test_a_tag_that_the_index_refuses_once_it_is_back_is_as_it_was(
    patient_harbour: Harbour, patient_index_restored: IndexProxy
) -> None:
    leaver = sign_up(patient_harbour.index.target, Account(f"leaver{secrets.token_hex(4)}"))
    name = patient_harbour.push(chain := make_chain(2), account=leaver)
    token = pushing(patient_harbour, name, leaver)
    patient_index_restored.is_down = True
    index_command(patient_harbour.index.environ, "deactivate", leaver.name)
    for tag in ("latest", "stable"):
        assert put_tag(patient_harbour, token, name, tag, chain[0].id) == 200
    patient_index_restored.is_down = False
    folder = patient_harbour.first.store / "repositories" / name
    eventually(
        lambda: (folder / "tag_latest").read_text() == chain[1].id and not (folder / "tag_stable").exists(),
        lambda: "what the index refuses stands",
    )


def killed(service: Service) -> None:
    """The whole service, at once and with no chance to say anything."""
    for pid in (service.process.pid, *service.process.children()):
        os.kill(pid, signal.SIGKILL)
    service.process.stop()


def test_a_registry_killed_before_the_index_is_back_has_forgotten_no_tag(
    patient_harbour: Harbour, patient_index_restored: IndexProxy, tmp_path: Path
) -> None:
    """What it let pass is made good, or undone, by the process that is started in its place."""
    store, keys = str(patient_harbour.first.store), secrets.token_hex(32)
    settings = {"storage_path": store, "secret_keys": keys, "grant_seconds": "600"}
    doomed = start_registry(tmp_path / "doomed", patient_index_restored.target.url, **settings)
    leaver = sign_up(patient_harbour.index.target, Account(f"leaver{secrets.token_hex(4)}"))
    changes = []
    with running(doomed):
        harbour = replace(patient_harbour, first=doomed)
        for account in (ALICE, leaver):
            name = patient_harbour.push(chain := make_chain(2), account=account)
            changes.append((name, chain, pushing(harbour, name, account)))
        patient_index_restored.is_down = True
        index_command(patient_harbour.index.environ, "deactivate", leaver.name)
        for name, chain, token in changes:
            for tag in ("latest", "stable"):
                assert put_tag(harbour, token, name, tag, chain[0].id) == 200
        killed(doomed)
    folders = [patient_harbour.first.store / "repositories" / name for name, _, _ in changes]
    assert [(folder / "tag_stable").read_text() for folder in folders] == [chain[0].id for _, chain, _ in changes]
    with running(start_registry(tmp_path / "next", patient_index_restored.target.url, **settings)):
        patient_index_restored.is_down = False
        kept, refused = changes
        eventually(
            lambda: tags_in_the_index(patient_harbour, kept[0]) == dict.fromkeys(("latest", "stable"), kept[1][0].id),
            lambda: f"the index was never asked: {tags_in_the_index(patient_harbour, kept[0])}",
        )
        eventually(
            lambda: (folders[1] / "tag_latest").read_text() == refused[1][1].id,
            lambda: "what the index refuses stands",
        )
        eventually(lambda: not (Path(store) / "_pending").exists(), lambda: "a record is left")
        assert not (folders[1] / "tag_stable").exists()
        assert (folders[0] / "tag_stable").read_text() == kept[1][0].id


def test_an_index_that_does_not_answer_is_not_waited_for(harbour: Harbour, index_restored: IndexProxy) -> None:
    name = harbour.push(make_chain(1))
    token = harbour.token(name)
    index_restored.awake.clear()
    refused = read_tags(harbour.first.target, name, token)
    assert (refused.status, bool(refused.error())) == (503, True)
    with pytest.raises(Refused, match="tags"):
        harbour.daemon(V0_8).pull(name, refused=Refusal.DOWN)


def test_deleting_asks_index_registry_and_index(harbour: Harbour) -> None:
    """202 with a token, 200 at the registry, 200 when told that it is done (protocol §1.8)."""
    daemon = harbour.daemon(NEWEST)
    name = harbour.push(chain := make_chain(2), "doomed")
    pulling = harbour.token(name)
    basic, path = {"Authorization": daemon.basic}, f"DELETE /v1/repositories/{name}/"
    begun = call(harbour.index.target, path, basic)
    assert begun.status == 202
    assert begun.header("X-Docker-Endpoints") == harbour.first.target.netloc
    token = begun.header("X-Docker-Token") or ""
    assert "access=delete" in token
    assert call(harbour.first.target, path, pulling).status == 401
    deleting = {"Authorization": f"Token {token}"}
    assert call(harbour.first.target, path, deleting).status == 200
    assert call(harbour.first.target, path, deleting).status in (401, 404)
    assert call(harbour.index.target, path, basic).status == 200
    assert call(harbour.index.target, path, basic).status == 404
    with pytest.raises(Refused, match="images"):
        daemon.pull(name, refused=Refusal.UNKNOWN)
    assert daemon.search(name.partition("/")[2]) == []
    eventually(
        lambda: read_tags(harbour.first.target, name, pulling).status in (401, 404),
        lambda: "tags of a deleted repository are still told",
        patience=GRANT_SECONDS + 5,
    )
    daemon.push(name, chain)
    same_bytes(daemon.pull(name), chain)


def test_deleting_what_is_somebody_elses_is_refused(harbour: Harbour) -> None:
    name = harbour.push(make_chain(1))
    mallory = {"Authorization": harbour.daemon(NEWEST, MALLORY).basic}
    path = f"DELETE /v1/repositories/{name}/"
    assert call(harbour.index.target, path, mallory).status == 403
    assert call(harbour.index.target, path).status == 401
    assert call(harbour.first.target, path, mallory).status == 401
    assert call(harbour.first.target, path).status == 401


def test_repositories_stay_on_the_registry_they_were_first_pushed_to(harbour: Harbour) -> None:
    """The index announces where a repository lives, port included, and nothing else."""
    name = harbour.push(make_chain(1))
    basic = {"Authorization": harbour.daemon(NEWEST).basic, "X-Docker-Token": "true"}
    for line, body in ((f"GET /v1/repositories/{name}/images", None), (f"PUT /v1/repositories/{name}/", b"[]")):
        answer = call(harbour.index.target, line, basic, body)
        assert answer.headers_named("X-Docker-Endpoints") == [harbour.first.target.netloc]


def test_two_announced_registries_share_the_repositories_between_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, ports = tmp_path_factory.mktemp("two"), [free_port(), free_port()]
    index = start_index(folder / "index", [f"127.0.0.1:{port}" for port in ports])
    registries = [start_registry(folder / str(port), index.url, port) for port in ports]
    with running(*registries, index):
        sign_up(index.target, ALICE)
        daemon, homes = Daemon(NEWEST, index.target, ALICE.name, ALICE.password), {}
        for number in range(8):
            daemon.push(f"alice/spread{number}", chain := make_chain(1))
            homes[number] = {one.port for one in registries if (one.store / "images" / chain[0].id).exists()}
            daemon.push(f"alice/spread{number}", chain, "again")
            same_bytes(daemon.pull(f"alice/spread{number}", "again"), chain)
        assert all(len(home) == 1 for home in homes.values())
        assert {port for home in homes.values() for port in home} == set(ports)
