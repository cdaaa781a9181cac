"""Hundreds of daemons at one moment, before an index that is slow: nobody who has a token is turned away."""

from __future__ import annotations

import base64
import os
import secrets
import select
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.wire import Target, call
from tests.journeys.test_generations import chain_for
from tests.servers.process import free_port
from tests.servers.services import Account, Service, running, sign_up, start_index, start_registry

ALICE = Account("alice")
NAME = "alice/app"
CLIENTS, LOGINS = 60, 24


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """An index of two processes, and a registry that waits two seconds for an answer, and sixteen in all."""
    folder, port = tmp_path_factory.mktemp("crowd"), free_port()
    index = start_index(folder / "index", [f"127.0.0.1:{port}"], workers="2")
    registry = start_registry(folder / "registry", index.url, port, index_timeout="2")
    with running(index, registry):
        sign_up(index.target, ALICE)
        Daemon(NEWEST, index.target, ALICE.name, ALICE.password).push(NAME, chain_for(NEWEST))
        yield index, registry


def tokens(index: Service) -> list[str]:
    """One for each client."""

    def token(_: int) -> str:
        answer = call(index.target, f"GET /v1/repositories/{NAME}/images", {"X-Docker-Token": "true"})
        return str(answer.header("X-Docker-Token"))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(token, range(CLIENTS)))


def wrong_login() -> str:
    return "Basic " + base64.b64encode(f"{secrets.token_hex(8)}:wrong".encode()).decode()


def send(stack: ExitStack, target: Target, line: str, authorization: str) -> socket.socket:
    connection = stack.enter_context(socket.create_connection((target.host, target.port), 60))
    head = f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def status(connection: socket.socket) -> int:
    return int(connection.makefile("rb").readline().split()[1])


def test_who_has_a_token_is_served_before_those_who_log_in(served: tuple[Service, Service]) -> None:
    """Each login costs the index a hash; those waiting in one queue with them would be late, one and all."""
    index, registry = served
    given = tokens(index)
    with ExitStack() as stack:
        # Of nobody, and so not remembered.
        logins = [send(stack, index.target, "GET /v1/users/", wrong_login()) for _ in range(LOGINS)]
        asked = [send(stack, registry.target, f"GET /v1/repositories/{NAME}/tags", f"Token {each}") for each in given]
        assert Counter(map(status, asked)) == {200: CLIENTS}
        # By the order, not by a time: how long a hash takes is the machine's affair.
        answered, _, _ = select.select(logins, [], [], 0)
        assert len(answered) < LOGINS, "the last to log in was served before the last who has a token"
        assert Counter(map(status, logins)) == {401: LOGINS}


def test_a_process_of_the_index_that_stands_still_turns_nobody_away(served: tuple[Service, Service]) -> None:
    """What it was asked is asked again, of the other."""
    index, registry = served
    given = tokens(index)
    for each in given[:8]:
        # So that the registry has connections to both.
        assert (
            call(registry.target, f"GET /v1/repositories/{NAME}/tags", {"Authorization": f"Token {each}"}).status == 200
        )
    stopped = index.process.children()[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            line = f"GET /v1/repositories/{NAME}/tags"
            asked = [send(stack, registry.target, line, f"Token {each}") for each in given[8:]]
            assert Counter(map(status, asked)) == {200: CLIENTS - 8}
    finally:
        os.kill(stopped, signal.SIGCONT)
