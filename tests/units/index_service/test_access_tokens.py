"""Access tokens: made on the site, used by docker as a password, for no more than they were made for."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime

import pytest

from tests.units.index_service.reader import Page, Reader
from tests.units.index_service.site import basic

WHOLE = {"name": "laptop", "access": "write", "pattern": "*", "lifetime": "90"}


@pytest.fixture
def harbour(site):
    site.user("alice")
    site.user("bob")
    return site


@pytest.fixture
def alice(harbour):
    return Reader(harbour, "alice")


@pytest.fixture
def make(alice):
    """Makes a token on the site; returns it."""

    def make(**fields):
        page = alice.send("/account/tokens", **{**WHOLE, **fields})
        assert alice.answer.status_code == 201, page.text
        (token,) = set(re.findall(r"\bwhp_[A-Za-z0-9]{40}\b", page.text))
        return token

    return make


def login(site, token, name="alice", address=None):
    return site.request("GET", "/v1/users/", auth=basic(name, token), address=address).status_code


def push(site, token, repository):
    path = f"/v1/repositories/{repository}/"
    return site.request("PUT", path, auth=basic("alice", token), ask=True, raw="[]").status_code


def pull(site, token, repository):
    path = f"/v1/repositories/{repository}/images"
    return site.request("GET", path, auth=basic("alice", token), ask=True).status_code


def test_a_token_is_shown_once_with_what_to_do_with_it(harbour, alice, make):
    token = make()
    assert alice.answer.headers["Cache-Control"] == "no-store"
    text = alice.answer.get_data(as_text=True)
    assert "docker login -u alice 127.0.0.1:5000" in Page(alice.answer).text
    auth = base64.b64encode(f"alice:{token}".encode()).decode()
    assert auth in text
    assert "http://127.0.0.1:5000/v1/" in text
    assert token not in alice.get("/account/tokens").get_data(as_text=True)
    assert token not in alice.get("/api/v1/account/tokens").get_data(as_text=True)
    assert token not in str(harbour.rows("SELECT * FROM access_tokens")) + str(harbour.rows("SELECT * FROM audit"))


def test_it_is_good_as_the_password_of_its_person_alone(harbour, make):
    token = make()
    assert login(harbour, token) == 200
    assert login(harbour, token, "bob") == 401
    assert login(harbour, token[:-1]) == 401
    assert login(harbour, token[:-1] + ("a" if token[-1] != "a" else "b")) == 401


def test_old_daemons_that_sign_up_before_every_login_take_it_too(harbour, make):
    token = make()
    body = {"username": "alice", "password": token, "email": "alice@example.com"}
    for mode in ("open", "closed"):
        harbour.restart(sign_up=mode, login_rate="2/minute")
        for _ in range(4):
            answer = harbour.request("POST", "/v1/users/", body=body)
            assert (answer.status_code, answer.get_json()) == (400, "Username or email already exists")
        assert login(harbour, token) == 200


def test_it_is_no_password_of_the_site(harbour, make):
    page = Reader(harbour).sign_in("alice", make())
    assert "Wrong username or password" in page.text


def test_it_changes_no_password(harbour, make):
    token = make()
    body = {"password": "another-password"}
    answer = harbour.request("PUT", "/v1/users/alice", auth=basic("alice", token), body=body)
    assert answer.status_code == 403
    assert harbour.request("GET", "/v1/users/", user="alice").status_code == 200


@pytest.mark.parametrize(
    ("fields", "pushes", "pulls"),
    [
        ({}, {"alice/app": 200, "alice/web-1": 200, "bob/app": 403}, {"alice/app": 200, "alice/web-1": 200}),
        ({"access": "read"}, {"alice/app": 403, "alice/web-1": 403}, {"alice/app": 200, "alice/web-1": 200}),
        ({"pattern": "alice/web-*"}, {"alice/app": 403, "alice/web-1": 200}, {"alice/app": 404, "alice/web-1": 200}),
        ({"pattern": "alice/app"}, {"alice/app": 200, "alice/web-1": 403}, {"alice/app": 200, "alice/web-1": 404}),
    ],
)
def test_it_opens_what_it_was_made_for_and_never_more_than_its_person_may(harbour, make, fields, pushes, pulls):
    for repository in ("alice/app", "alice/web-1"):
        harbour.push(repository, "alice")
        harbour.set_private(repository)
    token = make(**fields)
    assert {repository: push(harbour, token, repository) for repository in pushes} == pushes
    assert {repository: pull(harbour, token, repository) for repository in pulls} == pulls


def test_an_administrators_token_is_no_administrators(harbour, make):
    harbour.user("root", admin=True)
    root = Reader(harbour, "root")
    page = root.send("/account/tokens", **{**WHOLE, "access": "read"})
    (token,) = set(re.findall(r"\bwhp_\w{40}\b", page.text))
    path = "/v1/repositories/library/busybox/"
    assert harbour.request("PUT", path, auth=basic("root", token), raw="[]").status_code == 403


def test_its_end_is_the_end_of_what_was_issued_for_it(harbour, alice, make):
    harbour.push("alice/app", "alice")
    harbour.set_private("alice/app")
    token = make()
    answer = harbour.request("GET", "/v1/repositories/alice/app/images", auth=basic("alice", token), ask=True)
    bearer = f"Token {answer.headers['X-Docker-Token']}"
    assert harbour.redeem("alice/app", bearer) == 200
    (row,) = alice.api("/account/tokens")["items"]
    page = alice.send("/account/tokens/revoke", "/account/tokens", token=row["id"])
    assert "Access token “laptop” revoked." in page.text
    assert login(harbour, token) == 401
    assert harbour.redeem("alice/app", bearer) == 401
    rows = harbour.rows("SELECT action, details FROM audit WHERE action LIKE 'access%' ORDER BY id")
    assert [(row.action, json.loads(row.details)["token"]) for row in rows] == [
        ("access-token.made", "laptop"),
        ("access-token.used", "laptop"),
        ("access-token.revoked", "laptop"),
    ]


def test_it_ends_with_its_time(harbour, alice, make):
    short, lasting = make(lifetime="30"), make(lifetime="")
    harbour.clock.move(days=30)
    assert [login(harbour, short), login(harbour, lasting)] == [401, 200]
    alice.sign_in("alice")
    rows = alice.api("/account/tokens")["items"]
    assert [row["is_expired"] for row in rows] == [False, True]
    assert "expired" in alice.open("/account/tokens").text


def test_it_stays_with_a_new_password_and_ends_with_a_closed_account(harbour, alice, make):
    token = make()
    alice.send("/account/password", current="password-alice", password="another-password")
    assert login(harbour, token) == 200
    harbour.set_active("alice", False)
    assert login(harbour, token) == 401


def test_its_last_use_is_kept_to_the_minute(harbour, alice, make):
    token = make()

    def used():
        (row,) = harbour.rows("SELECT used_at, used_from FROM access_tokens")
        at = row.used_at if not isinstance(row.used_at, str) else datetime.fromisoformat(row.used_at)
        return None if at is None else at.replace(tzinfo=UTC), row.used_from

    assert used() == (None, "")
    login(harbour, token, address="192.0.2.7")
    first = harbour.clock()
    assert used() == (first, "192.0.2.7")
    harbour.clock.move(seconds=59)
    login(harbour, token, address="192.0.2.8")
    assert used() == (first, "192.0.2.7")
    harbour.clock.move(seconds=1)
    login(harbour, token, address="192.0.2.8")
    assert used() == (harbour.clock(), "192.0.2.8")
    assert alice.api("/account/tokens")["items"][0]["used_at"] == "2015-06-08T12:01:00Z"


def test_guessing_tokens_is_slowed_down_like_guessing_passwords(harbour, make):
    token = make()
    harbour.restart(login_rate="3/minute")
    wrong = "whp_" + "x" * 40
    assert [login(harbour, wrong) for _ in range(4)] == [401, 401, 401, 429]
    assert login(harbour, token, address="198.51.100.1") == 200


def test_a_token_costs_no_hashing(harbour, make):
    token = make()
    before = harbour.hasher.work
    login(harbour, token)
    login(harbour, "whp_" + "x" * 40)
    assert harbour.hasher.work == before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"access": "admin"}, "access"),
        ({"access": ""}, "access"),
        ({"pattern": ""}, "pattern"),
        ({"pattern": "Alice/App"}, "pattern"),
        ({"pattern": "alice/%"}, "pattern"),
        ({"pattern": "*a*a*a*a*a"}, "pattern"),
        ({"lifetime": "31"}, "lifetime"),
    ],
)
def test_what_is_wrong_with_a_new_token_is_said_beside_the_field(harbour, alice, wrong, field):
    page = alice.send("/account/tokens", **{**WHOLE, **wrong})
    assert alice.answer.status_code == 422
    assert page.all("p", id=f"error-{field}")
    assert harbour.rows("SELECT * FROM access_tokens") == []


def test_anothers_token_cannot_be_revoked(harbour, make):
    token = make()
    bob = Reader(harbour, "bob")
    csrf = bob.open("/account/tokens").forms["/language"]["csrf"]
    for number in ("1", "2", "-1", "x", "9" * 30, "²"):
        assert bob.post("/account/tokens/revoke", csrf=csrf, token=number).status_code == 404
    assert login(harbour, token) == 200


def test_a_new_token_wants_a_password_given_lately(harbour, alice):
    harbour.clock.move(minutes=16)
    assert alice.send("/account/tokens", **WHOLE).all("form", action="/prove")
    assert harbour.rows("SELECT * FROM access_tokens") == []


def test_the_audit_log_has_the_first_use_of_a_day_from_each_network(harbour, make):
    """And of a thief's, though the token's owner used it a moment before."""
    token = make()
    for address in ("192.0.2.7", "203.0.113.9", "192.0.2.7", "203.0.113.9"):
        assert login(harbour, token, address=address) == 200
    harbour.clock.move(hours=13)
    assert login(harbour, token, address="192.0.2.7") == 200
    used = harbour.rows(
        "SELECT actor_name, subject, details, address FROM audit WHERE action = 'access-token.used' ORDER BY id"
    )
    assert [row[3] for row in used] == ["192.0.2.7", "203.0.113.9", "192.0.2.7"]
    assert {(row[0], row[1]) for row in used} == {("alice", "alice")}
    assert token not in str(used)
