"""What tools that are no daemons send, request by request: nobody can change them any more."""

from __future__ import annotations

import base64
import json

import pytest

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
