"""What administrators of the index ask, what they are told, and that nobody else is."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import event

from common.errors import Conflict, Forbidden, NotFound, Unauthenticated
from common.names import RepositoryName
from index_service.accounts.actor import Limits
from index_service.audit.queries import AuditFilter
from index_service.services.accounts import Browser
from index_service.services.credentials import Login
from tests.units.index_service.site import IMAGES


@pytest.fixture
def registry():
    """Answers /_status as told, and counts how often."""

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_GET(self):
            server.asked.append(self.path)
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(server.body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.status, server.body = [], 200, b"{}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def endpoint(registry):
    return f"127.0.0.1:{registry.server_port}"


@pytest.fixture
def nowhere():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def administration(site, endpoint):
    site.restart(registry_endpoints=(endpoint,))
    for name in ("alice", "bob"):
        site.user(name)
    site.user("root", admin=True)
    return site.services.administration


QUESTIONS = {
    "people": lambda a, who: a.people(who, "", "all", "name", 10, 0),
    "close": lambda a, who: a.set_active(who, "", "alice", is_active=False),
    "open": lambda a, who: a.set_active(who, "", "alice", is_active=True),
    "make admin": lambda a, who: a.set_admin(who, "", "alice", is_admin=True),
    "reset": lambda a, who: a.reset_link(who, "", "alice"),
    "registries": lambda a, who: a.registries(who),
    "storage": lambda a, who: a.storage(who),
    "audit": lambda a, who: a.audit(who, AuditFilter(), 10, 0),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_only_administrators_are_answered(site, administration, question):
    ask = QUESTIONS[question]
    with pytest.raises(Unauthenticated):
        ask(administration, None)
    for who in (site.actor("alice"), replace(site.actor("root"), limits=Limits(1, "*", True))):
        with pytest.raises(Forbidden):
            ask(administration, who)
    ask(administration, site.actor("root"))


def test_people_are_found_by_name_and_address(site, administration):
    root = site.actor("root")

    def found(words="", state="all", sort="name", limit=10, offset=0):
        rows, total = administration.people(root, words, state, sort, limit, offset)
        return [row.name for row in rows], total

    assert found() == (["alice", "bob", "root"], 3)
    assert found(limit=1, offset=1) == (["bob"], 3)
    assert found("LIC") == found("alice@exam") == (["alice"], 1)
    assert found("_") == found("%") == found("nobody") == ([], 0)
    assert found(state="admin") == (["root"], 1)
    site.set_active("bob", False)
    assert found(state="closed") == (["bob"], 1)
    assert found(state="active") == (["alice", "root"], 2)
    site.clock.move(days=1)
    site.user("zoe")
    assert found(sort="newest")[0][0] == "zoe"
    (row, *_), _ = administration.people(root, "alice", "all", "name", 1, 0)
    assert (row.email, row.is_confirmed, row.is_active, row.is_admin) == ("alice@example.com", False, True, False)


def test_a_closed_account_ends_everything_it_was_given(site, administration):
    token, root = site.push("alice/app", "alice"), site.actor("root")
    secret = site.services.accounts.sign_in("alice", "password-alice", browser())
    administration.set_active(root, "192.0.2.1", "alice", is_active=False)
    assert site.redeem("alice/app", token) == 401
    assert site.services.accounts.signed_in(secret) is None
    administration.set_active(root, "", "alice", is_active=True)
    assert site.redeem("alice/app", token) == 401
    assert site.services.accounts.signed_in(secret) is None
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200


def browser():
    return Browser("192.0.2.1", "")


def test_nobody_locks_the_door_from_outside(site, administration):
    root, operations = site.actor("root"), site.services.operations
    for ask in (
        lambda: administration.set_active(root, "", "root", is_active=False),
        lambda: administration.set_admin(root, "", "root", is_admin=False),
        lambda: operations.set_admin("root", is_admin=False),
        lambda: operations.set_active("root", is_active=False),
    ):
        with pytest.raises(Conflict):
            ask()
    administration.set_admin(root, "", "alice", is_admin=True)
    administration.set_admin(site.actor("alice"), "", "root", is_admin=False)
    with pytest.raises(Forbidden):
        administration.storage(site.actor("root"))


def test_two_who_unmake_each_other_at_once_leave_one(site, administration):
    administration.set_admin(site.actor("root"), "", "alice", is_admin=True)

    def unmake(pair):
        who, whom = pair
        try:
            administration.set_admin(who, "", whom.name, is_admin=False)
        except Conflict:
            return "refused"
        return "done"

    for _ in range(5):
        root, alice = site.actor("root"), site.actor("alice")
        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(unmake, ((root, alice), (alice, root)))) == ["done", "refused"]
        site.services.operations.set_admin("root", is_admin=True)
        site.services.operations.set_admin("alice", is_admin=True)


def test_a_reset_link_sets_a_new_password(site, administration):
    link = administration.reset_link(site.actor("root"), "", "alice")
    assert (link.name, link.email) == ("alice", "alice@example.com")
    site.services.accounts.reset(link.link, "another-password", browser())
    assert site.request("GET", "/v1/users/", user="alice").status_code == 401
    site.set_active("bob", False)
    for name, failure in (("nobody", NotFound), ("bob", Conflict)):
        with pytest.raises(failure):
            administration.reset_link(site.actor("root"), "", name)


def test_registries_are_asked_once_in_a_while_and_never_within_a_transaction(site, administration, registry, endpoint):
    site.push("alice/app", "alice")
    within = []

    def begun(_):
        within.append(len(registry.asked))

    event.listen(site.engine, "begin", begun)
    (row,) = administration.registries(site.actor("root")).rows
    event.remove(site.engine, "begin", begun)
    assert (row.endpoint, row.is_configured, row.repositories, row.health.is_well) == (endpoint, True, 1, True)
    assert registry.asked == ["/_status"]
    assert set(within) <= {0}
    administration.registries(site.actor("root"))
    assert len(registry.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "failures"),
    [
        (200, b'{"services": ["storage"], "failures": {}}', {}),
        (404, b"", {}),
        (503, b'{"failures": {"storage": "The store is full"}}', {"storage": "The store is full"}),
        (503, b"[]", {"registry": "answers with 503"}),
        (503, b'{"failures": ["x"]}', {"registry": "answers with 503"}),
        (502, b"<html>", {"registry": "answers with 502"}),
        (302, b"", {"registry": "answers with 302"}),
        (500, b"[" * 200_000, {"registry": "answers with 500"}),
    ],
)
def test_what_a_registry_says_of_itself(site, administration, registry, status, body, failures):
    registry.status, registry.body = status, body
    (row,) = administration.registries(site.actor("root")).rows
    assert (row.health.is_well, row.health.failures) == (not failures, failures)


def test_a_registry_that_is_down_or_no_longer_configured_is_shown_too(site, administration, endpoint, nowhere):
    site.push("alice/app", "alice")
    site.restart(registry_endpoints=(nowhere, "127.0.0.1:1"))
    found = site.services.administration.registries(site.actor("root"))
    assert [(row.endpoint, row.is_configured, row.repositories, row.health.is_well) for row in found.rows] == [
        (nowhere, True, 0, False),
        ("127.0.0.1:1", True, 0, False),
        (endpoint, False, 1, True),
    ]
    assert found.rows[0].health.failures == {"registry": "cannot be reached"}


def test_what_waits_for_registries_is_shown(site, administration):
    site.push("alice/app", "alice")
    before = administration.registries(site.actor("root")).waiting
    assert (before.count > 0, before.failing) == (True, [])
    with site.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET failure = 'The registry is down', attempts = 3")
    (failing, *_) = administration.registries(site.actor("root")).waiting.failing
    assert (failing.repository, failing.attempts) == (RepositoryName("alice", "app"), 3)
    assert failing.failure == "The registry is down"


def test_storage_counts_shared_layers_once(site, administration):
    for name, images in (("alice/one", IMAGES[:2]), ("alice/two", IMAGES[:3]), ("bob/app", IMAGES[1:2])):
        site.push(name, name.split("/")[0], images=images)
    now = site.clock().isoformat(" ").removesuffix("+00:00")
    with site.engine.begin() as connection:
        for number, image in enumerate([*IMAGES[:3], IMAGES[9]]):
            connection.exec_driver_sql(
                "INSERT INTO images (image_id, size, total_size, depth, command, author, docker_version, os,"
                f" architecture, config, read_at) VALUES ('{image}', {10 ** (number + 1)}, 0, 0, '', '', '', '', '',"
                f" '{{}}', '{now}')"
            )
        for name, size in (("one", 110), ("two", 1110), ("app", 100)):
            connection.exec_driver_sql(f"UPDATE repositories SET layer_bytes = {size} WHERE name = '{name}'")
    measured = administration.storage(site.actor("root"))
    rows = measured.storage.namespaces
    assert [(row.namespace, row.repositories, row.images, row.apart, row.together) for row in rows] == [
        ("alice", 2, 3, 1220, 1110),
        ("bob", 1, 1, 100, 100),
    ]
    assert measured.storage.namespaces[0].saved == 110
    assert (measured.storage.images, measured.storage.apart, measured.storage.together) == (3, 1320, 1110)
    site.push("bob/more", "bob")
    assert administration.storage(site.actor("root")) == measured


def test_the_log_is_read_newest_first_and_filtered(site, administration):
    root, permissions = site.actor("root"), site.services.permissions
    site.push("alice/app", "alice")
    site.clock.move(hours=1)
    permissions.set_private(site.actor("alice"), "192.0.2.9", RepositoryName("alice", "app"), is_private=True)

    def found(**wanted):
        entries, total = administration.audit(root, AuditFilter(**wanted), 100, 0)
        assert total == len(entries)
        return [(entry.actor, entry.action, entry.subject) for entry in entries]

    hidden = ("alice", "repository.hidden", "alice/app")
    made = [("", "account.made", name) for name in ("root", "bob", "alice")]
    signed_in = ("alice", "sign-in.succeeded", "alice")
    pushed = ("alice", "repository.made", "alice/app")
    assert found() == [hidden, pushed, signed_in, *made]
    assert found(actor="alice") == [hidden, pushed, signed_in]
    assert found(action="repository") == [hidden, pushed]
    assert found(action="repository.hidden") == [hidden]
    assert found(subject="alice") == [hidden, pushed, signed_in, made[-1]]
    assert found(subject="ali") == found(action="repo") == found(subject="alice/ap") == []
    assert found(subject="alice/app") == [hidden, pushed]
    later = site.clock() - timedelta(minutes=1)
    assert found(since=later) == [hidden]
    assert found(until=later) == [pushed, signed_in, *made]
    (entry,), _ = administration.audit(root, AuditFilter(actor="alice"), 1, 0)
    assert (entry.address, json.loads(json.dumps(dict(entry.details)))) == ("192.0.2.9", {})


def test_operators_and_the_protocol_leave_their_marks(site, administration):
    site.protocol.change_account(login("alice"), "alice", "new-password", "more@example.com")
    site.services.operations.revoke_tokens("alice")
    site.services.operations.move_endpoint("a:1", "b:1")
    site.set_active("bob", False)
    assert marks(site)[3:] == [
        ("alice", "sign-in.succeeded", "alice", "192.0.2.3"),
        ("alice", "password.changed", "alice", "192.0.2.3"),
        ("alice", "email.added", "alice", "192.0.2.3"),
        ("", "tokens.revoked", "alice", ""),
        ("", "endpoint.moved", "b:1", ""),
        ("", "account.deactivated", "bob", ""),
    ]
    for (details,) in site.rows("SELECT details FROM audit"):
        assert "new-password" not in details


def test_who_made_a_repository_is_noted_once(site, administration):
    for tag in ("latest", "1.0"):
        site.push("alice/app", "alice", tag=tag)
    made = site.rows("SELECT actor_name, subject, address, details FROM audit WHERE action = 'repository.made'")
    assert [tuple(row) for row in made] == [("alice", "alice/app", "127.0.0.1", '{"how": "push"}')]


def login(name):
    return Login(name, f"password-{name}", "192.0.2.3")


def test_signing_up_is_the_persons_own_deed(site, administration):
    body = {"username": "newcomer", "password": "boat-secret", "email": "new@example.com"}
    assert site.request("POST", "/v1/users/", body=body, address="192.0.2.5").status_code == 201
    assert marks(site)[-1] == ("newcomer", "account.made", "newcomer", "192.0.2.5")


def marks(site):
    return [tuple(row) for row in site.rows("SELECT actor_name, action, subject, address FROM audit ORDER BY id")]
