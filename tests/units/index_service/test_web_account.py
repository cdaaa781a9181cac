"""The pages of one's own account, as somebody with a browser uses them."""

from __future__ import annotations

import json

import pytest

from index_service.accounts.sessions import MAX_SESSIONS
from index_service.services.accounts import Browser
from tests.units.index_service.reader import Page, Reader, counted_queries
from tests.units.index_service.site import basic

PAGES = ["/account", "/account/password", "/account/emails", "/account/sessions", "/account/tokens"]
PROFILE = {
    "full_name": "Alice Liddell",
    "about": "First line\r\nsecond line",
    "location": "Oxford",
    "company": "Wonderland",
    "website": "https://alice.example",
    "language": "",
}


@pytest.fixture
def harbour(make_site, tmp_path):
    site = make_site(mail_folder=str(tmp_path / "mail"))
    site.user("alice")
    site.user("bob")
    return site


@pytest.fixture
def alice(harbour):
    return Reader(harbour, "alice")


def audit(site):
    return [
        (row.actor_name, row.action, json.loads(row.details))
        for row in site.rows("SELECT * FROM audit WHERE action NOT LIKE 'sign-in.%' ORDER BY id")
    ]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_wants_somebody_signed_in(harbour, alice, path):
    assert Reader(harbour).get(path).location == f"/sign-in?next={path}"
    assert Reader(harbour).get(f"/api/v1{path}").status_code == (404 if path == "/account/password" else 401)
    page = alice.open(path)
    assert alice.answer.status_code == 200
    assert len(page.all("h1")) == 1
    assert [given["href"] for given in page.all("a") if given.get("aria-current")] == [path]


def test_a_profile_is_changed_and_found_again(harbour, alice):
    assert "Profile saved." in alice.send("/account", **PROFILE).text
    shown = alice.api("/account")
    assert shown["name"] == "alice"
    assert shown["about"] == "First line\nsecond line"
    assert {key: shown[key] for key in PROFILE if key != "about"} == {
        key: value for key, value in PROFILE.items() if key != "about"
    }
    assert Reader(harbour, "bob").api("/account")["full_name"] == ""


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"website": "javascript:alert(1)"}, "website"),
        ({"website": "//evil"}, "website"),
        ({"full_name": "x" * 101}, ""),
        ({"about": "x" * 501}, ""),
        ({"language": "xx"}, "language"),
        ({"full_name": "turned\u202earound"}, ""),
    ],
)
def test_a_profile_that_cannot_be_is_shown_again_with_what_is_wrong(alice, wrong, field):
    page = alice.send("/account", **{**PROFILE, **wrong})
    assert alice.answer.status_code == 422
    assert page.all("div", role="alert")
    assert not field or page.all("p", id=f"error-{field}")
    assert alice.api("/account")["company"] == ""


def test_what_a_person_writes_is_text_on_the_page(alice):
    alice.send("/account", **{**PROFILE, "full_name": '"><script>alert(1)</script>', "about": "</textarea><b>x</b>"})
    page = alice.open("/account")
    assert all("src" in given for given in page.all("script"))
    assert not page.all("b")


def test_a_new_password_signs_the_other_browsers_out_and_ends_tokens(harbour, alice):
    other = Reader(harbour, "alice")
    harbour.push("alice/app", "alice")
    harbour.set_private("alice/app")
    bearer = harbour.pull_token("alice/app", "alice")
    page = alice.send("/account/password", current="password-alice", password="another-password")
    assert "Password changed" in page.text
    assert alice.get("/account").status_code == 200
    assert other.get("/account").status_code == 303
    assert harbour.redeem("alice/app", bearer) == 401
    assert harbour.request("GET", "/v1/users/", auth=basic("alice", "another-password")).status_code == 200
    assert audit(harbour)[-1] == ("alice", "password.changed", {})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"current": "wrong-password", "password": "another-password"}, "Wrong password"),
        ({"current": "password-alice", "password": "1234"}, "use 8 to 256 characters"),
    ],
)
def test_a_new_password_wants_the_old_one_and_to_be_one(harbour, alice, fields, said):
    page = alice.send("/account/password", **fields)
    assert alice.answer.status_code == 422
    assert said in page.text
    assert harbour.request("GET", "/v1/users/", user="alice").status_code == 200


def test_a_password_changed_by_a_client_or_an_operator_ends_sessions_too(harbour, alice):
    body = {"password": "another-password"}
    assert harbour.request("PUT", "/v1/users/alice", user="alice", body=body).status_code == 204
    assert alice.get("/account").status_code == 303


def test_what_is_dangerous_wants_a_password_given_lately(harbour, alice):
    harbour.clock.move(minutes=16)
    form = alice.open("/account/emails").forms["/account/emails"]
    referer = {"Referer": "http://localhost/account/emails"}
    alice.post("/account/emails", referer, **{**form, "email": "new@example.com"})
    assert alice.answer.location == "/prove?next=/account/emails"
    page = alice.open(alice.answer.location)
    alice.post("/prove", **{**page.forms["/prove"], "password": "wrong-password"})
    assert alice.answer.status_code == 422
    assert "Wrong password" in Page(alice.answer).text
    alice.post("/prove", **{**page.forms["/prove"], "password": "password-alice"})
    assert alice.answer.location == "/account/emails"
    assert "We e-mailed a link" in alice.send("/account/emails", email="new@example.com").text


def test_addresses_are_added_confirmed_made_main_and_removed(harbour, alice):
    alice.send("/account/emails", email="New@Example.com")
    rows = alice.api("/account/emails")["items"]
    assert [(row["address"], row["is_main"]) for row in rows] == [
        ("alice@example.com", True),
        ("new@example.com", False),
    ]
    alice.post(
        "/account/emails/main", **{**alice.open("/account/emails").forms["/language"], "email": "new@example.com"}
    )
    assert alice.answer.status_code == 404
    confirm(harbour, "alice", "new@example.com")
    alice.send("/account/emails/main", "/account/emails", email="new@example.com")
    rows = alice.api("/account/emails")["items"]
    assert [row["address"] for row in rows] == ["new@example.com", "alice@example.com"]
    assert rows[0]["confirmed_at"]
    alice.send("/account/emails/remove", "/account/emails", email="alice@example.com")
    assert [row["address"] for row in alice.api("/account/emails")["items"]] == ["new@example.com"]
    actions = [action for _, action, _ in audit(harbour) if action.startswith("email")]
    assert actions == ["email.added", "email.confirmed", "email.made-main", "email.removed"]


def confirm(site, name, address):
    site.services.accounts.confirm(site.confirmation_link(name, address), "192.0.2.1")


def test_an_account_has_an_address_once(alice):
    page = alice.send("/account/emails", email="alice@example.com")
    assert alice.answer.status_code == 422
    assert "This email address is already in use" in page.text


def test_an_address_is_whose_who_confirms_it_and_nobody_else_is_shut_out(harbour, alice):
    """Nor told that an account has it."""
    assert "We e-mailed a link" in alice.send("/account/emails", email="bob@example.com").text
    stranger = harbour.confirmation_link("alice", "bob@example.com")
    assert names_to_reset(harbour, "bob@example.com") == ["bob"]
    confirm(harbour, "bob", "bob@example.com")
    assert names_to_reset(harbour, "bob@example.com") == ["bob"]
    reader = Reader(harbour)
    page = reader.send(f"/confirm/{stranger}")
    assert (reader.answer.status_code, "already in use" in page.text) == (409, True)
    assert harbour.rows("SELECT user_id FROM emails WHERE confirmed_at IS NOT NULL") == [(harbour.actor("bob").id,)]


def test_accounts_with_one_address_that_nobody_confirmed_all_get_a_reset(harbour):
    for name in ("dora", "eve"):
        harbour.services.operations.create_user(name, f"password-{name}", "new@example.com", is_admin=False)
    assert names_to_reset(harbour, "new@example.com") == ["dora", "eve"]
    confirm(harbour, "eve", "new@example.com")
    assert names_to_reset(harbour, "new@example.com") == ["eve"]
    harbour.set_active("eve", False)
    assert names_to_reset(harbour, "new@example.com") == []


def names_to_reset(site, address):
    return [*site.reset_links(address)]


def test_the_last_address_stays_and_anothers_is_none(alice):
    csrf = alice.open("/account/emails").forms["/language"]["csrf"]
    assert alice.post("/account/emails/remove", csrf=csrf, email="alice@example.com").status_code == 422
    assert alice.post("/account/emails/remove", csrf=csrf, email="bob@example.com").status_code == 404
    assert alice.post("/account/emails/confirm", csrf=csrf, email="bob@example.com").status_code == 404
    assert alice.post("/account/emails/main", csrf=csrf, email="bob@example.com").status_code == 404


def test_an_account_has_no_more_than_ten_addresses(alice):
    for number in range(9):
        alice.send("/account/emails", email=f"alice{number}@example.com")
    refused = alice.send("/account/emails", email="x@example.com")
    assert "Limit of 10 email addresses per account reached" in refused.text


def test_sessions_are_listed_and_ended_one_by_one(harbour, alice):
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
    harbour.clock.move(minutes=1)
    other = Reader(harbour, "alice", HTTP_USER_AGENT=agent, REMOTE_ADDR="2001:db8::1")
    rows = alice.api("/account/sessions")["items"]
    assert [(row["is_current"], row["address"]) for row in rows] == [(False, "2001:db8::1"), (True, "192.0.2.1")]
    page = alice.open("/account/sessions")
    assert "Firefox on Linux" in page.text
    alice.send("/account/sessions/end", "/account/sessions", session=rows[0]["id"])
    assert other.get("/account").status_code == 303
    assert alice.get("/account").status_code == 200


def test_all_other_sessions_are_ended_at_once(harbour, alice):
    others = [Reader(harbour, "alice") for _ in range(2)]
    bob = Reader(harbour, "bob")
    page = alice.send("/account/sessions/end-others", "/account/sessions")
    assert "Signed out of 2 other browsers." in page.text
    assert [reader.get("/account").status_code for reader in (*others, bob, alice)] == [303, 303, 200, 200]


def test_another_persons_session_cannot_be_ended(harbour, alice):
    bob = Reader(harbour, "bob")
    (row,) = bob.api("/account/sessions")["items"]
    csrf = alice.open("/account/sessions").forms["/language"]["csrf"]
    assert alice.post("/account/sessions/end", csrf=csrf, session=row["id"]).status_code == 404
    assert bob.get("/account").status_code == 200


def test_a_person_has_no_more_than_so_many_sessions(harbour, alice):
    people = harbour.services.accounts
    for _ in range(MAX_SESSIONS):
        harbour.clock.move(seconds=1)
        people.sign_in("alice", "password-alice", Browser("192.0.2.9", "x"))
    assert harbour.rows("SELECT count(*) FROM sessions") == [(MAX_SESSIONS,)]
    assert alice.get("/account").status_code == 303


@pytest.mark.parametrize("path", ["/account/sessions", "/account/tokens"])
def test_the_number_of_queries_does_not_grow_with_the_rows(harbour, alice, path):
    def queries():
        with counted_queries(harbour.engine) as statements:
            assert alice.get(path).status_code == 200
        return len(statements)

    before = queries()
    for number in range(5):
        Reader(harbour, "alice")
        alice.send("/account/tokens", name=f"token {number}", pattern="*", access="read", lifetime="")
    assert queries() == before
