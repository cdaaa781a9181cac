"""Sign-up and login: exact answers, and nothing told about names that exist."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from threading import Barrier, BrokenBarrierError

import pytest
from sqlalchemy import text

from common.errors import Conflict, Forbidden, TooMany
from index_service.accounts.email_addresses import MAX_ADDRESSES, TooManyAddresses
from index_service.accounts.login_rate_limit import LoginRateLimit
from index_service.accounts.organisations import OrganisationProfile
from index_service.accounts.validators import WeakPassword
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import CountingHasher, basic

TAKEN = b'"Username or email already exists"'
SLASHES = pytest.mark.parametrize("path", ["/v1/users", "/v1/users/"])


def form(**changes):
    return {"username": "alice", "password": "labpass1", "auth": "", "email": "alice@example.com", **changes}


@SLASHES
def test_sign_up_then_login(site, path):
    made = site.request("POST", path, body=form())
    assert (made.status_code, made.data) == (201, b'"User Created"')
    again = site.request("POST", path, body=form())
    assert (again.status_code, again.data, len(again.data)) == (400, TAKEN, 34)
    login = site.request("GET", path, auth=basic("alice", "labpass1"))
    assert (login.status_code, login.data) == (200, b'"OK"')


def test_a_body_counts_whatever_its_content_type_says(site):
    kind = "application/x-www-form-urlencoded"
    assert site.request("POST", "/v1/users/", body=form(), **{"Content-Type": kind}).status_code == 201


BLANKS = ["", "none", ".", " ", "not-an-email", None, 7, "somebody@else.example"]


@pytest.mark.parametrize("sign_up", ["open", "closed", "admin"])
def test_a_login_that_begins_with_a_sign_up_goes_on_whatever_else_it_says(make_site, sign_up):
    """Docker up to 1.10 goes on to log in after exactly these bytes, and asks for an e-mail each time."""
    site = make_site(sign_up="open")
    site.request("POST", "/v1/users/", body=form())
    with site.engine.begin() as connection:
        connection.execute(text("UPDATE emails SET confirmed_at = created_at"))
    site.restart(sign_up=sign_up)
    bodies = [form(email=email) for email in BLANKS]
    bodies += [form(username=name, email="") for name in ("Alice", "ALICE", " alice ", "Alice@Example.com")]
    bodies += [{key: value for key, value in form().items() if key != "email"}]
    for body in bodies:
        answer = site.request("POST", "/v1/users/", body=body)
        assert (answer.status_code, answer.data) == (400, TAKEN), body
    assert site.rows("SELECT name FROM users") == [("alice",)]


@pytest.mark.parametrize("name", ["alice", "Alice", "ALICE", " alice", "alice@example.com", "Alice@Example.COM"])
def test_a_login_takes_the_name_in_any_case_and_the_confirmed_address(site, name):
    site.request("POST", "/v1/users/", body=form())
    is_address = "@" in name
    if is_address:
        assert site.request("GET", "/v1/users/", auth=basic(name, "labpass1")).status_code == 401
        assert "Wrong username or password" in Reader(site).sign_in(name, "labpass1").text
        with site.engine.begin() as connection:
            connection.execute(text("UPDATE emails SET confirmed_at = created_at"))
    assert site.request("GET", "/v1/users/", auth=basic(name, "labpass1")).status_code == 200
    assert site.request("GET", "/v1/users/", auth=basic(name, "wrong-one")).status_code == 401
    assert site.request("PUT", "/v1/repositories/alice/app/", auth=basic(name, "labpass1"), body=[]).status_code == 200
    assert site.request("GET", "/api/v1/account", auth=basic(name, "labpass1")).json["name"] == "alice"
    assert Reader(site).sign_in(name, "labpass1").forms["/sign-out"]
    if not is_address:
        path = f"/v1/users/{name.strip()}"
        assert (
            site.request("PUT", path, auth=basic(name, "labpass1"), body={"password": "another-1"}).status_code == 204
        )


def test_a_member_is_added_by_a_name_in_any_case(site):
    alice, _ = site.user("alice"), site.user("bob")
    site.services.organisations.create(site.actor(alice), "", "acme", OrganisationProfile())
    site.services.organisations.add_member(site.actor(alice), "", "acme", " Bob")
    rows = site.rows("SELECT name FROM users JOIN members ON user_id = users.id ORDER BY name")
    assert rows == [("alice",), ("bob",)]


def test_another_spelling_is_no_further_guess(make_site):
    site = make_site(login_rate="3/hour")
    site.request("POST", "/v1/users/", body=form())
    with site.engine.begin() as connection:
        connection.execute(text("UPDATE emails SET confirmed_at = created_at"))
    names = ["alice", "Alice", "alice@example.com", "ALICE"]
    statuses = [site.request("GET", "/v1/users/", auth=basic(name, "wrong-one")).status_code for name in names]
    assert statuses == [401, 401, 401, 429]


def test_anybody_may_sign_up_with_an_address_which_tells_nothing_of_whose_it_is(site):
    site.user("alice")
    accounts = site.services.accounts
    accounts.confirm(site.confirmation_link("alice", "alice@example.com"), "")
    other = site.request("POST", "/v1/users/", body=form(username="bob", email="ALICE@Example.com"))
    assert (other.status_code, other.data) == (201, b'"User Created"')
    assert [*site.reset_links("alice@example.com")] == ["alice"]


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "library"},
        {"username": "admin"},
        {"username": "support"},
        {"username": "a"},
        {"username": "a" * 31},
        {"username": "Alice"},
        {"username": "al..ice"},
        {"username": "-alice"},
        {"username": "al/ice"},
        {"username": "alice\x00"},
        {"username": "\ud800\ud800"},
        {"username": None},
        {"username": 7},
        {"password": "seven77"},
        {"password": "Password123"},
        {"password": "1q2w3e4r5t"},
        {"username": "long-enough", "password": "Long-Enough"},
        {"email": "Long.Enough@example.com", "password": "long.enough@example.com"},
        {"email": "Long.Enough@example.com", "password": "long.enough"},
        {"password": "x" * 257},
        {"password": None},
        {"password": ["labpass1"]},
        {"email": "nobody"},
        {"email": "a b@example.com"},
        {"email": "a@example.com\n"},
        {"email": "\ud800@example.com"},
        {"email": "a" * 250 + "@example.com"},
        {"email": None},
    ],
    ids=repr,
)
def test_a_field_that_cannot_be_is_named(site, changes):
    answer = site.request("POST", "/v1/users/", body=form(**changes))
    field = "password" if "password" in changes else next(iter(changes))
    assert answer.status_code == 400
    assert field.removesuffix("name") in answer.json["error"].lower()
    assert answer.data != TAKEN
    assert site.rows("SELECT name FROM users") == []


def test_an_account_of_before_the_rules_still_logs_in(site):
    """Its password is short, its name reserved, and its address never given: a daemon signs up before it logs in."""
    site.services.operations.create_user("admin", "long-enough-1", None, is_admin=False)
    with site.engine.begin() as connection:
        connection.execute(text("UPDATE users SET password_hash = :hash"), {"hash": site.hasher.hash("abc12")})
    daemons = site.request("POST", "/v1/users/", body=form(username="admin", password="abc12", email=""))
    assert (daemons.status_code, daemons.data) == (400, TAKEN)
    assert site.request("GET", "/v1/users/", auth=basic("admin", "abc12")).status_code == 200
    assert Reader(site).sign_in("admin", "abc12").forms["/sign-out"]


@pytest.mark.parametrize("password", ["seven77", "12345678", "alice@example.com", "ALICE@example.com", "x" * 257])
def test_a_weak_password_replaces_none(site, password):
    """By a client, a command, the page, or a link: the address was added later."""
    site.services.operations.create_user("alice", "password-alice", None, is_admin=False)
    site.services.accounts.add_address(site.actor("alice"), "alice@example.com", "")
    answer = site.request("PUT", "/v1/users/alice", user="alice", body={"password": password})
    assert (answer.status_code, "Invalid password" in answer.json["error"]) == (400, True)
    with pytest.raises(WeakPassword):
        site.services.operations.set_password("alice", password)
    page = Reader(site, "alice").send("/account/password", current="password-alice", password=password)
    assert page.all("input", id="field-password")[0]["aria-invalid"] == "true"
    link = site.reset_links("alice@example.com")["alice"]
    page = Reader(site).send(f"/reset/{link}", password=password)
    assert page.all("input", id="field-password")[0]["aria-invalid"] == "true"
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200


def test_a_password_may_be_any_long_text(site):
    """No rules on what it consists of."""
    for number, password in enumerate(("eight by", "ßßßßßßßß", "        .", "correct horse battery staple", "1" * 40)):
        body = form(username=f"user{number}", password=password, email=f"user{number}@example.com")
        assert site.request("POST", "/v1/users/", body=body).status_code == 201, password


@pytest.mark.parametrize("raw", ["", "{", "[]", '"alice"', "[" * 100_000, b"\xff\xfe", "null"])
def test_a_body_that_is_no_object_is_refused(site, raw):
    answer = site.request("POST", "/v1/users/", raw=raw)
    assert answer.status_code == 400
    assert list(answer.json) == ["error"]


def test_a_huge_body_is_refused_unread(site):
    assert site.request("POST", "/v1/users/", raw=b" " * (5 << 20)).status_code == 413


@pytest.mark.parametrize(
    "auth",
    [
        None,
        "",
        "Basic Og==",
        "Basic",
        "Basic !!!",
        "Basic YWxpY2U=",
        "Bearer abc",
        "Token ",
        'Token signature=abc,repository="a/b",access=read',
        basic("alice", "wrong"),
        basic("alice", ""),
        basic("", "password-alice"),
        basic("nobody", "password-alice"),
        basic("alice\x00", "password-alice"),
        "Basic /////w==",
    ],
)
def test_a_login_that_proves_nothing_is_refused(site, auth):
    site.user("alice")
    answer = site.request("GET", "/v1/users/", auth=auth)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="auth required",Token'
    assert list(answer.json) == ["error"]


def test_passwords_may_hold_colons_and_any_script(site):
    password = "a:b:пароль"
    site.services.operations.create_user("alice", password, None, is_admin=False)
    assert site.request("GET", "/v1/users/", auth=basic("alice", password)).status_code == 200


def test_an_inactive_account_is_told_so_only_by_its_password(site):
    site.user("alice")
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    site.set_active("alice", False)
    assert site.request("GET", "/v1/users/", user="alice").status_code == 403
    assert site.request("GET", "/v1/users/", auth=basic("alice", "wrong")).status_code == 401
    site.set_active("alice", True)
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200


# --- what an answer tells -------------------------------------------------------------------------------------------


def answer_and_work(site, method, **request):
    before = site.hasher.work
    answer = site.request(method, "/v1/users/", **request)
    return answer.status_code, answer.data, site.hasher.work - before


@pytest.mark.parametrize("known", ["alice", "sleeper"])
def test_a_wrong_password_and_an_unknown_name_cannot_be_told_apart(site, known):
    site.user("alice")
    site.user("sleeper")
    site.set_active("sleeper", False)
    wrong = answer_and_work(site, "GET", auth=basic(known, "wrong"))
    assert wrong == answer_and_work(site, "GET", auth=basic("nobody", "wrong"))
    assert wrong[0] == 401
    assert wrong[2] == 1
    # The work is the same work: a hash of the same parameters is compared.
    of_known, of_nobody = (stored.rpartition("$")[0].rpartition("$")[0] for stored in site.hasher.verified[-2:])
    assert of_known == of_nobody


def test_an_index_begins_without_hashing(site):
    """What an unknown name's password is compared with is none's hash: every command would wait for it."""
    assert site.hasher.work == 0
    assert answer_and_work(site, "GET", auth=basic("nobody", "wrong"))[2] == 1


@pytest.mark.parametrize("mode", ["closed", "admin"])
def test_where_sign_up_is_not_open_only_the_password_tells_a_name(make_site, mode):
    site = make_site(sign_up="admin")
    site.user("alice")
    site.restart(sign_up=mode)
    right = answer_and_work(site, "POST", body=form(password="password-alice"))
    assert right == (400, TAKEN, 1)
    wrong = answer_and_work(site, "POST", body=form(password="password-wrong"))
    unknown = answer_and_work(site, "POST", body=form(username="nobody", password="password-wrong"))
    impossible = answer_and_work(site, "POST", body=form(username="\x00", password="x"))
    assert wrong == unknown == impossible
    assert wrong[0] == 401
    assert site.rows("SELECT name FROM users") == [("alice",)]


def test_where_sign_up_is_open_a_free_name_costs_what_a_taken_one_does(site):
    site.user("alice")
    taken = answer_and_work(site, "POST", body=form(password="password-wrong"))
    free = answer_and_work(site, "POST", body=form(username="bob", email="bob@example.com"))
    assert (taken[0], free[0]) == (400, 201)
    assert taken[2] == free[2] == 1


def test_a_command_makes_accounts_unless_nobody_may(make_site):
    site = make_site(sign_up="admin")
    assert site.user("alice") == "alice"
    site.restart(sign_up="closed")
    with pytest.raises(Forbidden):
        site.user("bob")


# --- remembering, and guessing --------------------------------------------------------------------------------------


def test_a_right_password_is_hashed_once_in_a_while(site):
    site.user("alice")
    before = site.hasher.work
    for _ in range(5):
        assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    assert site.hasher.work - before == 1


class MeetingHasher(CountingHasher):
    """Holds one who verifies until a second comes to verify too, which a moment later is given up."""

    def __init__(self):
        super().__init__()
        self.meeting = Barrier(2)

    def verify(self, password_hash, password):
        with suppress(BrokenBarrierError):
            self.meeting.wait(0.5)
        return super().verify(password_hash, password)


def test_of_many_logins_at_once_one_is_hashed(site):
    site.user("alice")
    site.hasher = MeetingHasher()
    site.restart()
    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(lambda _: site.request("GET", "/v1/users/", user="alice").status_code, range(40)))
    assert statuses == {200}
    assert len(site.hasher.verified) == 1


def test_a_wrong_password_is_never_remembered_as_right(site):
    site.user("alice")
    for _ in range(3):
        assert site.request("GET", "/v1/users/", auth=basic("alice", "wrong")).status_code == 401
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    assert site.request("GET", "/v1/users/", auth=basic("alice", "wrong")).status_code == 401


def test_what_is_remembered_ends_with_the_password_changed_elsewhere(site):
    site.user("alice")
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    remembering = site.app
    site.restart()
    site.services.operations.set_password("alice", "another-password")
    site.app = remembering
    assert site.request("GET", "/v1/users/", user="alice").status_code == 401
    assert site.request("GET", "/v1/users/", auth=basic("alice", "another-password")).status_code == 200


def test_nothing_is_remembered_for_zero_seconds(make_site):
    site = make_site(credential_seconds=0.0)
    site.user("alice")
    before = site.hasher.work
    for _ in range(3):
        site.request("GET", "/v1/users/", user="alice")
    assert site.hasher.work - before == 3


def test_a_hash_of_old_parameters_is_made_anew_at_login(site):
    site.user("alice")
    ((old,),) = site.rows("SELECT password_hash FROM users")
    site.hasher = CountingHasher(time_cost=2)
    site.restart()
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    ((new,),) = site.rows("SELECT password_hash FROM users")
    assert "t=1" in old
    assert "t=2" in new
    before = site.hasher.work
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    assert site.hasher.work == before


def test_hashes_are_argon2id_and_hold_no_password(site):
    site.user("alice")
    ((stored,),) = site.rows("SELECT password_hash FROM users")
    assert stored.startswith("$argon2id$")
    assert "password-alice" not in stored


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_guesses_at_one_name_are_limited_whether_or_not_it_exists(make_site, name):
    site = make_site(login_rate="3/hour")
    site.user("alice")
    site.user("bob")
    statuses = [site.request("GET", "/v1/users/", auth=basic(name, f"guess{n}")).status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    answer = site.request("GET", "/v1/users/", auth=basic(name, f"password-{name}"))
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert list(answer.json) == ["error"]
    assert site.request("GET", "/v1/users/", user="bob").status_code == 200
    assert site.request("GET", "/v1/users/", auth=basic(name, "x"), address="127.0.0.2").status_code == 401


def test_guesses_from_one_address_are_limited_over_all_names(make_site):
    site = make_site(address_rate="4/hour")
    statuses = [site.request("GET", "/v1/users/", auth=basic(f"user{n}", "guess")).status_code for n in range(6)]
    assert statuses == [401] * 4 + [429] * 2


def test_neighbours_in_one_ipv6_network_share_a_limit(make_site):
    site = make_site(address_rate="2/hour")
    addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"]
    statuses = [
        site.request("GET", "/v1/users/", auth=basic("alice", "x"), address=address).status_code
        for address in addresses
    ]
    assert statuses == [401, 401, 429, 401]


def test_guesses_at_once_do_not_slip_through_the_limit(make_site):
    site = make_site(login_rate="3/hour")
    site.user("alice")
    before = site.hasher.work
    with ThreadPoolExecutor(8) as pool:
        guesses = [basic("alice", f"guess{n}") for n in range(24)]
        statuses = list(pool.map(lambda auth: site.request("GET", "/v1/users/", auth=auth).status_code, guesses))
    assert set(statuses) == {401, 429}
    assert site.hasher.work - before == statuses.count(401) <= 3


def test_attempts_under_way_count_until_they_end_well():
    attempts = LoginRateLimit("3/hour", "100/hour")
    with ExitStack() as under_way:
        for _ in range(3):
            under_way.enter_context(attempts.attempt("alice", "10.0.0.1"))
        with pytest.raises(TooMany), attempts.attempt("alice", "10.0.0.1"):
            pass
        with attempts.attempt("bob", "10.0.0.1"), attempts.attempt("alice", "10.0.0.2"):
            pass
    for _ in range(4):
        with attempts.attempt("alice", "10.0.0.1"):
            pass


def test_an_attempt_that_breaks_off_is_no_longer_under_way():
    attempts = LoginRateLimit("1/hour", "1/hour")
    with suppress(KeyError), attempts.attempt("alice", "10.0.0.1"):
        raise KeyError
    with attempts.attempt("alice", "10.0.0.1") as attempt:
        attempt.failed = True
    with pytest.raises(TooMany), attempts.attempt("alice", "10.0.0.1"):
        pass


def test_right_passwords_do_not_count(make_site):
    site = make_site(login_rate="3/hour", credential_seconds=0.0)
    site.user("alice")
    assert {site.request("GET", "/v1/users/", user="alice").status_code for _ in range(10)} == {200}


def test_probing_for_names_by_signing_up_is_limited(make_site):
    site = make_site(address_rate="2/hour")
    site.user("alice")
    statuses = [site.request("POST", "/v1/users/", body=form(password="password-no")).status_code for _ in range(3)]
    assert statuses == [400, 400, 429]


def sign_up_many(site, names, address=None):
    bodies = [form(username=name, email=f"{name}@example.com") for name in names]
    return [site.request("POST", "/v1/users/", body=body, address=address) for body in bodies]


def test_accounts_made_from_one_address_are_limited(make_site):
    site = make_site(address_rate="15/minute")
    answers = sign_up_many(site, ["ann", "ben", "cat", "dan"])
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert 60 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert list(answers[-1].json) == ["error"]
    # A daemon that begins its login with a sign-up still does.
    assert [(answer.status_code, answer.data) for answer in sign_up_many(site, ["ann"])] == [(400, TAKEN)]
    assert [answer.status_code for answer in sign_up_many(site, ["dan"], "127.0.0.2")] == [201]


def test_an_address_makes_one_account_however_few_guesses_it_has(make_site):
    site = make_site(address_rate="2/day")
    assert [answer.status_code for answer in sign_up_many(site, ["ann", "ben"])] == [201, 429]


def test_sign_ups_that_made_nothing_are_not_accounts_made(make_site):
    site = make_site(address_rate="5/minute")
    site.user("alice")
    statuses = [
        site.request("POST", "/v1/users/", body=form(username=name, email=email)).status_code
        for name, email in [("alice", "alice@example.com"), ("ben", "ben@example.com"), ("cat", "cat@example.com")]
    ]
    assert statuses == [400, 201, 429]


def test_a_client_behind_a_trusted_proxy_is_limited_by_its_own_address(make_site):
    site = make_site(login_rate="1/hour", trusted_proxies=1)
    guess = basic("alice", "guess")
    for forwarded, status in [("10.0.0.1", 401), ("10.0.0.1", 429), ("10.0.0.2", 401), ("evil, 10.0.0.2", 429)]:
        answer = site.request("GET", "/v1/users/", auth=guess, **{"X-Forwarded-For": forwarded})
        assert answer.status_code == status


def test_nobody_is_believed_about_an_address_without_trusted_proxies(make_site):
    site = make_site(login_rate="1/hour")
    headers = [{"X-Forwarded-For": f"10.0.0.{n}"} for n in range(2)]
    statuses = [site.request("GET", "/v1/users/", auth=basic("a1", "x"), **each).status_code for each in headers]
    assert statuses == [401, 429]


# --- changing an account --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/users/alice", "/v1/users/alice/"])
def test_a_new_password_and_a_further_address(site, path):
    site.user("alice")
    body = {"password": "another-one", "email": "Second@example.com"}
    answer = site.request("PUT", path, user="alice", body=body)
    assert (answer.status_code, answer.data) == (204, b"")
    assert site.request("GET", "/v1/users/", user="alice").status_code == 401
    assert site.request("GET", "/v1/users/", auth=basic("alice", "another-one")).status_code == 200
    assert site.rows("SELECT address FROM emails ORDER BY id") == [("alice@example.com",), ("second@example.com",)]
    assert site.request("PUT", path, auth=basic("alice", "another-one"), body=body).status_code == 204


def test_an_account_has_only_so_many_addresses(site):
    site.user("alice")
    bodies = [{"email": f"alice{n}@example.com"} for n in range(MAX_ADDRESSES)]
    *added, refused = [site.request("PUT", "/v1/users/alice/", user="alice", body=body) for body in bodies]
    assert {answer.status_code for answer in added} == {204}
    assert (refused.status_code, refused.json) == (409, {"error": str(TooManyAddresses())})
    assert site.request("PUT", "/v1/users/alice/", user="alice", body=bodies[0]).status_code == 204
    assert len(site.rows("SELECT id FROM emails")) == MAX_ADDRESSES


def test_a_password_changed_ends_the_tokens_issued_before(site):
    site.user("alice")
    token = site.push("alice/app", "alice")
    assert site.redeem("alice/app", token) == 200
    site.request("PUT", "/v1/users/alice", user="alice", body={"password": "another-one"})
    assert site.redeem("alice/app", token) == 401


@pytest.mark.parametrize(
    ("user", "path", "body", "status"),
    [
        (None, "/v1/users/alice", {"password": "another-one"}, 401),
        ("bob", "/v1/users/alice", {"password": "another-one"}, 403),
        ("bob", "/v1/users/nobody", {"password": "another-one"}, 403),
        ("alice", "/v1/users/alice", {"password": "tiny"}, 400),
        ("alice", "/v1/users/alice", {"email": "bob@example.com"}, 204),
        ("alice", "/v1/users/alice", {"email": "nobody"}, 400),
        ("alice", "/v1/users/alice", {}, 204),
    ],
)
def test_only_oneself_and_only_what_can_be(site, user, path, body, status):
    site.user("alice")
    site.user("bob")
    before = site.rows("SELECT name, password_hash FROM users ORDER BY id")
    assert site.request("PUT", path, user=user, body=body).status_code == status
    assert site.rows("SELECT name, password_hash FROM users ORDER BY id") == before


def test_one_name_signed_up_by_many_at_once_is_made_once(make_site):
    site = make_site(login_rate="100/minute")
    with ThreadPoolExecutor(8) as pool:
        bodies = [form(email=f"alice{n}@example.com") for n in range(16)]
        answers = list(pool.map(lambda body: site.request("POST", "/v1/users/", body=body), bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 15
    assert {answer.data for answer in answers if answer.status_code == 400} == {TAKEN}
    assert len(site.rows("SELECT id FROM users")) == len(site.rows("SELECT id FROM emails")) == 1


def test_a_taken_name_does_not_leave_half_an_account(site):
    site.services.operations.create_organisation("acme", site.user("alice"))
    with pytest.raises(Conflict):
        site.services.operations.create_user("acme", "password-acme", "acme@example.com", is_admin=False)
    assert site.rows("SELECT name FROM users") == [("alice",)]


def test_nothing_but_json_is_answered(site):
    for method, path in [
        ("PATCH", "/v1/search"),
        ("PATCH", "/v1/users"),
        ("GET", "/v1/nowhere"),
        ("PUT", "/v1/users"),
    ]:
        answer = site.request(method, path)
        assert answer.content_type == "application/json"
        assert list(json.loads(answer.data)) == ["error"]
