"""Tokens mixed, swapped and forged: no header, however it is put together, opens more than its best token does."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.images import Chain, make_chain
from tests.clients.wire import Answer, call
from tests.servers.setups import ALICE, SetUp


def pushed(split: SetUp) -> tuple[str, Chain]:
    name, chain = split.fresh_name("attacked"), make_chain(2)
    Daemon(NEWEST, split.index, ALICE.name, ALICE.password).push(name, chain)
    return name, chain


def anonymous_token(split: SetUp, name: str) -> str:
    answer = call(split.index, f"GET /v1/repositories/{name}/images", {"X-Docker-Token": "true"})
    assert answer.status == 200, answer
    return answer.header("X-Docker-Token") or ""


def forged(name: str, access: str) -> str:
    return f'signature={secrets.token_hex(32)},repository="{name}",access={access}'


def with_tokens(split: SetUp, line: str, *tokens: str, body: bytes | None = None) -> Answer:
    return call(split.registry, line, {"Authorization": "Token " + ",".join(tokens)}, body)


ORDERS = pytest.mark.parametrize("good_first", [True, False], ids=["good one first", "forged one first"])


def both(good: str, bad: str, good_first: bool) -> tuple[str, str]:
    return (good, bad) if good_first else (bad, good)


@ORDERS
def test_a_forged_token_is_not_believed_for_a_good_one_beside_it(split: SetUp, good_first: bool) -> None:
    """Whoever may read brings, in one header, a real token to read and an invented one to write."""
    name, chain = pushed(split)
    tokens = both(anonymous_token(split, name), forged(name, "write"), good_first)
    tag = f"PUT /v1/repositories/{name}/tags/stolen"
    refused = with_tokens(split, tag, *tokens, body=json.dumps(chain[0].id).encode())
    assert (refused.status, refused.error()) == (401, "Requires authorization")
    refused = with_tokens(split, f"PUT /v1/images/{chain[0].id}/json", *tokens, body=chain[0].json)
    assert (refused.status, refused.error()) == (401, "Requires authorization")
    tags = with_tokens(split, f"GET /v1/repositories/{name}/tags", tokens[0 if good_first else 1])
    assert tags.json() == {"latest": chain[1].id}


@ORDERS
def test_a_forged_token_deletes_nothing_beside_a_good_one(split: SetUp, good_first: bool) -> None:
    name, chain = pushed(split)
    good = anonymous_token(split, name)
    tokens = both(good, forged(name, "delete"), good_first)
    for path in ("", "tags", "tags/latest"):
        refused = with_tokens(split, f"DELETE /v1/repositories/{name}/{path}", *tokens)
        assert refused.status == 401, path
    tags = with_tokens(split, f"GET /v1/repositories/{name}/tags", good)
    assert tags.json() == {"latest": chain[1].id}
