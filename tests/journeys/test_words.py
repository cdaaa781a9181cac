"""A path means one thing: repositories and tags that are called as parts of paths are, at every door."""

from __future__ import annotations

import json

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST, V1_6
from tests.clients.images import make_chain
from tests.clients.wire import call
from tests.servers.setups import ALICE, SetUp

WORDS = ("images", "tags", "auth", "json", "layer", "ancestry", "properties", "access", "search", "users", "_ping")
DOORS = ["split-http", "one-host-http", "standalone-http"]


def alice(setup: SetUp) -> Daemon:
    return Daemon(V1_6, setup.index, ALICE.name, ALICE.password)


@pytest.mark.parametrize("setup", DOORS, indirect=True)
def test_every_word_is_a_tag(setup: SetUp) -> None:
    name, chain = setup.fresh_name("words"), make_chain(1)
    daemon = alice(setup)
    for tag in WORDS:
        daemon.push(name, chain, tag)
        # A current one asks for this tag alone, which is where a path could mean something else.
        assert Daemon(NEWEST, setup.index, ALICE.name, ALICE.password).pull(name, tag)[0].id == chain[-1].id
    begun = call(
        setup.index, f"GET /v1/repositories/{name}/images", {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    )
    token = {"Authorization": f"Token {begun.header('X-Docker-Token')}"}
    listed = call(setup.registry, f"GET /v1/repositories/{name}/tags", token)
    assert listed.json() == dict.fromkeys(WORDS, chain[-1].id)
    for tag in WORDS:
        by_password = call(setup.index, f"GET /v1/repositories/{name}/tags/{tag}", {"Authorization": daemon.basic})
        assert by_password.json() == chain[-1].id, tag
        described = call(setup.registry, f"GET /v1/repositories/{name}/tags/{tag}/json", token)
        assert "last_update" in described.json(), tag


@pytest.mark.parametrize("setup", DOORS, indirect=True)
@pytest.mark.parametrize("word", [word for word in WORDS if word not in ("tags", "_ping")])
def test_every_word_is_a_repository(setup: SetUp, word: str) -> None:
    name, chain = f"{setup.fresh_name('words')}/{word}", make_chain(1)
    daemon = alice(setup)
    daemon.push(name, chain, "images")
    for tag in ("images", "properties"):
        daemon.push(name, chain, tag)
    assert Daemon(NEWEST, setup.index, ALICE.name, ALICE.password).pull(name, "images")[0].id == chain[-1].id
    asked = {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    deleted = call(setup.index, f"DELETE /v1/repositories/{name}/", asked)
    if not setup.standalone:
        assert deleted.status == 202
        token = {"Authorization": f"Token {deleted.header('X-Docker-Token')}"}
        deleted = call(setup.registry, f"DELETE /v1/repositories/{name}/", token)
        assert call(setup.index, f"DELETE /v1/repositories/{name}/", asked).status == 200
    assert deleted.status == 200
    assert call(setup.index, f"GET /v1/repositories/{name}/images", asked).status == 404


@pytest.mark.parametrize("setup", DOORS, indirect=True)
@pytest.mark.parametrize("name", ["alice/tags", "alice/app/tags", "alice/tags/app", "alice/a/tags/b"])
def test_a_repository_that_is_read_as_a_tag_is_refused_before_its_first_byte(setup: SetUp, name: str) -> None:
    daemon = alice(setup)
    asked = {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    refused = call(
        setup.index, f"PUT /v1/repositories/{name}/", asked, json.dumps([{"id": make_chain(1)[0].id}]).encode()
    )
    assert refused.status == 400
    assert "'tags' cannot be a part of it" in refused.error()
