"""Facts of images between a real index and a real registry: they come after a push, survive, and can be had anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST, V0_8
from tests.clients.images import Chain, make_chain
from tests.clients.wire import call
from tests.servers.process import ServerFailed, eventually, free_port, listening
from tests.servers.services import (
    Account,
    Service,
    index_command,
    registry_command,
    running,
    sign_up,
    start_index,
    start_registry,
)

ALICE = Account("alice")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    """An index of two processes and a registry behind it."""
    port = free_port()
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"], workers="2")
    registry = start_registry(tmp_path / "registry", index.url, port)
    with running(registry, index):
        sign_up(index.target, ALICE)
        yield index, registry


def rows(index: Service, statement: str) -> list[Any]:
    with closing(sqlite3.connect(index.folder / "index.db", timeout=30)) as connection:
        return connection.execute(statement).fetchall()


def change(index: Service, statement: str) -> None:
    with closing(sqlite3.connect(index.folder / "index.db", timeout=30)) as connection, connection:
        connection.execute(statement)


def push(index: Service, name: str, chain: Chain, tag: str = "latest", generation=V0_8) -> None:
    Daemon(generation, index.target, ALICE.name, ALICE.password).push(name, chain, tag)


def known(index: Service) -> set[str]:
    return {id_ for (id_,) in rows(index, "SELECT image_id FROM images")}


def ids(*chains: Chain) -> set[str]:
    return {image.id for chain in chains for image in chain}


def wait_for(index: Service, wanted: set[str]) -> None:
    eventually(lambda: known(index) >= wanted, lambda: f"the facts never came\n{index.process.tail()}")


@pytest.mark.parametrize("generation", [V0_8, NEWEST], ids=str)
def test_facts_arrive_when_a_push_ends(pair: tuple[Service, Service], generation) -> None:
    index, _ = pair
    chain = make_chain(4, content_ids=generation is NEWEST)
    push(index, "alice/app", chain, generation=generation)
    wait_for(index, ids(chain))
    ((total, depth),) = rows(index, f"SELECT total_size, depth FROM images WHERE image_id = '{chain[-1].id}'")
    assert (total, depth) == (sum(len(image.layer) for image in chain), 3)
    eventually(
        lambda: rows(index, "SELECT layer_bytes FROM repositories") == [(total,)],
        lambda: "the bytes were never added up",
    )


def test_a_registry_killed_before_it_was_asked_is_asked_when_it_is_back(pair: tuple[Service, Service]) -> None:
    index, registry = pair
    first, second = make_chain(2), make_chain(2)
    push(index, "alice/app", first)
    wait_for(index, ids(first))
    push(index, "alice/other", second)
    wait_for(index, ids(second))
    registry.process.stop()
    change(index, "DELETE FROM images")
    basic = Daemon(V0_8, index.target, ALICE.name, ALICE.password).basic
    for name in ("app", "other"):
        path = f"PUT /v1/repositories/alice/{name}/images"
        assert call(index.target, path, {"Authorization": basic}, b"[]").status == 204
    eventually(
        lambda: any("cannot be reached" in text for (text,) in rows(index, "SELECT failure FROM jobs")),
        lambda: "nobody noticed that the registry is gone",
    )
    assert len(rows(index, "SELECT * FROM listed_images")) == 4
    registry.process.start(lambda: listening(registry.port))
    wait_for(index, ids(first, second))
    eventually(lambda: rows(index, "SELECT * FROM jobs") == [], lambda: "the jobs were never done")


def test_reindexing_brings_back_what_was_lost_and_takes_over_what_was_never_known(
    pair: tuple[Service, Service],
) -> None:
    index, registry = pair
    chain, other = make_chain(3), make_chain(2)
    push(index, "alice/app", chain, "1.0")
    push(index, "alice/other", other)
    wait_for(index, ids(chain, other))
    change(index, "DELETE FROM images")
    change(index, "DELETE FROM tags")
    told = index_command(index.environ, "reindex")
    assert told == "alice/app: 1 tags, 3 images\nalice/other: 1 tags, 2 images\n"
    assert known(index) == ids(chain, other)
    change(index, "DELETE FROM repositories WHERE name = 'app'")
    told = index_command(index.environ, "reindex", "--take-over", "alice", "alice/app")
    assert told == "alice/app: 1 tags, 3 images\n"
    change(index, "DELETE FROM repositories")
    names = registry_command(registry.process.environ, "repositories")
    assert names == "alice/app\nalice/other\n"
    with pytest.raises(ServerFailed, match="1 of 3 repositories could not be read") as failed:
        index_command(index.environ, "reindex", "--take-over", "alice", "-", typed=f"team%252Fapp!\n{names}")
    assert "team%252Fapp!: Invalid repository name" in str(failed.value)
    assert "alice/app: 1 tags, 3 images\nalice/other: 1 tags, 2 images\n" in str(failed.value)
    assert len(Daemon(V0_8, index.target).pull("alice/app", "1.0")) == 3


def test_a_stopped_index_writes_down_the_pulls_it_counted(pair: tuple[Service, Service]) -> None:
    index, _ = pair
    push(index, "alice/app", make_chain(2))
    for _ in range(5):
        Daemon(V0_8, index.target).pull("alice/app")
    index.process.terminate()
    index.process.wait()
    assert rows(index, "SELECT pull_count FROM repositories") == [(5,)]
