"""Letters from the outbox: what tells an owner of what, sent once, and not lost while the mail server is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

import pytest

from index_service.accounts import known_networks
from index_service.accounts.access import SELECTABLE, Selection
from index_service.accounts.access_tokens import NewToken
from index_service.accounts.notices import NOTICES
from index_service.services.accounts import Browser
from index_service.services.login_guard import LETTERS
from index_service.web.emails import SUBJECTS
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import KEY
from tests.units.index_service.test_mail import MailServer, read, url
from tests.units.index_service.test_web_sign_in import read_letters

HOME = Browser("192.0.2.1", "Firefox")
ONE_PROCESS = """
import sys
from index_service.app import create_app
from index_service.background import EXTENSION
from index_service.settings import IndexSettings

app = create_app(IndexSettings(secret_keys=(sys.argv[1],), database_url=sys.argv[2], smtp_url=sys.argv[3]))
app.extensions[EXTENSION].send_letters()
"""


@pytest.fixture
def site(make_site, tmp_path):
    """An index whose letters are left in a folder; alice has confirmed her address."""
    site = make_site(mail_folder=str(tmp_path / "mail"), site_url="http://images.example.com")
    for name in ("alice", "bob"):
        site.user(name)
    site.user("root", admin=True)
    confirm(site, "alice@example.com")
    read_letters(site)
    return site


@contextmanager
def serving(server=None):
    with server or MailServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def confirm(site, address):
    site.services.accounts.confirm(site.confirmation_link("alice", address), "192.0.2.1")


def waiting(site):
    return [tuple(row) for row in site.rows("SELECT kind, recipient, attempts FROM letters ORDER BY id")]


def subjects(site, before=0):
    return [letter["Subject"] for letter in read_letters(site)[before:]]


def deeds(site):
    """What changes the security of alice's account, by the change."""
    accounts, operations, administration = (
        site.services.accounts,
        site.services.operations,
        site.services.administration,
    )
    alice, root = partial(site.actor, "alice"), site.actor("root")
    yield "email.added", lambda: accounts.add_address(alice(), "new@example.com", "192.0.2.1")
    yield "email.confirmed", lambda: confirm(site, "new@example.com")
    yield "email.made-main", lambda: accounts.make_main(alice(), "new@example.com", "192.0.2.1")
    yield "email.removed", lambda: accounts.remove_address(alice(), "new@example.com", "192.0.2.1")
    asked = NewToken("laptop", "*", True, None)
    yield "access-token.made", lambda: accounts.make_access_token(alice(), asked, "192.0.2.1")
    yield "password.changed", lambda: operations.set_password("alice", "another-password")
    reset = partial(accounts.reset, password="password-alice", browser=HOME)
    yield "password.reset", lambda: reset(site.reset_links("alice@example.com")["alice"])
    yield "sign-in.succeeded", lambda: accounts.sign_in("alice", "password-alice", Browser("203.0.113.1", "curl"))
    yield "account.made-admin", lambda: administration.set_admin(root, "192.0.2.9", "alice", is_admin=True)
    yield "account.unmade-admin", lambda: operations.set_admin("alice", is_admin=False)
    chosen = Selection(SELECTABLE["sessions"])
    yield "access.ended", lambda: administration.end_access(root, "192.0.2.9", "alice", chosen)
    yield "tokens.revoked", lambda: operations.revoke_tokens("alice")
    yield "account.deactivated", lambda: operations.set_active("alice", is_active=False)
    yield "account.activated", lambda: operations.set_active("alice", is_active=True)


def test_an_owner_is_told_of_each_change_at_every_confirmed_address(site):
    told = set()
    for change, do in deeds(site):
        before = len(read_letters(site))
        do()
        site.clock.move(minutes=5)
        letters = read_letters(site)[before:]
        assert {letter["Subject"] for letter in letters} == {str(SUBJECTS[change])}, change
        everywhere = {"alice@example.com", "new@example.com"}
        also_new = change in ("email.confirmed", "email.made-main", "email.removed")
        assert {letter["To"] for letter in letters} == (everywhere if also_new else {"alice@example.com"}), change
        assert all("Account: alice" in letter.get_content() for letter in letters)
        told.add(change)
    assert told | {"confirm", "reset"} == set(SUBJECTS)
    assert waiting(site) == []


def test_a_notice_tells_who_when_and_from_where_in_the_reader_s_language_and_no_secret(site):
    site.services.accounts.change_language(site.actor("alice"), "zh")
    token = site.services.accounts.make_access_token(
        site.actor("alice"), NewToken("laptop", "*", True, None), "192.0.2.1"
    )
    (row,) = site.rows("SELECT * FROM letters")
    assert token not in str(row)
    (letter,) = read_letters(site)[-1:]
    assert letter["Subject"] == "您的账户创建了访问令牌"
    for fact in ("alice", "laptop", "192.0.2.1", "2015-06-08 12:00 UTC"):
        assert fact in letter.get_content(), fact
    assert token not in letter.as_string()


def test_an_address_that_nobody_confirmed_gets_no_notice(site):
    site.services.operations.set_admin("bob", is_admin=True)
    assert waiting(site) == []


def test_only_another_network_is_new(site):
    accounts, before = site.services.accounts, len(read_letters(site))
    known = ("192.0.2.1", "192.0.2.77", "192.0.2.1", "198.51.100.200", "2001:db8::2", "::ffff:192.0.2.5")
    for address in ("192.0.2.1", "198.51.100.7", "2001:db8::1", "2001:db8:0:1::1", *known):
        accounts.sign_in("alice", "password-alice", Browser(address, ""))
        site.clock.move(days=2)
    assert subjects(site, before) == [str(SUBJECTS["sign-in.succeeded"])] * 3
    site.clock.move(days=known_networks.KEPT.days + 1)
    accounts.sign_in("alice", "password-alice", Browser("203.0.113.9", ""))
    assert len(subjects(site, before)) == 3


def test_notices_are_bounded_and_strangers_cannot_use_them_up(site):
    for _ in range(LETTERS):
        site.services.accounts.request_reset("alice@example.com", "198.51.100.7", "en")
    before = len(read_letters(site))
    for _ in range(NOTICES + 5):
        site.services.operations.revoke_tokens("alice")
    # One more was the confirmation of her address.
    assert len(read_letters(site)) - before == NOTICES - 1


def test_what_was_rolled_back_writes_no_letter(site):
    with pytest.raises(Exception, match="administrator"):
        site.services.administration.set_admin(site.actor("bob"), "", "alice", is_admin=True)
    accounts = site.services.accounts
    accounts.add_address(site.actor("alice"), "new@example.com", "192.0.2.1")
    written = waiting(site)
    with pytest.raises(Exception, match="already in use"):
        accounts.add_address(site.actor("alice"), "new@example.com", "192.0.2.1")
    assert waiting(site) == written != []


def test_a_link_is_signed_when_its_letter_is_sent_and_not_after_access_has_ended(site):
    Reader(site).send("/reset", email="alice@example.com")
    assert [kind for kind, _, _ in waiting(site)] == ["reset-asked"]
    site.clock.move(hours=12)
    (letter,) = read_letters(site)[-1:]
    reader = Reader(site)
    link = letter.get_content().split("http://images.example.com", 1)[1].split()[0]
    assert reader.get(link).status_code == 200
    post = site.services.letters
    Reader(site).send("/reset", email="alice@example.com")
    assert post.send_next(lambda _: None)
    before = len(read_letters(site))
    Reader(site).send("/reset", email="alice@example.com")
    site.services.letters.send_next(pytest.fail)
    site.services.operations.set_password("alice", "another-password")
    assert subjects(site, before) == [str(SUBJECTS["password.changed"])]


def test_a_letter_waits_for_a_mail_server_that_is_away_and_is_given_up_after_a_day(site, caplog):
    with MailServer() as gone:
        address = gone.server_address
    site.restart(smtp_url=f"smtp://127.0.0.1:{address[1]}")
    site.services.operations.set_admin("alice", is_admin=True)
    site.finish_email()
    site.finish_email()
    assert waiting(site) == [("account.made-admin", "alice@example.com", 1)]
    site.clock.move(seconds=31)
    with serving(MailServer(address)) as server:
        site.finish_email()
        site.finish_email()
    assert len(server.letters) == 1
    assert waiting(site) == []
    site.services.operations.set_admin("alice", is_admin=False)
    for _ in range(60):
        site.finish_email()
        site.clock.move(minutes=30)
    assert waiting(site) == []
    assert "is given up" in caplog.text


def test_a_refused_recipient_is_given_up_and_one_refused_for_now_is_not(site):
    with serving() as server:
        site.restart(smtp_url=url(server))
        for refusal, left in (("450 later", 1), ("550 nobody here", 0)):
            server.recipient_refusal = refusal
            site.services.operations.revoke_tokens("alice")
            site.clock.move(minutes=5)
            site.finish_email()
            assert len(waiting(site)) == left
            site.clock.move(minutes=5)
        assert server.letters == []


def test_two_workers_send_each_letter_once(site, make_site):
    with serving() as server:
        workers = [make_site(smtp_url=url(server)) for _ in range(2)]
        for _ in range(8):
            site.services.operations.revoke_tokens("alice")
        threads = [Thread(target=worker.finish_email) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for worker in workers:
            worker.finish_email()
    names = [read(content)["Message-ID"] for _, _, content in server.letters]
    assert len(names) == len(set(names)) == 8
    assert waiting(site) == []


def test_a_letter_of_a_worker_that_was_killed_is_sent_by_another(site, make_site):
    with serving() as server:
        server.holds = Event()
        site.services.operations.revoke_tokens("alice")
        database = site.engine.url.render_as_string(hide_password=False)
        # Its clock is the real one, far beyond the test's.
        command = [sys.executable, "-c", ONE_PROCESS, KEY, database, url(server)]
        killed = subprocess.Popen(command)
        try:
            assert server.asked.wait(60)
        finally:
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
            server.holds.set()
            server.holds = None
        worker = make_site(smtp_url=url(server))
        with worker.engine.connect() as connection:
            taken = connection.exec_driver_sql("SELECT taken_until FROM letters").scalar()
        assert taken is not None
        worker.finish_email()
        assert server.letters == []
        worker.clock.move(days=366 * 30)
        worker.finish_email()
        assert len(server.letters) == 1
    assert waiting(site) == []


def test_an_account_that_is_deleted_takes_its_letters_along(site):
    site.services.operations.revoke_tokens("alice")
    with site.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM namespaces WHERE name = 'alice'")
        connection.exec_driver_sql("DELETE FROM users WHERE name = 'alice'")
    assert waiting(site) == []
