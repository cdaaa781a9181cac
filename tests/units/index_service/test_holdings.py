"""What a repository holds, what it has only announced, and what each caller is told of it."""

from __future__ import annotations

import json

import pytest

from common.names import RepositoryName
from index_service.database import Database
from index_service.repositories import catalogue
from tests.units.index_service.reader import counted_queries
from tests.units.index_service.site import IMAGES

OWN, ANNOUNCED, HELD, APART, LENT, STRANGE, SECRET = IMAGES[:7]
"""Of alice/app: concluded, announced, held, held apart; lent by library/base; held by strangers, public and private."""


def pushes(site):
    """Alice's push to a public repository is under way, after one that is concluded."""
    for name in ("alice", "bob"):
        site.user(name)
    site.user("root", admin=True)
    site.push("library/base", "root", images=[LENT])
    site.push("bob/public", "bob", images=[STRANGE])
    site.push("bob/secret", "bob", images=[SECRET])
    site.set_private("bob/secret")
    site.push("alice/app", "alice", images=[OWN, HELD, APART], held=False)
    site.hold("alice/app", [HELD, APART], apart=1)


@pytest.fixture
def contents():
    return pushes


@pytest.fixture
def writer(site):
    """The token of the push under way."""
    return site.push("alice/app", "alice", tag="next", images=[ANNOUNCED, LENT, STRANGE, SECRET], told=False)


def told(site, name="alice/app", **asking):
    return site.request("GET", f"/v1/repositories/{name}/images", **asking).json


def held(site, auth, name="alice/app", **asking):
    """What a registry is told with a token: by id, how the repository comes to each image."""
    return {entry["id"]: entry.get("held") for entry in told(site, name, auth=auth, **asking)}


CONCLUDED = {OWN: None, HELD: "shared", APART: "apart"}
TO_PUSH = {**CONCLUDED, ANNOUNCED: None, LENT: "lent", STRANGE: None, SECRET: None}


def test_a_registry_is_told_what_the_repository_holds(site, writer):
    assert held(site, writer) == TO_PUSH
    assert held(site, site.pull_token("alice/app")) == CONCLUDED


def test_nobody_else_is_told_what_is_held_or_was_only_announced(site, writer):
    listed = [{"id": OWN}, {"id": HELD}, {"id": APART}]
    for asking in ({}, {"user": "alice"}, {"user": "bob"}, {"ask": True}, {"auth": writer, "ask": True}):
        assert told(site, **asking) == listed, asking


def test_only_official_public_repositories_lend_and_only_what_they_hold_shared(site, writer):
    site.set_private("library/base")
    assert held(site, writer)[LENT] is None
    site.set_private("library/base", is_private=False)
    assert held(site, writer)[LENT] == "lent"
    site.hold("library/base", [LENT], apart=1)
    assert held(site, writer)[LENT] is None


def test_what_is_announced_is_seen_once_the_push_is_concluded(site, writer):
    assert site.request("PUT", "/v1/repositories/alice/app/images", user="alice", body=[]).status_code == 204
    assert {entry["id"] for entry in told(site)} == set(TO_PUSH)
    assert held(site, site.pull_token("alice/app")) == {**TO_PUSH, LENT: None}


def test_what_is_announced_is_seen_once_its_tag_is_set_or_a_registry_says_that_it_is_held(site, writer):
    site.request("PUT", "/v1/repositories/alice/app/tags/next", auth=writer, raw=json.dumps(SECRET))
    assert {entry["id"] for entry in told(site)} == {*CONCLUDED, SECRET}
    site.hold("alice/app", [LENT, STRANGE])
    assert {entry["id"] for entry in told(site)} == {*CONCLUDED, SECRET, LENT, STRANGE}


def test_to_announce_what_is_listed_takes_nothing_away(site):
    site.push("alice/app", "alice", tag="again", images=[OWN, HELD], told=False)
    assert {entry["id"] for entry in told(site)} == set(CONCLUDED)


def test_what_a_registry_says_is_held_is_listed_from_its_base_on(site):
    base, top = IMAGES[10:12]
    site.hold("alice/app", [base, top])
    assert [entry["id"] for entry in told(site)] == [OWN, HELD, APART, base, top]


def test_a_list_takes_one_statement_however_many_images_are_on_it(site, writer, engine):
    def statements(auth):
        with counted_queries(engine) as counted:
            told(site, auth=auth)
        return len(counted)

    few = [statements(auth) for auth in (writer, site.pull_token("alice/app"))]
    site.push("alice/app", "alice", tag="many", images=[f"{number:064x}" for number in range(100, 300)], told=False)
    assert [statements(auth) for auth in (writer, site.pull_token("alice/app"))] == few


# --- stores ---------------------------------------------------------------------------------------------------------


def store_of(site, name, store):
    with Database(site.engine).writing() as session:
        catalogue.find(session, RepositoryName.parse(name)).store = store


HERE, ELSEWHERE = "a" * 32, "b" * 32
NOTHING = dict.fromkeys(TO_PUSH)


@pytest.mark.parametrize(
    ("endpoints", "kept", "asked", "told_of"),
    [
        (1, None, HERE, TO_PUSH),
        (1, None, None, TO_PUSH),
        (1, HERE, HERE, TO_PUSH),
        (1, HERE, ELSEWHERE, NOTHING),
        (1, HERE, None, TO_PUSH),
        (2, None, HERE, NOTHING),
        (2, None, None, NOTHING),
        (2, None, "-", NOTHING),
        (2, HERE, HERE, TO_PUSH),
        (2, HERE, ELSEWHERE, NOTHING),
        (2, HERE, "*", TO_PUSH),
        (2, None, "*", TO_PUSH),
    ],
)
def test_a_registry_is_told_what_is_held_in_its_store(site, writer, endpoints, kept, asked, told_of):
    """What is in no known store is in the one there is, if there is one."""
    site.restart(registry_endpoints=("one:5001", "two:5001")[:endpoints])
    for name in ("alice/app", "library/base", "bob/public"):
        store_of(site, name, kept)
    store = {} if asked is None else {"X-Wharfinger-Store": asked}
    assert held(site, writer, **store) == told_of
    opens = {image: access(site, image, auth=writer, **store).json["access"] for image in ACCESS}
    assert opens == (ACCESS if told_of is TO_PUSH else dict.fromkeys(ACCESS, False))


def test_a_repository_of_another_store_is_lent_what_is_official_in_the_asked_one(site, writer):
    store_of(site, "alice/app", ELSEWHERE)
    store_of(site, "library/base", HERE)
    assert held(site, writer, **{"X-Wharfinger-Store": HERE}) == {**NOTHING, LENT: "lent"}


# --- layer access ---------------------------------------------------------------------------------------------------


ACCESS = {OWN: False, ANNOUNCED: False, HELD: True, APART: True, LENT: True, STRANGE: True, SECRET: False}


@pytest.mark.parametrize("is_private", [False, True])
@pytest.mark.parametrize("way", ["writer", "reader", "owner"])
def test_possession_opens_an_image_and_listing_does_not(site, writer, is_private, way):
    site.set_private("alice/app", is_private)
    asking = {"writer": {"auth": writer}, "reader": {"auth": site.pull_token("alice/app", "alice")}}
    for image, is_open in ACCESS.items():
        assert access(site, image, **asking.get(way, {"user": "alice"})).json == {"access": is_open}, image


def test_what_a_public_repository_keeps_apart_is_its_own(site, writer):
    site.hold("bob/public", [STRANGE], apart=1)
    assert access(site, STRANGE, auth=writer).json == {"access": False}
    own = site.pull_token("bob/public")
    assert access(site, STRANGE, "bob/public", auth=own).json == {"access": True}


def test_who_may_not_read_a_repository_is_told_nothing_of_its_images(site, writer):
    site.set_private("alice/app")
    assert access(site, HELD).status_code == 401
    assert access(site, HELD, auth="Token ").status_code == 401
    assert access(site, HELD, user="bob").status_code == 404
    assert access(site, HELD, auth=site.pull_token("bob/public")).status_code == 401
    assert access(site, "x", auth=writer).status_code == 404


def access(site, image, name="alice/app", **asking):
    return site.request("GET", f"/v1/repositories/{name}/layer/{image}/access", **asking)
