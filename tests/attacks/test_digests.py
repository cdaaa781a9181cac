"""A digest is no key either: by `/v2/` it opens to each caller what the image that has it would open by v1."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.attacks.test_possession import announce, daemon, private, push_by_hand, trojan
from tests.clients.images import Chain, make_chain
from tests.clients.wire import Answer, call
from tests.servers.services import Account
from tests.servers.setups import ALICE, MALLORY, SetUp

KINDS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)

EMPTY_BYTES = 100


@dataclass(frozen=True)
class Reader:
    """Somebody, or nobody, who asks a registry by `/v2/`."""

    split: SetUp
    account: Account | None = None

    def ask(self, name: str, rest: str, method: str = "GET", **headers: str) -> Answer:
        basic = {"Authorization": daemon(self.split, self.account).basic} if self.account else {}
        token = call(self.split.index, f"GET /v2/token?scope=repository:{name}:pull", basic).json()["token"]
        bearer = {"Authorization": f"Bearer {token}"}
        return call(self.split.registry, f"{method} /v2/{name}/{rest}", {**bearer, **headers})

    def digests(self, name: str) -> list[str]:
        """Of everything that a tag leads to, two manifests, the config and the layers; but for the layer of no files
        that all images here end in, and everybody has."""
        found = []
        for kind in KINDS:
            answer = self.ask(name, "manifests/latest", Accept=kind)
            assert answer.status == 200, answer
            found.append(f"manifests/{answer.header('Docker-Content-Digest')}")
        manifest = json.loads(answer.body)
        blobs = [each["digest"] for each in (manifest["config"], *manifest["layers"]) if each["size"] > EMPTY_BYTES]
        assert len(blobs) > 1
        return found + [f"blobs/{digest}" for digest in blobs]

    def statuses(self, name: str, digests: Iterable[str]) -> set[int]:
        return {self.ask(name, rest, method).status for rest in digests for method in ("GET", "HEAD")}


def facts(chain: Chain) -> str:
    """Where a registry tells what an image is by `/v2/`."""
    return f"_wharfinger/images/{chain[-1].id}"


def give_role(split: SetUp, name: str, account: Account, role: str) -> None:
    session = {"Authorization": daemon(split, ALICE).basic, "Content-Type": "application/json"}
    path = f"/api/v1/repositories/{name}/@roles/people/{account.name}"
    answer = call(split.index, f"PUT {path}", session, json.dumps({"role": role}).encode())
    assert answer.status < 300, answer


def pushed(split: SetUp, words: str, account: Account = ALICE, chain: Chain | None = None) -> tuple[str, Chain]:
    name, chain = split.fresh_name(words, account), chain or make_chain(2)
    daemon(split, account).push(name, chain)
    return name, chain


@pytest.mark.parametrize("role", [None, "read", "write", "admin"])
def test_what_is_private_opens_to_roles_only(split: SetUp, role: str | None) -> None:
    (name, chain), alice = pushed(split, "hidden"), Reader(split, ALICE)
    private(split, name)
    digests = [*alice.digests(name), facts(chain)]
    assert alice.statuses(name, digests) == {200}
    own, _ = pushed(split, "own", MALLORY)
    assert Reader(split).statuses(name, digests) == {401}
    if role is not None:
        give_role(split, name, MALLORY, role)
    mallory = Reader(split, MALLORY)
    assert mallory.statuses(name, [*digests, "tags/list", "manifests/latest"]) == {200 if role else 401}
    # In another repository they are as good as absent, even to who could read them here: as by v1.
    assert mallory.statuses(own, digests) == {404}
    assert Reader(split).statuses(own, digests) == {404}


def test_to_announce_an_image_opens_none_of_its_digests(split: SetUp) -> None:
    name, chain = pushed(split, "hidden")
    private(split, name)
    digests = [*Reader(split, ALICE).digests(name), facts(chain)]
    own, mallory = split.fresh_name("claims", MALLORY), Reader(split, MALLORY)
    announce(split, MALLORY, own, *chain)
    assert mallory.statuses(own, digests) <= {401, 404}
    daemon(split, MALLORY).push(own, chain)
    # Who has the bytes may have them.
    assert mallory.statuses(own, digests) == {200}


def test_who_squats_an_id_gives_nobody_other_digests(split: SetUp) -> None:
    chain = make_chain(2)
    squatted, name = split.fresh_name("squat", MALLORY), split.fresh_name("owned")
    push_by_hand(split, MALLORY, squatted, tuple(map(trojan, chain)))
    private(split, squatted)
    daemon(split, ALICE).push(name, chain)
    alice, mallory = Reader(split, ALICE), Reader(split, MALLORY)
    mine, theirs = alice.digests(name), mallory.digests(squatted)
    assert not set(mine) & set(theirs)
    for reader, where, own in ((alice, name, mine), (mallory, squatted, theirs)):
        told = reader.ask(where, facts(chain)).json()["manifests"]
        assert {f"manifests/{each['digest']}" for each in told} == set(own[:2])
    assert alice.statuses(name, mine) == mallory.statuses(squatted, theirs) == {200}
    assert alice.statuses(name, theirs) == {404}
    private(split, name)
    assert mallory.statuses(squatted, mine) == {404}


def test_what_a_public_repository_has_is_open_by_digest_as_by_v1(split: SetUp) -> None:
    (name, _), (own, _) = pushed(split, "open"), pushed(split, "own", MALLORY)
    digests = Reader(split, ALICE).digests(name)
    for reader in (Reader(split), Reader(split, MALLORY)):
        assert reader.statuses(name, digests) == reader.statuses(own, digests) == {200}


def test_a_token_that_was_revoked_opens_no_more_than_by_v1(split: SetUp) -> None:
    """A token of writing, and one of another repository, open nothing at all."""
    (name, chain), (other, _) = pushed(split, "hidden"), pushed(split, "other")
    private(split, name)
    written = announce(split, ALICE, name, *chain)["Authorization"].removeprefix("Token ")
    from_other = call(split.index, f"GET /v2/token?scope=repository:{other}:pull").json()["token"]
    for header in (f"Token {written}", f"Bearer {from_other}", "Bearer x", daemon(split, ALICE).basic):
        answer = call(split.registry, f"GET /v2/{name}/manifests/latest", {"Authorization": header})
        assert answer.status == 401, header
        assert 'realm="' in (answer.header("WWW-Authenticate") or "")
    assert call(split.registry, f"GET /v2/{name}/manifests/latest?token={from_other}").status == 401
