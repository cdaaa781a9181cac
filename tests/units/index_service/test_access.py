"""What ends an account's access: which deed ends which kind of it, by every door, and all of it in one transaction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from common.errors import Unavailable
from index_service.accounts import authentication, password_changes
from index_service.accounts.access_tokens import NewToken
from index_service.accounts.authentication import WrongCredential
from index_service.accounts.email_links import LinkExpired
from index_service.audit.log import AuditContext
from index_service.cli import main
from index_service.database import Database
from index_service.db import now
from index_service.services.accounts import Browser
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import authorization, basic

BROWSER = Browser("192.0.2.1", "")
APP = "/v1/repositories/alice/app/images"


class Held:
    """All access that alice has: a session, pull tokens, an access token, a link that resets her password."""

    def __init__(self, site):
        self._site = site
        accounts = site.services.accounts
        alice = site.actor("alice")
        self._secret = accounts.sign_in("alice", "password-alice", BROWSER)
        self._pull_token = site.pull_token("alice/app", "alice")
        self.access_token = accounts.make_access_token(alice, NewToken("laptop", "*", True, None), "")
        with_it = site.request("GET", APP, auth=basic("alice", self.access_token), ask=True)
        self._pull_token_of_access_token = authorization(with_it)
        self.link = site.reset_links("alice@example.com")["alice"]

    @property
    def alive(self):
        site, accounts = self._site, self._site.services.accounts
        answers = {
            "session": accounts.signed_in(self._secret) is not None,
            "pull token": site.redeem("alice/app", self._pull_token) == 200,
            "pull token of the access token": site.redeem("alice/app", self._pull_token_of_access_token) == 200,
            "access token": site.request("GET", "/v1/users/", auth=basic("alice", self.access_token)).status_code
            == 200,
            "reset link": self._opens(),
        }
        return {kind for kind, answer in answers.items() if answer}

    def _opens(self):
        try:
            self._site.services.accounts.to_reset(self.link)
        except LinkExpired:
            return False
        return True


def alice_and_root(site):
    site.user("alice")
    site.user("root", admin=True)
    site.push("alice/app", "alice")
    site.set_private("alice/app")


@pytest.fixture
def contents():
    return alice_and_root


@pytest.fixture
def site(make_site):
    return make_site(address_rate="1000/minute")


@pytest.fixture
def held(site):
    held = Held(site)
    assert len(held.alive) == 5
    return held


def by_command(site, is_active):
    site.services.operations.set_active("alice", is_active=is_active)


def by_page(site, is_active):
    change = "open" if is_active else "close"
    Reader(site, "root").send("/admin/people", person="alice", change=change)


def by_api(site, is_active):
    body = {"is_active": is_active}
    answer = site.request(
        "PATCH", "/api/v1/admin/people/alice", user="root", body=body, Content_Type="application/json"
    )
    assert answer.status_code < 300, answer.data


@pytest.mark.parametrize("door", [by_command, by_page, by_api])
def test_a_closed_account_opened_again_begins_with_its_password_alone(site, held, door):
    door(site, False)
    assert held.alive == set()
    door(site, True)
    assert held.alive == set()
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200


def test_what_a_version_before_left_to_a_closed_account_ends_when_it_is_opened(site, held):
    with site.engine.begin() as connection:
        connection.execute(text("UPDATE users SET is_active = false WHERE name = 'alice'"))
    by_command(site, True)
    assert held.alive == set()


def reset(site, held):
    site.services.accounts.reset(held.link, "another-password", BROWSER)


def set_by_operator(site, _held):
    site.services.operations.set_password("alice", "another-password")


def set_by_operator_but_access_tokens(site, _held):
    site.services.operations.set_password("alice", "another-password", keeps_access_tokens=True)


def changed_on_the_site(site, _held):
    site.services.accounts.change_password(
        site.services.accounts.signed_in(site.services.accounts.sign_in("alice", "password-alice", BROWSER)),
        "password-alice",
        "another-password",
        BROWSER,
    )


def changed_by_client(site, _held):
    answer = site.request("PUT", "/v1/users/alice/", user="alice", body={"password": "another-password"})
    assert answer.status_code == 204, answer.data


@pytest.mark.parametrize(
    ("deed", "left"),
    [
        (reset, set()),
        (set_by_operator, set()),
        (set_by_operator_but_access_tokens, {"access token"}),
        (changed_on_the_site, {"access token"}),
        (changed_by_client, {"access token"}),
    ],
)
def test_another_password_ends_what_the_old_one_opened(site, held, deed, left):
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    deed(site, held)
    assert held.alive == left
    statuses = [
        site.request("GET", "/v1/users/", auth=basic("alice", password)).status_code
        for password in ("password-alice", "another-password")
    ]
    assert statuses == [401, 200]


def test_revoked_tokens_are_of_both_kinds_and_browsers_stay(site, held):
    ended = site.services.operations.revoke_tokens("alice")
    assert (ended.sessions, ended.protocol_tokens, ended.access_tokens) == (0, 3, 1)
    assert held.alive == {"session", "reset link"}
    again = site.services.operations.revoke_tokens("alice")
    assert (again.protocol_tokens, again.access_tokens) == (0, 0)


@contextmanager
def failing(engine, statement):
    """The database goes away when this is asked of it."""

    def fail(_connection, _cursor, asked, *_):
        if asked.startswith(statement):
            raise OperationalError(asked, None, Exception("the connection is lost"))

    event.listen(engine, "before_cursor_execute", fail)
    yield
    event.remove(engine, "before_cursor_execute", fail)


def set_and_told_of_failure(site):
    with pytest.raises(Unavailable):
        site.services.operations.set_password("alice", "another-password")


def changed_and_told_of_failure(site):
    answer = site.request("PUT", "/v1/users/alice/", user="alice", body={"password": "another-password"})
    assert answer.status_code == 503


@pytest.mark.parametrize("deed", [set_and_told_of_failure, changed_and_told_of_failure])
def test_a_password_is_changed_with_all_that_ends_or_not_at_all(site, held, deed):
    with failing(site.engine, "DELETE FROM tokens"):
        deed(site)
    assert len(held.alive) == 5
    statuses = [
        site.request("GET", "/v1/users/", auth=basic("alice", password)).status_code
        for password in ("password-alice", "another-password")
    ]
    assert statuses == [200, 401]


@contextmanager
def changing(site, deed):
    """Does something to alice between the check of the next password and what comes of it."""
    verify = site.hasher.verify

    def verify_and_do(password_hash, password):
        site.hasher.verify = verify
        try:
            return verify(password_hash, password)
        finally:
            deed(site)

    site.hasher.verify = verify_and_do
    yield
    assert site.hasher.verify is verify


def closed_and_opened(site):
    by_command(site, False)
    by_command(site, True)


def password_set(site):
    site.services.operations.set_password("alice", "another-password")


def signs_in(site):
    with pytest.raises(WrongCredential):
        site.services.accounts.sign_in("alice", "password-alice", BROWSER)


def signs_in_on_the_page(site):
    assert "Wrong username or password" in Reader(site).sign_in("alice").text


def pulls(site):
    assert site.request("GET", APP, user="alice", ask=True).status_code == 401


def pushes(site):
    path = "/v1/repositories/alice/new/"
    assert site.request("PUT", path, user="alice", ask=True, body=[]).status_code == 401
    assert site.rows("SELECT 1 FROM repositories WHERE name = 'new'") == []


def changes_the_password(site):
    body = {"password": "third-password"}
    assert site.request("PUT", "/v1/users/alice/", user="alice", body=body).status_code == 401


@pytest.mark.parametrize("deed", [password_set, closed_and_opened])
@pytest.mark.parametrize("begins", [signs_in, signs_in_on_the_page, pulls, pushes, changes_the_password])
def test_a_password_verified_before_a_change_begins_nothing_after_it(make_site, deed, begins):
    site = make_site(credential_seconds=0)
    with changing(site, deed):
        begins(site)
    assert site.rows("SELECT 1 FROM sessions") == site.rows("SELECT 1 FROM tokens") == []
    password = "another-password" if deed is password_set else "password-alice"
    assert site.request("GET", "/v1/users/", auth=basic("alice", password)).status_code == 200


def signing_in(site, _held):
    with pytest.raises(WrongCredential):
        site.services.accounts.sign_in("alice", "password-alice", BROWSER)


def pulling(site, _held):
    assert site.request("GET", APP, user="alice", ask=True).status_code == 401


def pulling_with_access_token(site, held):
    auth = basic("alice", held.access_token)
    assert site.request("GET", APP, auth=auth, ask=True).status_code == 401


@pytest.mark.parametrize("begins", [signing_in, pulling, pulling_with_access_token])
def test_access_that_begins_while_all_access_ends_waits_and_is_refused(site, held, begins):
    context = AuditContext(None, "", site.clock())
    with ThreadPoolExecutor(1) as threads:
        with Database(site.engine).writing() as session:
            user = authentication.require(session, "alice")
            password_changes.change(session, context, user, site.hasher.hash("x"), keeps_access_tokens=False)
            begun = threads.submit(begins, site, held)
            wait([begun], timeout=0.5)
            assert not begun.done()
        begun.result(timeout=60)
    assert site.rows("SELECT 1 FROM sessions") == site.rows("SELECT 1 FROM tokens") == []


def listed_by_api(site):
    answers = {
        kind: site.request("GET", f"/api/v1/admin/people/alice/{kind}", user="root").get_json()["items"]
        for kind in ("sessions", "protocol-tokens", "access-tokens")
    }
    return {kind: [str(row["id"]) for row in rows] for kind, rows in answers.items()}


def ended_by_api(site, kind, *identifier):
    path = "/".join(("/api/v1/admin/people/alice", "access" if kind == "all" else kind, *identifier))
    return site.request("DELETE", path, user="root").status_code == 204


def ended_by_page(site, kind, *identifier):
    """Asked first: the page of the person links to a page that asks, whose form ends it."""
    reader = Reader(site, "root")
    query = f"kind={kind}&id={identifier[0]}" if identifier else f"kind={kind}"
    links = [given["href"] for given in reader.open("/admin/people/alice").all("a") if "href" in given]
    if f"/admin/people/alice/end?{query}" not in links:
        return False
    reader.send("/admin/people/alice/end", f"/admin/people/alice/end?{query}")
    return reader.answer.status_code == 200


def command(site, *words, stdin=""):
    environ = {"WHARFINGER_INDEX_DATABASE_URL": site.engine.url.render_as_string(hide_password=False)}
    return CliRunner().invoke(main, words, input=stdin, env=environ | {"WHARFINGER_INDEX_SECRET_KEYS": "k" * 32})


def ended_by_command(site, kind, *identifier):
    refused = command(site, "end-access", "alice", kind, *identifier, stdin="n\n")
    assert refused.exit_code == 1
    assert refused.stdout.startswith(f"End {' '.join((kind, *identifier))} of alice?")
    return command(site, "end-access", "alice", kind, *identifier, stdin="y\n").exit_code == 0


LEFT = {
    "sessions": {"pull token", "pull token of the access token", "access token", "reset link"},
    "protocol-tokens": {"session", "access token", "reset link"},
    "access-tokens": {"session", "pull token", "reset link"},
    "all": set(),
}


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (ended_by_api, "sessions"),
        (ended_by_page, "protocol-tokens"),
        (ended_by_command, "access-tokens"),
        *((end, "all") for end in (ended_by_api, ended_by_page, ended_by_command)),
    ],
)
def test_an_administrator_or_operator_ends_all_of_a_kind(site, held, end, kind):
    assert end(site, kind)
    assert held.alive == LEFT[kind]
    done = "SELECT actor_name, subject FROM audit WHERE action = 'access.ended'"
    assert site.rows(done) == [("" if end is ended_by_command else "root", "alice")]


@pytest.mark.parametrize(
    ("end", "kind"),
    [(ended_by_page, "sessions"), (ended_by_command, "protocol-tokens"), (ended_by_api, "access-tokens")],
)
def test_an_administrator_or_operator_ends_one_session_or_token(site, held, end, kind):
    site.services.accounts.sign_in("alice", "password-alice", BROWSER)
    site.services.accounts.make_access_token(site.actor("alice"), NewToken("other", "*", False, None), "")
    before = listed_by_api(site)
    assert [len(rows) for rows in before.values()] == [2, 3, 2]
    chosen = before[kind][-1]
    assert end(site, kind, chosen)
    after = listed_by_api(site)
    assert after[kind] == before[kind][:-1]
    # The access token made first is the last listed, and a pull token was issued for it.
    assert len(after["protocol-tokens"]) == (3 if kind == "sessions" else 2)
    assert not end(site, kind, chosen)


def test_nobody_ends_what_is_anothers(site, held):
    (token,) = listed_by_api(site)["access-tokens"]
    path = f"/api/v1/admin/people/root/access-tokens/{token}"
    assert site.request("DELETE", path, user="root").status_code == 404
    assert site.request("DELETE", path.replace("root", "alice"), user="alice").status_code == 403
    assert len(held.alive) == 5


def test_a_session_ends_anothers_access_only_with_a_password_given_lately(site, held):
    reader = Reader(site, "root")
    csrf = reader.open("/account").forms["/language"]["csrf"]
    site.clock.move(minutes=16)
    reader.post("/admin/people/alice/end", csrf=csrf, kind="all")
    assert reader.answer.location.startswith("/prove")
    assert len(held.alive) == 5


def test_the_command_lists_what_an_account_holds(site):
    # A command's clock is the machine's.
    site.clock.now = now()
    held = Held(site)
    printed = command(site, "list-access", "alice").stdout
    listed = listed_by_api(site)
    assert all(identifier in printed for kind in ("sessions", "protocol-tokens") for identifier in listed[kind])
    assert f"access-tokens {listed['access-tokens'][0]} write *" in printed
    assert held.access_token not in printed
