"""Guessing one account's password from many places, and what that does to its owner."""

from __future__ import annotations

import pytest

from tests.units.index_service.reader import Reader
from tests.units.index_service.site import basic

LIMIT = 5


@pytest.fixture
def site(make_site):
    site = make_site(account_rate=f"{LIMIT}/hour", credential_seconds=0)
    site.user("alice")
    return site


def guess(site, number, name="alice", method="GET"):
    """From a network and a process of its own; the answer's status."""
    site.restart()
    address, auth = f"198.51.{number // 250}.{number % 250}", basic(name, "wrong-password")
    if method == "GET":
        return site.request("GET", "/v1/users/", auth=auth, address=address).status_code
    body = {"username": name, "password": "wrong-password", "email": "x@example.com"}
    return site.request("POST", "/v1/users/", body=body, address=address).status_code


def sign_in(site, address, password="password-alice"):
    return site.request("GET", "/v1/users/", auth=basic("alice", password), address=address).status_code


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_guesses_at_one_name_are_limited_over_all_networks_and_processes(site, name):
    assert [guess(site, number, name) for number in range(LIMIT + 2)] == [401] * LIMIT + [429] * 2
    site.clock.move(minutes=61)
    assert guess(site, 100, name) == 401


def test_every_door_counts(site):
    """Old daemons sign up first, and the page signs in."""
    assert [guess(site, number, method="POST") for number in range(2)] == [400] * 2
    for number in (2, 3):
        assert (
            "Wrong username or password" in Reader(site, REMOTE_ADDR=f"203.0.113.{number}").sign_in("alice", "x").text
        )
    assert guess(site, 4) == 401
    assert [guess(site, number, method=method) for number, method in ((5, "GET"), (6, "POST"))] == [429, 429]


def test_a_right_password_costs_nothing(site):
    assert [sign_in(site, f"203.0.113.{number}") for number in range(2 * LIMIT)] == [200] * 2 * LIMIT
    assert [guess(site, number) for number in range(LIMIT + 1)] == [401] * LIMIT + [429]


def test_the_owner_is_not_locked_out_where_the_password_was_given_before(site):
    assert sign_in(site, "192.0.2.7") == 200
    assert [guess(site, number) for number in range(LIMIT + 1)][-1] == 429
    assert sign_in(site, "203.0.113.9") == 429
    assert [sign_in(site, "192.0.2.7", "mistyped"), sign_in(site, "192.0.2.7")] == [401, 200]
    assert Reader(site, "alice", REMOTE_ADDR="192.0.2.7").get("/account").status_code == 200
    site.clock.move(days=91)
    assert sign_in(site, "192.0.2.7") == 200


def test_the_owner_proves_the_password_in_a_session_whatever_strangers_do(site):
    reader = Reader(site, "alice")
    reader.environ["REMOTE_ADDR"] = "203.0.113.9"
    assert [guess(site, number) for number in range(LIMIT + 1)][-1] == 429
    reader.client.application = site.app
    reader.send("/prove", password="password-alice")
    assert reader.answer.status_code == 200
    # Who stole the session guesses as little as others.
    pages = []
    for number in range(LIMIT + 1):
        reader.environ["REMOTE_ADDR"] = f"203.0.113.{number}"
        pages.append(reader.send("/prove", password="wrong").text)
    assert ["Wrong password" in text for text in pages] == [True] * LIMIT + [False]
    assert "Too many attempts" in pages[-1]


def test_a_letter_lets_the_owner_in_from_anywhere(site):
    assert [guess(site, number) for number in range(LIMIT + 1)][-1] == 429
    link = site.reset_links("alice@example.com")["alice"]
    stranded = Reader(site, REMOTE_ADDR="203.0.113.9")
    stranded.send(f"/reset/{link}", password="another-password")
    assert stranded.sign_in("alice", "another-password").all("form", action="/sign-out")


def test_the_audit_log_takes_sign_ins_once_a_day_and_network_and_some_failures(site):
    for _ in range(3):
        sign_in(site, "192.0.2.7")
        sign_in(site, "192.0.2.8")
    for number in range(LIMIT):
        guess(site, number)
    guess(site, 9, "nobody")
    assert sign_ins(site) == [
        ("alice", "sign-in.succeeded", "alice", "192.0.2.7"),
        ("alice", "sign-in.succeeded", "alice", "192.0.2.8"),
        *(("", "sign-in.failed", "alice", f"198.51.0.{number}") for number in range(LIMIT)),
    ]
    site.clock.move(hours=13)
    sign_in(site, "192.0.2.7")
    for number in range(30):
        site.clock.move(hours=1 if number % LIMIT == 0 else 0, seconds=1)
        guess(site, 20 + number)
    assert len(sign_ins(site)) <= 2 + 10 + 1 + 10
    assert sign_ins(site)[2 + LIMIT] == ("alice", "sign-in.succeeded", "alice", "192.0.2.7")


def test_a_password_that_was_given_a_moment_ago_is_a_sign_in_of_its_own_elsewhere(site):
    site.restart(credential_seconds=30)
    for address in ("192.0.2.7", "192.0.2.8"):
        sign_in(site, address)
    assert [row.address for row in sign_ins(site)] == ["192.0.2.7", "192.0.2.8"]


def test_hosts_that_share_a_login_hash_its_password_once(site):
    site.restart(credential_seconds=30)
    assert sign_in(site, "192.0.2.7") == 200
    before = site.hasher.work
    assert [sign_in(site, f"192.0.2.{number}") for number in range(8, 40)] == [200] * 32
    assert site.hasher.work == before
    assert len(sign_ins(site)) == 33
    assert not site.rows("SELECT key FROM rate_counts WHERE key LIKE 'login/%' AND count > 0")


def test_the_cache_tells_no_guesser_beyond_the_limits_which_password_is_right(site):
    assert sign_in(site, "192.0.2.7") == 200
    assert [guess(site, number) for number in range(LIMIT + 1)][-1] == 429
    site.restart(credential_seconds=30)
    assert [sign_in(site, "192.0.2.7"), sign_in(site, "203.0.113.9")] == [200, 429]
    site.clock.move(minutes=61)
    site.restart(address_rate="3/hour")
    assert [sign_in(site, "192.0.2.7"), sign_in(site, "203.0.113.9")] == [200, 200]
    assert [sign_in(site, "203.0.113.8", "wrong-password") for _ in range(4)] == [401] * 3 + [429]
    assert sign_in(site, "203.0.113.8") == 429


def sign_ins(site):
    return site.rows("SELECT actor_name, action, subject, address FROM audit WHERE action LIKE 'sign-in.%' ORDER BY id")
