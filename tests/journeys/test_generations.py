"""Every generation of daemon against every set-up: log in, push, push again, pull, search, be refused."""

from __future__ import annotations

import pytest

from tests.clients.docker_v1 import Daemon, Pulled, Refusal, Refused
from tests.clients.generations import GENERATIONS, NEWEST, V0_5, V0_8, V1_6, Generation
from tests.clients.images import Chain, make_chain
from tests.clients.wire import call
from tests.servers.services import ADMIN, Account
from tests.servers.setups import ALICE, ALL, MALLORY, SetUp

every_generation = pytest.mark.parametrize("generation", GENERATIONS, ids=str)
every_setup = pytest.mark.parametrize("setup", ALL, indirect=True)
both_kinds = pytest.mark.parametrize("setup", ["split-http", "standalone-tls"], indirect=True)
a_few = pytest.mark.parametrize("generation", [V0_5, V0_8, V1_6, NEWEST], ids=str)


def daemon_of(generation: Generation, setup: SetUp, account: Account | None = ALICE) -> Daemon:
    name, password = (account.name, account.password) if account else ("", "")
    return Daemon(generation, setup.index, name, password)


def chain_for(generation: Generation, length: int = 3) -> Chain:
    return make_chain(
        length,
        packing=generation.packing,
        trailer=generation.writes_trailer,
        content_ids=generation.content_ids,
    )


def same_bytes(pulled: list[Pulled], chain: Chain) -> None:
    """What came back is what was pushed, the top image first, every byte of it."""
    assert [image.id for image in pulled] == [image.id for image in reversed(chain)]
    for got, pushed in zip(pulled, reversed(chain), strict=True):
        assert got.json == pushed.json
        assert got.layer == pushed.layer
        assert got.size == len(pushed.layer)


@every_setup
@every_generation
def test_a_daemon_logs_in_pushes_pulls_and_searches(setup: SetUp, generation: Generation) -> None:
    daemon = daemon_of(generation, setup)
    name, chain = setup.fresh_name("whole"), chain_for(generation)
    daemon.login()
    assert daemon.push(name, chain, "one") == [image.id for image in chain]
    assert daemon.push(name, chain, "one") == [], "the second push sent layers again"
    same_bytes(daemon.pull(name, "one"), chain)
    assert [result["name"] for result in daemon.search(name.partition("/")[2])] == [name]


@both_kinds
@every_generation
def test_a_new_tag_on_top_of_a_known_base_sends_only_what_is_new(setup: SetUp, generation: Generation) -> None:
    daemon = daemon_of(generation, setup)
    name, chain = setup.fresh_name("grown"), chain_for(generation)
    daemon.push(name, chain[:2], "old")
    assert daemon.push(name, chain, "new") == [chain[2].id]
    same_bytes(daemon.pull(name, "new"), chain)
    same_bytes(daemon.pull(name, "old"), chain[:2])


@every_generation
@pytest.mark.parametrize("pulling", [V0_8, NEWEST], ids=str)
def test_what_one_generation_pushed_another_pulls(split: SetUp, generation: Generation, pulling: Generation) -> None:
    name, chain = split.fresh_name("mixed"), chain_for(generation)
    daemon_of(generation, split).push(name, chain)
    same_bytes(daemon_of(pulling, split).pull(name), chain)


@every_generation
def test_the_standalone_registry_serves_whoever_is_not_logged_in(standalone: SetUp, generation: Generation) -> None:
    nobody = daemon_of(generation, standalone, None)
    name, chain = standalone.fresh_name("open"), chain_for(generation)
    nobody.push(name, chain)
    same_bytes(nobody.pull(name), chain)


@every_generation
@pytest.mark.parametrize("setup", ["standalone-tls"], indirect=True)
def test_basic_with_an_empty_name_is_no_obstacle_over_tls(setup: SetUp, generation: Generation) -> None:
    nobody = daemon_of(generation, setup, None)
    name, chain = setup.fresh_name("anonymous"), chain_for(generation)
    nobody.push(name, chain)
    same_bytes(nobody.pull(name), chain)


@every_generation
@both_kinds
def test_a_bare_name_and_library_are_one_repository(setup: SetUp, generation: Generation) -> None:
    """Daemons push `X` and read tags of `library/X` within one command (protocol §1.2)."""
    daemon = daemon_of(generation, setup, ADMIN)
    name, chain = setup.fresh_name().partition("/")[2], chain_for(generation)
    daemon.push(name, chain)
    same_bytes(daemon.pull(name), chain)
    same_bytes(daemon.pull(f"library/{name}"), chain)


@pytest.mark.parametrize("generation", [one for one in GENERATIONS if one.many_slashes], ids=str)
@every_setup
def test_names_of_many_components(setup: SetUp, generation: Generation) -> None:
    daemon, chain = daemon_of(generation, setup), chain_for(generation)
    name = setup.fresh_name("team") + "/tools/builder"
    daemon.push(name, chain)
    same_bytes(daemon.pull(name), chain)


@a_few
def test_the_official_index_is_not_pinged(split: SetUp, generation: Generation) -> None:
    """It is what it is: never standalone, never asked (protocol §1.3)."""
    daemon = Daemon(generation, split.index, ALICE.name, ALICE.password, official=True)
    name, chain = split.fresh_name("official"), chain_for(generation)
    daemon.push(name, chain)
    assert "ping" not in {step.name for step in daemon.steps}
    same_bytes(daemon.pull(name), chain)


@pytest.mark.parametrize("setup", ["standalone-http", "standalone-tls"], indirect=True)
def test_an_image_is_pushed_by_its_id_alone(setup: SetUp) -> None:
    """Docker to 1.5 could, without asking any index and with an empty token (protocol §1.7)."""
    for image in make_chain(2):
        token, path = {"Authorization": "Token "}, f"/v1/images/{image.id}"
        checksum = {"X-Docker-Checksum": image.tarsum, "X-Docker-Checksum-Payload": image.payload}
        assert call(setup.registry, f"PUT {path}/json", token, image.json).status == 200
        assert call(setup.registry, f"PUT {path}/layer", token, chunks=image.chunks).status == 200
        assert call(setup.registry, f"PUT {path}/checksum", token | checksum, b"").status == 200
        assert call(setup.registry, f"GET {path}/layer", token).body == image.layer


@every_generation
def test_strangers_may_pull_what_is_public_and_push_nothing(split: SetUp, generation: Generation) -> None:
    name, chain = split.fresh_name("public"), chain_for(generation)
    daemon_of(generation, split).push(name, chain)
    nobody = daemon_of(generation, split, None)
    same_bytes(nobody.pull(name), chain)
    with pytest.raises(Refused, match="begin push"):
        nobody.push(name, chain, refused=Refusal.NOT_LOGGED_IN)
    with pytest.raises(Refused, match="begin push"):
        daemon_of(generation, split, MALLORY).push(name, chain, refused=Refusal.NOT_ALLOWED)


@a_few
def test_a_wrong_password_is_refused_everywhere(split: SetUp, generation: Generation) -> None:
    name, chain = split.fresh_name("guarded"), chain_for(generation)
    daemon_of(generation, split).push(name, chain)
    liar = daemon_of(generation, split, Account(ALICE.name, f"wrong-{generation}"))
    with pytest.raises(Refused, match="credentials"):
        liar.login(refused=Refusal.WRONG_PASSWORD)
    with pytest.raises(Refused, match="begin push"):
        liar.push(name, chain, refused=Refusal.WRONG_PASSWORD)
    with pytest.raises(Refused, match="images"):
        liar.pull(name, refused=Refusal.WRONG_PASSWORD)


@every_generation
@both_kinds
def test_what_does_not_exist_is_told_as_daemons_expect(setup: SetUp, generation: Generation) -> None:
    daemon = daemon_of(generation, setup)
    with pytest.raises(Refused, match="images"):
        daemon.pull(setup.fresh_name("absent"), refused=Refusal.UNKNOWN)
    name, chain = setup.fresh_name("present"), chain_for(generation, 1)
    daemon.push(name, chain)
    with pytest.raises(Refused, match="tags"):
        daemon.pull(name, "no-such-tag", refused=Refusal.UNKNOWN_TAG)
