"""What tools that are no daemons send, request by request: nobody can change them any more."""

from __future__ import annotations

import base64
import json

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.images import Chain, make_chain
from tests.clients.wire import Answer, call
from tests.servers.setups import ALICE, SetUp


def basic(name: str = ALICE.name, password: str = ALICE.password) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def google_push(setup: SetUp, name: str, chain: Chain, entries: list[dict[str, str]]) -> Answer:
    """Push as Google's `containerregistry` does: one token for everything, and no checksum at all."""
    asked = basic() | {"X-Docker-Token": "true"}
    begun = call(setup.index, f"PUT /v1/repositories/{name}/", asked, json.dumps(entries).encode())
    assert begun.status in (200, 201)
    token = {"Authorization": f"Token {begun.header('X-Docker-Token')}"}
    endpoint = setup.registry.at(begun.header("X-Docker-Endpoints") or "")
    for image in chain:
        assert call(endpoint, f"GET /v1/images/{image.id}/json", token).status == 404
        for part, body in (("json", image.json), ("layer", image.layer)):
            answer = call(endpoint, f"PUT /v1/images/{image.id}/{part}", token, body)
            assert answer.status == 200, (part, str(answer))
    tagged = call(endpoint, f"PUT /v1/repositories/{name}/tags/one", token, f'"{chain[-1].id}"'.encode())
    assert tagged.status == 200, str(tagged)
    return call(setup.index, f"PUT /v1/repositories/{name}/images", basic(), b"[]")


def read_token(setup: SetUp, name: str) -> dict[str, str]:
    listed = call(setup.index, f"GET /v1/repositories/{name}/images", basic() | {"X-Docker-Token": "true"})
    return {"Authorization": f"Token {listed.header('X-Docker-Token')}"}


@pytest.mark.parametrize("setup", ["standalone-http", "split-http"], indirect=True)
@pytest.mark.parametrize("images", [1, 3])
def test_a_client_without_checksums_pushes(setup: SetUp, images: int) -> None:
    name, chain = setup.fresh_name("google"), make_chain(images)
    # An index has to be told which images come; a registry alone takes the client's empty list.
    entries = [] if setup.standalone else [{"id": image.id} for image in chain]
    assert google_push(setup, name, chain, entries).status == 204
    token = read_token(setup, name)
    ancestry = call(setup.registry, f"GET /v1/images/{chain[-1].id}/ancestry", token)
    assert ancestry.json() == [image.id for image in reversed(chain)]
    for image in chain:
        assert call(setup.registry, f"GET /v1/images/{image.id}/layer", token).body == image.layer
        described = call(setup.registry, f"GET /v1/images/{image.id}/json", token)
        assert (described.body, described.header("X-Docker-Checksum-Payload")) == (image.json, image.payload)


@pytest.mark.parametrize("setup", ["standalone-http", "one-host-http", "split-http"], indirect=True)
def test_the_calls_of_scripts_and_frontends_that_know_one_host_and_a_password(setup: SetUp) -> None:
    """docker/migrator and jq scripts; the frontends of kwk and atcol, docker-registry-web, and yodle's client.

    Each asks for all repositories in one answer, for the tags of each, and for a tag, with a password or none, and
    without a token.
    """
    names = [setup.fresh_name("tool") for _ in range(2)]
    chains = [make_chain(1) for _ in names]
    for name, chain in zip(names, chains, strict=True):
        Daemon(NEWEST, setup.index, ALICE.name, ALICE.password).push(name, chain, "one")
    # A registry alone has no accounts: over plain HTTP these tools send it no password.
    for credentials in ({}, basic()):
        for term in ("?q=", "", "?q=tool-"):
            listed = call(setup.index, f"GET /v1/search{term}", credentials).json()
            assert {result["name"] for result in listed["results"]} >= set(names), term
            assert listed["num_results"] == len(listed["results"])
        for name, chain in zip(names, chains, strict=True):
            for path, told in ((f"{name}/tags", {"one": chain[0].id}), (f"{name}/tags/one", chain[0].id)):
                assert call(setup.index, f"GET /v1/repositories/{path}", credentials).json() == told
            images = call(setup.index, f"GET /v1/repositories/{name}/images", credentials).json()
            assert [entry["id"] for entry in images] == [chain[0].id]
    assert call(setup.index, f"OPTIONS /v1/repositories/{names[0]}/tags").status == 204


def test_the_writes_of_frontends_of_a_registry_alone(standalone: SetUp) -> None:
    """They delete and copy tags, read JSON and ancestry, and delete a repository without the slash at its end."""
    name, chain = standalone.fresh_name("tool"), make_chain(2)
    Daemon(NEWEST, standalone.index, ALICE.name, ALICE.password).push(name, chain, "one")
    path, top = f"/v1/repositories/{name}", chain[-1].id
    assert call(standalone.index, f"PUT {path}/tags/two", body=f'"{top}"'.encode()).status == 200
    assert call(standalone.index, f"DELETE {path}/tags/one").status == 200
    assert call(standalone.index, f"GET {path}/tags").json() == {"two": top}
    assert call(standalone.index, f"GET {path}/tags/two/json").json()["last_update"]
    assert call(standalone.index, f"GET /v1/images/{top}/json").json()["id"] == top
    assert call(standalone.index, f"GET /v1/images/{top}/ancestry").json() == [top, chain[0].id]
    assert call(standalone.index, f"DELETE {path}").status == 200
    assert call(standalone.index, f"GET {path}/tags").status == 404
