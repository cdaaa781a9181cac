"""Signing up, in and out, confirming and resetting, as somebody with a browser does."""

from __future__ import annotations

import email
import re
from email import policy
from pathlib import Path

import pytest

from index_service.accounts.email_links import LinkExpired
from index_service.services.accounts import Browser
from tests.units.index_service.reader import Page, Reader, counted_queries
from tests.units.index_service.site import basic

NEW = {"name": "dora", "email": "Dora@Example.com", "password": "a-long-password"}


@pytest.fixture
def harbour(make_site, tmp_path):
    """An index whose letters are left in a folder."""
    return make_site(mail_folder=str(tmp_path / "mail"), site_url="http://images.example.com")


@pytest.fixture
def letters(harbour):
    return lambda: read_letters(harbour)


def read_letters(site):
    site.finish_email()
    paths = sorted(Path(site.settings.mail_folder).glob("*.eml"))
    return [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]


def link_of(letter):
    (link,) = re.findall(r"http://images\.example\.com(/\S+)", letter.get_content())
    return link


def audit(site):
    return [row[0] for row in site.rows("SELECT action FROM audit WHERE action NOT LIKE 'sign-in.%' ORDER BY id")]


def test_signing_up_makes_an_account_that_is_signed_in_at_once(harbour, letters):
    reader = Reader(harbour)
    page = reader.send("/sign-up", **NEW)
    assert "Welcome aboard! We e-mailed a link to dora@example.com" in page.text
    assert page.all("form", action="/sign-out")
    assert "Welcome aboard" not in reader.open("/").text
    assert harbour.request("GET", "/v1/users/", auth=basic("dora", NEW["password"])).status_code == 200
    (letter,) = letters()
    assert (letter["To"], letter["Subject"]) == ("dora@example.com", "Confirm your e-mail address")
    assert audit(harbour) == ["account.made"]


def test_signing_up_ends_the_session_that_the_browser_had(harbour):
    harbour.user("alice")
    reader, elsewhere = Reader(harbour, "alice"), Reader(harbour, "alice")
    before = reader.cookie("session")
    assert "Welcome aboard" in _sign_up_anew(reader).text
    assert reader.cookie("session") != before
    owners = "SELECT users.name FROM sessions JOIN users ON users.id = user_id ORDER BY 1"
    assert harbour.rows(owners) == [("alice",), ("dora",)]
    assert elsewhere.get("/account").status_code == 200


def _sign_up_anew(reader):
    """By a form that was opened before somebody signed in with the same browser."""
    csrf = reader.open("/account").forms["/language"]["csrf"]
    reader.post("/sign-up", csrf=csrf, **NEW)
    return reader.open("/")


def test_the_letters_link_asks_and_its_form_confirms_once(harbour, letters):
    reader = Reader(harbour)
    reader.send("/sign-up", **NEW)
    link = link_of(letters()[0])
    assert "dora@example.com" in reader.open(link).text
    assert harbour.rows("SELECT confirmed_at FROM emails") == [(None,)]
    assert "dora@example.com confirmed." in reader.send(link).text
    assert harbour.rows("SELECT confirmed_at FROM emails") != [(None,)]
    assert reader.api("/account/emails")["items"][0]["confirmed_at"] == "2015-06-08T12:00:00Z"
    assert reader.get(link).status_code == 404
    assert audit(harbour) == ["account.made", "email.confirmed"]


@pytest.mark.parametrize("spoil", [lambda link: link[:-2], lambda link: link + "x", lambda _: "/confirm/x"])
def test_a_link_that_is_not_ours_confirms_nothing(harbour, letters, spoil):
    Reader(harbour).send("/sign-up", **NEW)
    assert Reader(harbour).get(spoil(link_of(letters()[0]))).status_code == 404


def test_a_link_ends(harbour, letters):
    Reader(harbour).send("/sign-up", **NEW)
    link = link_of(letters()[0])
    harbour.clock.move(days=7)
    assert Reader(harbour).get(link).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "D"}, "name"),
        ({"name": "library"}, "name"),
        ({"email": "nowhere"}, "email"),
        ({"password": "1234"}, "password"),
    ],
)
def test_what_is_wrong_with_a_sign_up_is_said_beside_the_field(harbour, wrong, field):
    reader = Reader(harbour)
    page = reader.send("/sign-up", **{**NEW, **wrong})
    assert reader.answer.status_code == 422
    (entry,) = page.all("input", name=field)
    assert entry["aria-invalid"] == "true"
    assert f"error-{field}" in entry["aria-describedby"].split()
    assert page.all("p", id=f"error-{field}")
    assert page.all("a", href=f"#field-{field}")
    assert all("value" not in given for given in page.all("input", type="password"))
    assert harbour.rows("SELECT count(*) FROM users") == [(0,)]


def test_a_name_that_is_taken_makes_no_account(harbour):
    harbour.user("alice")
    page = Reader(harbour).send("/sign-up", **{**NEW, "name": "alice"})
    assert "Username or email already exists" in page.text
    assert harbour.rows("SELECT name FROM users") == [("alice",)]


@pytest.mark.parametrize("mode", ["admin", "closed"])
def test_where_sign_up_is_closed_no_form_and_no_answer_to_one(make_site, mode):
    reader = Reader(make_site(sign_up=mode))
    page = reader.open("/sign-up")
    assert "Sign-up is closed" in page.text
    assert "/sign-up" not in page.forms
    reader.post("/sign-up", **NEW, csrf=page.forms["/language"]["csrf"])
    assert reader.answer.status_code == 422
    assert "Sign-up is closed" in Page(reader.answer).text
    assert reader.site.rows("SELECT * FROM users") == []
    assert not reader.open("/").all("a", href="/sign-up")


def test_a_form_sets_nothing_that_it_does_not_ask(harbour):
    Reader(harbour).send("/sign-up", **NEW, is_admin="yes", id="1", is_active="")
    assert harbour.rows("SELECT is_admin, is_active FROM users") == [(False, True)]


def test_signing_in_needs_the_password_and_tells_nothing_more(harbour):
    harbour.user("alice")
    texts = []
    for name in ("alice", "nobody", "ALICE", "\x00", "x" * 300):
        reader = Reader(harbour, REMOTE_ADDR=f"192.0.2.{len(texts) + 2}")
        page = reader.sign_in(name, "wrong-password")
        assert reader.answer.status_code == 422
        assert reader.cookie("session") is None
        texts.append(re.sub(r"\bvalue\S+", "", page.text))
    assert len(set(texts)) == 1
    assert "Wrong username or password" in texts[0]


def test_a_closed_account_is_told_so_only_to_who_knows_the_password(harbour):
    harbour.user("alice")
    harbour.set_active("alice", False)
    assert "Account is not active" in Reader(harbour).sign_in("alice").text
    assert "Account is not active" not in Reader(harbour).sign_in("alice", "wrong").text


def test_guessing_is_slowed_down_here_and_at_dockers_door_together(make_site):
    site = make_site(login_rate="3/minute")
    site.user("alice")
    reader = Reader(site)
    statuses = []
    for _ in range(4):
        reader.sign_in("alice", "wrong")
        statuses.append(reader.answer.status_code)
    assert statuses == [422, 422, 422, 429]
    assert "Too many attempts" in Page(reader.answer).text
    assert site.request("GET", "/v1/users/", auth=basic("alice", "guess"), address="192.0.2.1").status_code == 429
    assert Reader(site, REMOTE_ADDR="198.51.100.1").sign_in("alice").all("form", action="/sign-out")


def test_every_sign_in_begins_a_session_of_its_own_and_ends_the_browsers_last(harbour):
    harbour.user("alice")
    reader = Reader(harbour, "alice")
    first = reader.cookie("session")
    form = reader.open("/prove").forms["/language"]
    reader.post("/sign-in", name="alice", password="password-alice", csrf=form["csrf"])
    assert reader.cookie("session") not in (first, None)
    assert harbour.rows("SELECT count(*) FROM sessions") == [(1,)]


def test_a_session_planted_before_signing_in_is_not_the_one_after(harbour):
    harbour.user("alice")
    reader = Reader(harbour)
    reader.client.set_cookie("wharfinger-session", "planted-by-somebody-else")
    reader.sign_in("alice")
    assert reader.cookie("session") != "planted-by-somebody-else"
    other = Reader(harbour)
    other.client.set_cookie("wharfinger-session", "planted-by-somebody-else")
    assert other.open("/account").all("form", action="/sign-in")


def test_the_cookie_is_kept_from_scripts_and_its_secret_from_the_database(harbour):
    harbour.user("alice")
    reader = Reader(harbour)
    form = reader.open("/sign-in").forms["/sign-in"]
    reader.post("/sign-in", **{**form, "name": "alice", "password": "password-alice"})
    (line,) = [line for line in reader.answer.headers.getlist("Set-Cookie") if "session" in line]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))
    secret = reader.cookie("session")
    (row,) = harbour.rows("SELECT * FROM sessions")
    assert secret not in str(row)
    forged = Reader(harbour)
    forged.client.set_cookie("wharfinger-session", row.digest)
    assert forged.open("/account").all("form", action="/sign-in")


def test_signing_out_ends_the_session_and_not_only_the_cookie(harbour):
    harbour.user("alice")
    reader = Reader(harbour, "alice")
    secret = reader.cookie("session")
    reader.send("/sign-out", "/")
    assert reader.cookie("session") is None
    reader.client.set_cookie("wharfinger-session", secret)
    assert reader.open("/account").all("form", action="/sign-in")


def test_a_session_ends_when_it_is_not_used_for_long_and_lasts_while_it_is(harbour):
    harbour.user("alice")
    reader, idle = Reader(harbour, "alice"), Reader(harbour, "alice")
    for _ in range(3):
        harbour.clock.move(days=12)
        assert reader.get("/account").status_code == 200
    assert idle.get("/account").status_code == 303
    harbour.clock.move(days=30)
    assert reader.get("/account").status_code == 303


def test_a_session_ends_some_day_however_much_it_is_used(make_site):
    site = make_site(session_days=60)
    site.user("alice")
    reader = Reader(site, "alice")
    for _ in range(5):
        site.clock.move(days=10)
        assert reader.get("/account").status_code == 200
    site.clock.move(days=10)
    assert reader.get("/account").status_code == 303


def test_a_session_does_not_outlive_its_account(harbour):
    harbour.user("alice")
    reader = Reader(harbour, "alice")
    harbour.set_active("alice", False)
    assert reader.get("/account").status_code == 303


def test_a_basic_login_or_a_registrys_token_is_no_session(harbour):
    harbour.user("alice")
    assert Reader(harbour).get("/account", Authorization=basic("alice")).status_code == 303


def test_a_forgotten_password_is_set_by_letter_and_everything_older_ends(harbour, letters):
    harbour.user("alice")
    old = Reader(harbour, "alice")
    harbour.push("alice/app", "alice")
    harbour.set_private("alice/app")
    bearer = harbour.pull_token("alice/app", "alice")
    reader = Reader(harbour)
    assert "If alice@example.com belongs to an account" in reader.send("/reset", email="alice@example.com").text
    (letter,) = letters()
    assert letter["To"] == "alice@example.com"
    link = link_of(letter)
    assert "alice" in reader.open(link).text
    assert "Sign in with your new password" in reader.send(link, password="another-password").text
    assert old.get("/account").status_code == 303
    assert harbour.redeem("alice/app", bearer) == 401
    assert harbour.request("GET", "/v1/users/", user="alice").status_code == 401
    assert Reader(harbour).sign_in("alice", "another-password").all("form", action="/sign-out")
    assert reader.get(link).status_code == 404
    assert audit(harbour)[-2:] == ["password.reset-asked", "password.reset"]


def test_asking_for_a_reset_tells_nothing(harbour, letters):
    harbour.user("alice")
    reader = Reader(harbour)
    there = reader.send("/reset", email="alice@example.com").text
    absent = reader.send("/reset", email="nobody@example.com").text
    assert there.replace("alice@", "nobody@") == absent
    assert len(letters()) == 1


def test_a_reset_ends_with_time_and_with_any_new_password(harbour, letters):
    harbour.user("alice")
    for _ in range(2):
        Reader(harbour).send("/reset", email="alice@example.com")
    first, second = map(link_of, letters())
    harbour.clock.move(hours=1)
    Reader(harbour).send(first, password="another-password")
    assert Reader(harbour).get(second).status_code == 404
    Reader(harbour).send("/reset", email="alice@example.com")
    third = link_of(letters()[-1])
    harbour.clock.move(hours=2)
    assert Reader(harbour).get(third).status_code == 404


def test_a_reset_ends_with_the_address_it_was_sent_to(harbour, letters):
    harbour.user("alice")
    alice = harbour.actor("alice")
    accounts = harbour.services.accounts
    Reader(harbour).send("/reset", email="Alice@example.com")
    (letter,) = letters()
    link = link_of(letter)
    accounts.add_address(alice, "new@example.org", "127.0.0.1")
    assert Reader(harbour).get(link).status_code == 200
    accounts.remove_address(alice, "alice@example.com", "127.0.0.1")
    assert Reader(harbour).get(link).status_code == 404
    with pytest.raises(LinkExpired):
        accounts.reset(link.rpartition("/")[2], "another-password", Browser("127.0.0.1", ""))
    # Another account's address it may be by now; the link is for alice's, and she has it no more.
    harbour.user("bob")
    accounts.add_address(harbour.actor("bob"), "alice@example.com", "127.0.0.1")
    assert Reader(harbour).get(link).status_code == 404
    made = harbour.services.administration.reset_link(harbour.actor(harbour.user("root", admin=True)), "", "alice")
    accounts.add_address(alice, "third@example.org", "127.0.0.1")
    accounts.remove_address(alice, "new@example.org", "127.0.0.1")
    assert accounts.to_reset(made.link) == "alice"


def test_a_reset_wants_a_password_that_can_be_one(harbour, letters):
    harbour.user("alice")
    reader = Reader(harbour)
    reader.send("/reset", email="alice@example.com")
    page = reader.send(link_of(letters()[0]), password="1234")
    assert reader.answer.status_code == 422
    assert page.all("p", id="error-password")
    assert Reader(harbour, "alice").cookie("session")


def test_an_address_nobody_confirmed_resets_nothing_once_another_is(harbour, letters):
    harbour.user("alice")
    reader = Reader(harbour, "alice")
    reader.send("/account/emails", email="typo@example.org")
    harbour.clock.move(minutes=1)
    assert Reader(harbour).send("/reset", email="typo@example.org").text
    assert [letter["Subject"] for letter in letters()] == ["Confirm your e-mail address"]


def test_accounts_are_not_made_without_end(make_site, tmp_path):
    site = make_site(address_rate="10/minute", mail_folder=str(tmp_path / "mail"))
    statuses = []
    for name in ("ann", "ben", "cat"):
        reader = Reader(site)
        reader.send("/sign-up", name=name, email=f"{name}@example.com", password="a-long-password")
        statuses.append(reader.answer.status_code)
    assert statuses == [200, 200, 429]
    assert [letter["To"] for letter in read_letters(site)] == ["ann@example.com", "ben@example.com"]


def test_letters_cannot_be_asked_for_without_end(make_site, tmp_path):
    site = make_site(login_rate="2/minute", mail_folder=str(tmp_path / "mail"))
    site.user("alice")
    statuses = []
    for address in ("alice@example.com", "alice@example.com", "ALICE@example.com", "nobody@example.com"):
        reader = Reader(site)
        reader.send("/reset", email=address)
        statuses.append(reader.answer.status_code)
    assert statuses == [200, 200, 429, 200]


def test_letters_to_one_address_are_limited_whoever_asks_from_wherever(make_site, tmp_path):
    """Six processes, six networks, two kinds of letter."""
    site = make_site(mail_folder=str(tmp_path / "mail"))
    site.user("alice")
    alice, statuses, letters = Reader(site, "alice"), [], 0
    for number in range(6):
        site.restart()
        reader = Reader(site, REMOTE_ADDR=f"198.51.100.{number}")
        reader.send("/reset", email="Alice@example.com" if number % 2 else "nobody@example.com")
        statuses.append(reader.answer.status_code)
        alice.site, alice.client.application = site, site.app
        page = alice.send("/account/emails/confirm", "/account/emails", email="alice@example.com")
        letters += "We e-mailed a link" in page.text
        read_letters(site)
    assert statuses == [200, 200, 200, 200, 200, 429]
    assert letters == 3
    assert "Too many letters went to alice@example.com lately" in page.text
    assert len(read_letters(site)) == 5
    site.clock.move(minutes=61)
    assert (
        "We e-mailed a link" in alice.send("/account/emails/confirm", "/account/emails", email="alice@example.com").text
    )


def test_asking_for_a_reset_takes_as_much_work_for_an_address_that_nobody_has(harbour, letters):
    harbour.user("alice")
    asked = []
    for address in ("alice@example.com", "nobody@example.com"):
        reader = Reader(harbour)
        form = reader.open("/reset").forms["/reset"]
        with counted_queries(harbour.engine) as statements:
            assert reader.post("/reset", **{**form, "email": address}).status_code == 200
        asked.append(statements)
        letters()
    assert asked[0] == asked[1]
    assert len(letters()) == 1


def test_a_letter_is_in_the_language_of_its_reader(harbour, letters):
    harbour.user("alice")
    Reader(harbour, "alice").send("/language", "/", language="zh")
    Reader(harbour).send("/reset", email="alice@example.com")
    (letter,) = letters()
    assert letter["Subject"] == "设置新密码"
    assert "alice" in letter.get_content()
    assert link_of(letter)


def test_links_in_letters_lead_to_the_site_whatever_the_request_called_it(harbour, letters):
    harbour.user("alice")
    reader = Reader(harbour)
    form = reader.open("/reset").forms["/reset"]
    headers = {"Host": "evil.example", "Cookie": f"wharfinger-visitor={reader.cookie('visitor')}"}
    data = {**form, "email": "alice@example.com"}
    answer = harbour.app.test_client(use_cookies=False).post("/reset", headers=headers, data=data)
    assert answer.status_code == 200
    assert link_of(letters()[0]).startswith("/reset/")
    assert "evil.example" not in letters()[0].get_content()
