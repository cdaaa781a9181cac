"""Guessing passwords from many places, and from places that only seem to be many."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.clients.wire import Target, call
from tests.servers.process import free_port
from tests.servers.services import ADMIN, Service, start_index

LIMIT = 3


@pytest.fixture(scope="module")
def both_families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An index that listens to IPv4 and IPv6 with one socket, and trusts no proxy."""
    port = free_port()
    rates = {"login_rate": f"{LIMIT}/hour", "address_rate": f"{LIMIT}/hour"}
    index = start_index(tmp_path_factory.mktemp("both"), ["127.0.0.1:1"], port, listen=f"[::]:{port}", **rates)
    yield index
    index.process.stop()


def log_in(index: Service, password: str, host: str = "127.0.0.1", **headers: str) -> int:
    secret = base64.b64encode(f"{ADMIN.name}:{password}".encode()).decode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(
        Target("http", host, index.port), "GET /v1/users/", {"Authorization": f"Basic {secret}", **given}
    ).status


def test_whoever_guesses_shuts_out_nobody_elsewhere(both_families: Service) -> None:
    """Every IPv4 client of such a listener has an address like ::ffff:192.0.2.1, all of one and the same /64."""
    assert [log_in(both_families, "wrong", "::1") for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]
    assert log_in(both_families, ADMIN.password, "127.0.0.1") == 200


def test_an_address_that_is_only_claimed_does_not_count(both_families: Service) -> None:
    claimed = [{"X_Forwarded_For": f"192.0.2.{n}", "X_Real_IP": f"192.0.2.{n}"} for n in range(LIMIT + 1)]
    answers = [log_in(both_families, "wrong", "127.0.0.2", **headers) for headers in claimed]
    assert answers == [401] * LIMIT + [429]
