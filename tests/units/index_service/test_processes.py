"""The index as it is served: several processes of several threads on one database."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest

from tests.clients.wire import call
from tests.servers.services import ADMIN, Account, running, sign_up, start_index
from tests.units.index_service.site import IMAGES, basic


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def index(request, tmp_path_factory):
    """An index of three processes."""
    folder = tmp_path_factory.mktemp("index")
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{folder}/index.db" if is_sqlite else request.getfixturevalue("postgres").create_database()
    service = start_index(folder, ["127.0.0.1:5001"], database_url=url, workers="3", threads="4")
    with running(service):
        yield service


@pytest.fixture
def served(index):
    return index.target


def ask(target, request, body=None, **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    return call(target, request, headers=given, body=data)


def test_many_daemons_push_and_pull_at_once(served):
    login = basic(ADMIN.name, ADMIN.password)

    def daemon(number):
        repository = f"{ADMIN.name}/app{number % 3}"
        path = f"/v1/repositories/{repository}"
        entries = [{"id": id_} for id_ in IMAGES] + [{"id": IMAGES[-1], "Tag": f"v{number}"}]
        begun = ask(served, f"PUT {path}/", entries, Authorization=login, X_Docker_Token="true")
        write = "Token " + str(begun.header("X-Docker-Token"))
        told = ask(served, f"PUT {path}/tags/v{number}", IMAGES[-1], Authorization=write)
        done = ask(served, f"PUT {path}/images", [], Authorization=login)
        pull = ask(served, f"GET {path}/images", X_Docker_Token="true")
        read = "Token " + str(pull.header("X-Docker-Token"))
        # Whichever process answers believes what another has signed.
        checks = [ask(served, f"GET {path}/images", Authorization=token) for token in (read, write) * 4]
        assert all(len(check.json()) == len(IMAGES) for check in checks)
        return [answer.status for answer in (begun, told, done, pull, *checks)]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(daemon, range(24)))
    assert statuses == [[200, 200, 204, 200] + [200] * 8] * 24
    found = ask(served, "GET /v1/search?q=app").json()
    assert [result["name"] for result in found["results"]] == [f"{ADMIN.name}/app{number}" for number in range(3)]


def test_what_one_process_decides_holds_in_all(served):
    bosun = sign_up(served, Account("bosun"))
    login = basic(bosun.name, bosun.password)
    assert {ask(served, "GET /v1/users/", Authorization=login).status for _ in range(12)} == {200}
    changed = ask(served, f"PUT /v1/users/{bosun.name}", {"password": "another-one"}, Authorization=login)
    assert changed.status == 204
    assert {ask(served, "GET /v1/users/", Authorization=login).status for _ in range(12)} == {401}


READERS, READS = 12, 200


def read(served, _):
    """What one reader who stays got of each process, and the ends of its connections."""
    by, ends = Counter(), set()
    with closing(http.client.HTTPConnection(served.host, served.port)) as connection:
        for _ in range(READS):
            connection.request("GET", "/static/favicon.svg")
            ends.add(connection.sock.getsockname())
            answer = connection.getresponse()
            answer.read()
            # A process begins the numbers of its requests with digits of its own.
            by[answer.headers["X-Request-Id"][:6]] += 1
    return by, ends


def read_together(served):
    """The same of readers who come at once."""
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(partial(read, served), range(READERS)))
    return sum((by for by, _ in found), Counter()), [end for _, ends in found for end in ends]


def test_readers_who_stay_are_shared_by_all_processes(served):
    """None serves all of those who came at once, while others stand idle."""
    by, ends = read_together(served)
    assert len(by) == 3
    assert min(by.values()) > READERS * READS / 3 / 2, by
    assert len(ends) < READERS * READS / 20


def test_a_process_that_was_killed_counts_no_more(index):
    """It would have the fewest connections for ever, and the others would close theirs for its sake."""
    killed = index.process.children()[0]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while len(set(index.process.children()) - {killed}) < 3:
        assert time.monotonic() < deadline, "no other process has begun"
        time.sleep(0.05)
    call(index.target, "GET /_ping")
    _, ends = read_together(index.target)
    assert len(ends) < READERS * READS / 20


def test_who_is_alone_keeps_the_connection(served):
    connection = http.client.HTTPConnection(served.host, served.port)
    places = set()
    with closing(connection):
        for _ in range(40):
            connection.request("GET", "/sign-in")
            assert connection.getresponse().read()
            places.add(connection.sock.getsockname())
    assert len(places) == 1
