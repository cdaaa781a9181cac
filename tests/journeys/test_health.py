"""Liveness and readiness of both services while what they need is away, and when it is back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.clients.wire import Target, call
from tests.servers.gcs import Gcs
from tests.servers.postgres import Postgres
from tests.servers.process import eventually
from tests.servers.services import running, start_index, start_registry


def failing(target: Target) -> list[str]:
    """What the service says it lacks; a status that belongs to it."""
    answer = call(target, "GET /_ready")
    told: dict[str, str] = json.loads(answer.body)["failures"]
    assert answer.status == (503 if told else 200)
    return list(told)


def becomes(target: Target, failures: list[str]) -> None:
    eventually(lambda: failing(target) == failures, lambda: f"{failing(target)}, not {failures}", 30)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.stop()


def test_an_index_is_alive_without_its_database_and_ready_with_it(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.create_database()
    name = url.rpartition("/")[2]
    index = start_index(tmp_path, ["127.0.0.1:1"], database_url=url)
    with running(index), psycopg.connect(postgres.url("postgres"), autocommit=True) as operator:
        assert failing(index.target) == []
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        becomes(index.target, ["database"])
        assert call(index.target, "GET /_ping").status == 200
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        becomes(index.target, [])


def test_a_registry_is_ready_as_long_as_it_can_read_its_store(tmp_path: Path) -> None:
    """Also without its index, which status tells of."""
    with Gcs(tmp_path / "gcs") as gcs:
        store = gcs.store(gcs.new_bucket())
        registry = start_registry(
            tmp_path / "registry",
            "http://127.0.0.1:1",
            driver_environ=store.environ,
            storage=store.name,
            storage_path=store.path,
        )
        with running(registry):
            assert failing(registry.target) == []
            assert list(json.loads(call(registry.target, "GET /_status").body)["failures"]) == ["index"]
            gcs.stop()
            becomes(registry.target, ["storage"])
            assert call(registry.target, "GET /_ping").status == 200
