"""An id is a name and no key: whoever announces, guesses or squats it gets no image of others, and gives them none."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.clients.docker_v1 import Daemon, Refusal, Refused
from tests.clients.generations import NEWEST, V0_8, V1_6, Generation
from tests.clients.images import Chain, Image, make_chain, make_tar, pack
from tests.clients.wire import Answer, call
from tests.journeys.test_generations import same_bytes
from tests.servers.services import Account, index_command, sign_up
from tests.servers.setups import ALICE, MALLORY, SetUp

PARTS = ("json", "layer", "ancestry", "files", "diff")


def daemon(split: SetUp, account: Account, generation: Generation = NEWEST) -> Daemon:
    return Daemon(generation, split.index, account.name, account.password)


def private(split: SetUp, name: str) -> None:
    assert split.index_service is not None
    index_command(split.index_service.environ, "set-access", name, "private")


def announce(split: SetUp, account: Account, name: str, *images: Image) -> dict[str, str]:
    """Begin a push of these images; the header with its write token."""
    listed = json.dumps([{"id": image.id} for image in images]).encode()
    headers = {"Authorization": daemon(split, account).basic, "X-Docker-Token": "true"}
    answer = call(split.index, f"PUT /v1/repositories/{name}/", headers, listed)
    assert answer.status == 200, answer
    return {"Authorization": f"Token {answer.header('X-Docker-Token')}"}


def upload(split: SetUp, token: dict[str, str], image: Image) -> Answer:
    """Push one image's parts; the answer to the last."""
    for part, body, headers in (
        ("json", image.json, {}),
        ("layer", image.layer, {}),
        ("checksum", b"", {"X-Docker-Checksum-Payload": image.payload}),
    ):
        answer = call(split.registry, f"PUT /v1/images/{image.id}/{part}", token | headers, body)
        if answer.status != 200:
            break
    return answer


def tagged(split: SetUp, token: dict[str, str], name: str, image: Image, tag: str = "latest") -> Answer:
    return call(split.registry, f"PUT /v1/repositories/{name}/tags/{tag}", token, json.dumps(image.id).encode())


def read(split: SetUp, token: dict[str, str], image: Image, part: str = "layer") -> Answer:
    return call(split.registry, f"GET /v1/images/{image.id}/{part}", token)


def with_tar(image: Image, tar: bytes, packing: str = "gzip") -> Image:
    return replace(image, tar=tar, chunks=pack(tar, packing))


def trojan(image: Image) -> Image:
    """Another layer, and another command, under the same id."""
    evil = json.loads(image.json) | {"config": {"Cmd": ["/evil"]}}
    return replace(with_tar(image, make_tar({"bin/sh": b"trojan"})), json=json.dumps(evil).encode())


def repacked(image: Image) -> Image:
    return with_tar(image, image.tar, "xz")


def two_entries(*contents: bytes) -> bytes:
    """A tar that names one file more than once."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for content in contents:
            info = tarfile.TarInfo("bin/sh")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def push_by_hand(split: SetUp, account: Account, name: str, chain: Chain) -> dict[str, str]:
    token = announce(split, account, name, *chain)
    for image in chain:
        assert upload(split, token, image).status == 200
    assert tagged(split, token, name, chain[-1]).status == 200
    return token


@pytest.mark.parametrize("generation", [V0_8, V1_6, NEWEST], ids=str)
@pytest.mark.parametrize("hides", [False, True], ids=["public", "private"])
@pytest.mark.parametrize("length", [1, 3], ids=["base", "chain"])
def test_who_squats_an_id_before_its_owner_is_in_nobodys_way(
    split: SetUp, generation: Generation, hides: bool, length: int
) -> None:
    """Docker since 1.10 computes ids, so that a stranger can do so first."""
    chain = make_chain(3, content_ids=generation is NEWEST)
    squatted, name = split.fresh_name("squat", MALLORY), split.fresh_name("owned")
    push_by_hand(split, MALLORY, squatted, tuple(map(trojan, chain[:length])))
    if hides:
        private(split, squatted)
    sent = daemon(split, ALICE, generation).push(name, chain)
    assert sent == [image.id for image in chain]
    for reader in (daemon(split, ALICE, generation), daemon(split, MALLORY, V1_6)):
        same_bytes(reader.pull(name), chain)
    assert daemon(split, ALICE, generation).push(name, chain, "again") == []


def test_who_pushes_an_id_between_announcement_and_upload_is_in_nobodys_way(split: SetUp) -> None:
    chain, name = make_chain(3), split.fresh_name("raced")
    token = announce(split, ALICE, name, *chain)
    push_by_hand(split, MALLORY, split.fresh_name("racer", MALLORY), tuple(map(trojan, chain)))
    for image in chain:
        assert read(split, token, image, "json").status == 404
        assert upload(split, token, image).status == 200
    assert tagged(split, token, name, chain[-1]).status == 200
    same_bytes(daemon(split, ALICE).pull(name), chain)


def test_who_pushes_an_id_afterwards_changes_nothing_and_keeps_his_own(split: SetUp) -> None:
    chain = make_chain(2)
    name, squatted = split.fresh_name("first"), split.fresh_name("late", MALLORY)
    daemon(split, ALICE).push(name, chain)
    evil = tuple(map(trojan, chain))
    push_by_hand(split, MALLORY, squatted, evil)
    same_bytes(daemon(split, ALICE).pull(name), chain)
    same_bytes(daemon(split, ALICE).pull(squatted), evil)
    again = split.fresh_name("again")
    daemon(split, ALICE).push(again, chain)
    same_bytes(daemon(split, MALLORY).pull(again), chain)


@pytest.mark.parametrize("second", [lambda image: image, repacked], ids=["same bytes", "same files"])
def test_the_same_image_is_taken_from_both_and_stored_once(split: SetUp, second: Callable[[Image], Image]) -> None:
    chain, names = make_chain(2), [split.fresh_name("one"), split.fresh_name("other", MALLORY)]
    push_by_hand(split, ALICE, names[0], chain)
    push_by_hand(split, MALLORY, names[1], tuple(map(second, chain)))
    for name in names:
        same_bytes(daemon(split, MALLORY).pull(name), chain)
    assert not list((split.registry_service.store / "_apart").glob(f"*/*/{chain[0].id}"))


@pytest.mark.parametrize(
    ("tar", "others"),
    [
        (two_entries(b"good", b"evil"), two_entries(b"evil", b"good")),
        (two_entries(b"good"), two_entries(b"good") + two_entries(b"evil")),
        (two_entries(b"good"), two_entries(b"good").replace(b"0000644", b"0004755", 1)),
    ],
    ids=["order of duplicates", "behind the end", "setuid with a broken checksum"],
)
def test_what_only_looks_like_the_same_is_kept_apart(split: SetUp, tar: bytes, others: bytes) -> None:
    (image,) = make_chain(1)
    mine, squatted = with_tar(image, tar), with_tar(image, others)
    push_by_hand(split, MALLORY, split.fresh_name("alike", MALLORY), (squatted,))
    name = split.fresh_name("alike")
    push_by_hand(split, ALICE, name, (mine,))
    same_bytes(daemon(split, ALICE).pull(name), (mine,))


def test_what_is_announced_is_in_no_public_list(split: SetUp) -> None:
    name, chain = split.fresh_name("begun"), make_chain(2)
    daemon(split, ALICE).push(name, chain)
    more = make_chain(1)
    announce(split, ALICE, name, *more)
    public = call(split.index, f"GET /v1/repositories/{name}/images")
    assert {entry["id"] for entry in public.json()} == {image.id for image in chain}


def test_to_list_a_public_image_is_not_to_hold_it(split: SetUp) -> None:
    """Else the right would outlive its reason: here the index asks the registry about both, and then one hides."""
    name, chain = split.fresh_name("shown"), make_chain(1)
    daemon(split, ALICE).push(name, chain)
    own = split.fresh_name("lister", MALLORY)
    announce(split, MALLORY, own, *chain)
    basic = {"Authorization": daemon(split, MALLORY).basic}
    listed = json.dumps([{"id": chain[0].id}]).encode()
    assert call(split.index, f"PUT /v1/repositories/{own}/images", basic, listed).status == 204
    pulling = call(split.index, f"GET /v1/repositories/{own}/images", basic | {"X-Docker-Token": "true"})
    token = {"Authorization": f"Token {pulling.header('X-Docker-Token')}"}
    assert read(split, token, chain[0]).status == 200
    private(split, name)
    again = call(split.index, f"GET /v1/repositories/{own}/images", basic | {"X-Docker-Token": "true"})
    assert read(split, {"Authorization": f"Token {again.header('X-Docker-Token')}"}, chain[0]).status == 404


def test_a_public_image_may_be_tagged_and_built_upon(split: SetUp) -> None:
    base_name, base = split.fresh_name("base"), make_chain(2)
    daemon(split, ALICE).push(base_name, base)
    own = split.fresh_name("promoted", MALLORY)
    token = announce(split, MALLORY, own, *base)
    assert tagged(split, token, own, base[-1]).status == 200
    same_bytes(daemon(split, ALICE).pull(own), base)


def dismissed(split: SetUp) -> Account:
    return sign_up(split.index, Account(f"leaver{split.fresh_name().rpartition('-')[2]}"))


@pytest.mark.parametrize("line", ["PUT", "DELETE"])
def test_who_was_dismissed_moves_no_tag_any_more(split: SetUp, line: str) -> None:
    """The registry's grant lives on for a while; the index is asked first, and the store stays as it was."""
    assert split.index_service is not None
    leaver, chain = dismissed(split), make_chain(2)
    name = split.fresh_name("left", leaver)
    token = push_by_hand(split, leaver, name, chain)
    index_command(split.index_service.environ, "deactivate", leaver.name)
    tag = split.registry_service.store / "repositories" / name / "tag_latest"
    if line == "PUT":
        refused = tagged(split, token, name, chain[0])
    else:
        refused = call(split.registry, f"DELETE /v1/repositories/{name}/tags/latest", token)
    assert refused.status == 401
    assert tag.read_text() == chain[-1].id


def test_properties_of_a_registry_are_the_visibility_that_the_index_has(split: SetUp) -> None:
    name, chain = split.fresh_name("shown"), make_chain(1)
    token = push_by_hand(split, ALICE, name, chain)
    line = f"/v1/repositories/{name}/properties"
    assert call(split.registry, f"GET {line}", token).json() == {"access": "public"}
    assert call(split.registry, f"PUT {line}", token, b'{"access": "private"}').status == 200
    assert call(split.registry, f"GET {line}", token).json() == {"access": "private"}
    for caller in (daemon(split, MALLORY), Daemon(NEWEST, split.index)):
        with pytest.raises(Refused, match="images"):
            caller.pull(name, refused=Refusal.UNKNOWN)
    same_bytes(daemon(split, ALICE).pull(name), chain)


def test_who_only_writes_does_not_change_who_may_read(split: SetUp) -> None:
    name = split.fresh_name("shown")
    push_by_hand(split, ALICE, name, make_chain(1))
    session = {"Authorization": daemon(split, ALICE).basic, "Content-Type": "application/json"}
    role = call(
        split.index, f"PUT /api/v1/repositories/{name}/@roles/people/{MALLORY.name}", session, b'{"role": "write"}'
    )
    assert role.status < 300, role
    token = announce(split, MALLORY, name)
    refused = call(split.registry, f"PUT /v1/repositories/{name}/properties", token, b'{"access": "private"}')
    assert (refused.status, refused.error()) == (403, "Only administrators of a repository change who may read it")
    assert call(split.registry, f"GET /v1/repositories/{name}/properties", token).json() == {"access": "public"}


def test_announcing_an_image_opens_nothing_of_it(split: SetUp) -> None:
    name, chain = split.fresh_name("hidden"), make_chain(2)
    daemon(split, ALICE).push(name, chain)
    private(split, name)
    own = split.fresh_name("claims", MALLORY)
    token = announce(split, MALLORY, own, *chain)
    for image in chain:
        for part in PARTS:
            refused = read(split, token, image, part)
            assert (refused.status, refused.error()) == (404, "Image not found"), part
        refused = tagged(split, token, own, image)
        assert (refused.status, refused.error()) == (404, "Image not found")
    (child,) = make_chain(1)
    child = replace(child, json=json.dumps(json.loads(child.json) | {"parent": chain[-1].id}).encode())
    token = announce(split, MALLORY, own, *chain, child)
    refused = upload(split, token, child)
    absent = replace(child, json=json.dumps(json.loads(child.json) | {"parent": "e" * 64}).encode())
    assert (refused.status, refused.body) == (400, upload(split, token, absent).body)


def test_concluding_a_push_of_nothing_opens_nothing_either(split: SetUp) -> None:
    name, chain = split.fresh_name("hidden"), make_chain(1)
    daemon(split, ALICE).push(name, chain)
    private(split, name)
    own = split.fresh_name("claims", MALLORY)
    token = announce(split, MALLORY, own, *chain)
    listed = json.dumps([{"id": chain[0].id}]).encode()
    basic = {"Authorization": daemon(split, MALLORY).basic}
    assert call(split.index, f"PUT /v1/repositories/{own}/images", basic, listed).status == 204
    told = call(split.index, f"PUT /v1/repositories/{own}/tags/latest", token, json.dumps(chain[0].id).encode())
    assert told.status == 200, "the index believes nobody but its registry, which it asks"
    anonymous = call(split.index, f"GET /v1/repositories/{own}/images", {"X-Docker-Token": "true"})
    pulling = {"Authorization": f"Token {anonymous.header('X-Docker-Token')}"}
    for bearer in (token, pulling):
        for part in PARTS:
            assert read(split, bearer, chain[0], part).status == 404, part
