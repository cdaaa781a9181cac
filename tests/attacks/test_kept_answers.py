"""What nginx keeps of registries behind an index is what anybody may have, and no longer than their grants last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.attacks.test_possession import daemon, push_by_hand, trojan
from tests.clients.images import Chain, make_chain
from tests.clients.wire import Answer, Target, call
from tests.servers.faults import FaultProxy
from tests.servers.front import start_front
from tests.servers.process import free_port
from tests.servers.services import Account, index_command, running, sign_up, start_index, start_registry
from tests.servers.setups import ALICE, MALLORY, SetUp

TIMES = 6
GRANT_SECONDS = 8
PARTS = ("json", "ancestry", "layer")
MADE_UP = f"{'A' * 40}.{'B' * 80}"
MADE_UP_BEARER = {"Authorization": f"Bearer {'A' * 120}"}


@dataclass(frozen=True)
class Quay:
    """An index and a registry behind one nginx, and between nginx and the registry what sees each question."""

    setup: SetUp
    way: FaultProxy

    @property
    def front(self) -> Target:
        return self.setup.index

    def pushed(self, words: str = "kept") -> tuple[str, Chain]:
        name, chain = self.setup.fresh_name(words), make_chain(2)
        daemon(self.setup, ALICE).push(name, chain)
        return name, chain

    def get(self, path: str, headers: dict[str, str], method: str = "GET") -> Answer:
        return call(self.front, f"{method} {path}", headers)

    def asked(self, path: str, *headers: dict[str, str], method: str = "GET") -> tuple[int, set[int]]:
        """How often the registry was asked, for one request with each of these headers, and the statuses."""
        self.way.asked.clear()
        statuses = {self.get(path, each, method).status for each in headers}
        return sum(path in line for line in self.way.asked), statuses

    def is_kept(self, path: str, *headers: dict[str, str]) -> bool:
        """On a machine that stands still for some seconds, an answer may be asked for twice, and never each time."""
        number, statuses = self.asked(path, *headers)
        assert statuses == {200}
        return number < len(headers)

    def command(self, *words: str) -> None:
        assert self.setup.index_service is not None
        index_command(self.setup.index_service.environ, *words)


@pytest.fixture(scope="module")
def quay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quay]:
    folder, port, behind = tmp_path_factory.mktemp("quay"), free_port(), free_port()
    urls = f"127.0.0.1:{port}=http://127.0.0.1:{behind}"
    index = start_index(folder / "index", [f"127.0.0.1:{port}"], trusted_proxies="1", registry_urls=urls)
    registry = start_registry(
        folder / "registry",
        index.url,
        behind,
        trusted_proxies="1",
        delivery="nginx",
        grant_seconds=str(GRANT_SECONDS),
    )
    with running(index, registry), FaultProxy(registry.target) as way:
        front = start_front(
            folder / "nginx",
            port,
            indexes=[index.port],
            registries=[Target.parse(way.url).port],
            store=registry.store,
        )
        try:
            for account in (ALICE, MALLORY):
                sign_up(index.target, account)
            target = Target("http", "127.0.0.1", port)
            yield Quay(SetUp("front", target, target, registry, index), way)
        finally:
            front.stop()


def token(quay: Quay, name: str, account: Account | None = None) -> dict[str, str]:
    """The header with a token for reading, a new one each time."""
    known = {} if account is None else {"Authorization": daemon(quay.setup, account).basic}
    answer = call(quay.front, f"GET /v1/repositories/{name}/images", known | {"X-Docker-Token": "true"})
    assert answer.status == 200, answer
    return {"Authorization": f"Token {answer.header('X-Docker-Token')}"}


def bearer(quay: Quay, name: str, account: Account | None = None) -> dict[str, str]:
    """The same of `/v2/`."""
    known = {} if account is None else {"Authorization": daemon(quay.setup, account).basic}
    answer = call(quay.front, f"GET /v2/token?scope=repository:{name}:pull", known)
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def made_up(name: str) -> dict[str, str]:
    return {"Authorization": f'Token signature={MADE_UP},repository="{name}",access=read'}


def of_image(chain: Chain, part: str) -> str:
    return f"/v1/images/{chain[0].id}/{part}"


def v2_paths(quay: Quay, name: str, known: dict[str, str]) -> list[str]:
    """A manifest by its digest, a config and a layer."""
    manifest = quay.get(f"/v2/{name}/manifests/latest", known)
    assert manifest.status == 200, manifest
    digests = (manifest.json()["config"]["digest"], manifest.json()["layers"][0]["digest"])
    return [
        f"/v2/{name}/manifests/{manifest.header('Docker-Content-Digest')}",
        *(f"/v2/{name}/blobs/{digest}" for digest in digests),
    ]


@pytest.mark.parametrize("part", PARTS)
def test_one_answer_about_a_public_image_serves_many_tokens(quay: Quay, part: str) -> None:
    name, chain = quay.pushed()
    readers = [token(quay, name, account) for account in (ALICE, MALLORY, None) * 3]
    assert quay.is_kept(of_image(chain, part), *readers)
    answers = {quay.get(of_image(chain, part), reader).body for reader in readers}
    assert len(answers) == 1
    assert quay.get(of_image(chain, part), readers[0]).header("X-Accel-Expires") is None


def test_one_answer_to_clients_of_v2_serves_many_tokens(quay: Quay) -> None:
    name, _ = quay.pushed()
    readers = [bearer(quay, name, account) for account in (ALICE, MALLORY, None) * 2]
    for path in v2_paths(quay, name, readers[0]):
        assert quay.is_kept(path, *readers), path


def test_nothing_is_kept_of_a_private_repository(quay: Quay) -> None:
    name, chain = quay.pushed()
    quay.command("set-access", name, "private")
    for part in PARTS:
        owners = [token(quay, name, ALICE) for _ in range(TIMES)]
        assert quay.asked(of_image(chain, part), *owners) == (TIMES, {200})
        assert quay.asked(of_image(chain, part), made_up(name), {}) == (2, {401})
    owner = bearer(quay, name, ALICE)
    for path in v2_paths(quay, name, owner):
        assert quay.asked(path, *[owner] * TIMES) == (TIMES, {200})
        assert quay.asked(path, bearer(quay, name, MALLORY), MADE_UP_BEARER, {}) == (3, {401})


def make_private(quay: Quay, name: str) -> None:
    quay.command("set-access", name, "private")


def transfer(quay: Quay, name: str) -> None:
    quay.command("rename", name, f"{name}-moved")


def delete(quay: Quay, name: str) -> None:
    line = f"DELETE /v1/repositories/{name}/"
    asking = {"Authorization": daemon(quay.setup, ALICE).basic, "X-Docker-Token": "true"}
    answer = call(quay.front, line, asking)
    assert answer.status == 202, answer
    assert call(quay.front, line, {"Authorization": f"Token {answer.header('X-Docker-Token')}"}).status == 200


@pytest.mark.parametrize("deed", [make_private, transfer, delete])
def test_what_is_no_longer_public_is_closed_when_the_last_grant_ends(
    quay: Quay, deed: Callable[[Quay, str], None]
) -> None:
    """Until then it is kept warm by whoever has a grant still, for whoever never had one."""
    name, chain = quay.pushed("closing")
    stranger, today = token(quay, name, MALLORY), bearer(quay, name, MALLORY)
    asked = [(of_image(chain, part), reader) for part in PARTS for reader in (stranger, made_up(name))]
    for path in v2_paths(quay, name, today):
        asked += [(path, reader) for reader in (today, MADE_UP_BEARER)]
    for path, reader in asked:
        assert quay.get(path, reader).status == 200
    deed(quay, name)
    until = time.monotonic() + GRANT_SECONDS
    while time.monotonic() < until:
        for path, reader in asked:
            quay.get(path, reader)
        time.sleep(0.1)
    for path, reader in asked:
        assert quay.get(path, reader).status in (401, 404), path


def test_each_repository_has_its_own_image_of_an_id(quay: Quay) -> None:
    """A stranger has other content under the same ids, in a public repository too."""
    name, chain = quay.pushed()
    other = quay.setup.fresh_name("trojan", MALLORY)
    theirs = tuple(map(trojan, chain))
    push_by_hand(quay.setup, MALLORY, other, theirs)
    for _ in range(2):
        for _ in range(3):
            assert quay.get(of_image(chain, "layer"), token(quay, other)).body == theirs[0].layer
            assert quay.get(of_image(chain, "layer"), token(quay, name)).body == chain[0].layer
            assert quay.get(of_image(chain, "json"), token(quay, other)).body == theirs[0].json
            assert quay.get(of_image(chain, "json"), token(quay, name)).body == chain[0].json


def test_a_token_of_another_repository_opens_nothing_that_was_kept(quay: Quay) -> None:
    name, chain = quay.pushed()
    other, _ = quay.pushed()
    quay.command("set-access", name, "private")
    owner = token(quay, name, ALICE)
    for part in PARTS:
        assert quay.asked(of_image(chain, part), *[owner] * TIMES) == (TIMES, {200})
        assert quay.asked(of_image(chain, part), *(token(quay, other) for _ in range(3))) == (3, {404})


def test_a_token_that_writes_is_asked_about_each_time(quay: Quay) -> None:
    """A daemon that pushes takes 200 for: it is there already."""
    name, chain = quay.pushed()
    assert quay.is_kept(of_image(chain, "json"), *[token(quay, name)] * TIMES)
    listed = json.dumps([{"id": image.id} for image in chain]).encode()
    asking = {"Authorization": daemon(quay.setup, ALICE).basic, "X-Docker-Token": "true"}
    answer = call(quay.front, f"PUT /v1/repositories/{name}/", asking, listed)
    writer = {"Authorization": f"Token {answer.header('X-Docker-Token')}"}
    assert quay.asked(of_image(chain, "json"), *[writer] * TIMES) == (TIMES, {200})
    forged = {"Authorization": made_up(name)["Authorization"].replace("read", "write")}
    assert quay.asked(of_image(chain, "json"), forged) == (1, {401})


def test_only_one_way_to_write_a_token_is_answered_from_what_is_kept(quay: Quay) -> None:
    name, chain = quay.pushed()
    path, text = of_image(chain, "json"), made_up(name)["Authorization"]
    assert quay.is_kept(path, *[token(quay, name)] * TIMES)
    spellings = [
        text.replace("Token", "token"),
        text.replace(",", ", "),
        text.replace("Token ", "Token Token "),
        f"{text},{text.removeprefix('Token ')}",
        text.replace(f'"{name}"', name),
        text.replace("access", "Access"),
        text.replace(name, f"{name} x"),
        text.replace(name, f"x/y:{name}"),
        "Basic YTpi",
        "",
    ]
    headers = [{"Authorization": spelling} for spelling in spellings]
    assert quay.asked(path, *headers) == (len(spellings), {401})


def test_conditions_ranges_and_heads_are_answered_as_ever(quay: Quay) -> None:
    name, chain = quay.pushed()
    reader, image = token(quay, name), chain[0]
    for part, whole in (("json", image.json), ("layer", image.layer)):
        path = of_image(chain, part)
        for _ in range(2):
            answer = quay.get(path, reader)
            assert (answer.status, answer.body) == (200, whole)
            head = quay.get(path, reader, "HEAD")
            assert (head.status, head.header("Content-Length"), head.body) == (200, str(len(whole)), b"")
            known = {"If-None-Match": answer.header("ETag") or ""}
            assert quay.get(path, reader | known).status == 304
    path, length = of_image(chain, "layer"), len(image.layer)
    part = quay.get(path, reader | {"Range": f"bytes=10-{length}"})
    assert (part.status, part.body) == (206, image.layer[10:])
    assert quay.get(path, reader | {"Range": f"bytes={length}-{length}"}).status == 416
    for headers in ({"Range": "bytes=1-"}, {"If-None-Match": '"x"'}):
        assert quay.asked(path, made_up(name) | headers) == (1, {401})


def test_pages_of_other_origins_and_queries_are_asked_about_each_time(quay: Quay) -> None:
    name, chain = quay.pushed()
    path = of_image(chain, "json")
    assert quay.is_kept(path, *[token(quay, name)] * TIMES)
    assert quay.asked(path, *[made_up(name) | {"Origin": "http://other.example"}] * 3) == (3, {401})
    assert quay.asked(f"{path}?a=b", *[made_up(name)] * 3) == (3, {401})


def test_what_opened_a_query_is_not_kept_for_those_without(quay: Quay) -> None:
    """The index sends clients of v2 on with a token in the query."""
    name, _ = quay.pushed()
    known = bearer(quay, name)
    word = known["Authorization"].removeprefix("Bearer ")
    for path in v2_paths(quay, name, known):
        assert call(quay.front, f"GET {path}?token={word}").status == 200
        assert call(quay.front, f"GET {path}").status == 401
