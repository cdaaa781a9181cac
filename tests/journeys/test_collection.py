"""Collections behind an index, which goes on saying what repositories held: what is pushed again is served again."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.images import Chain, make_chain
from tests.servers.process import eventually, free_port
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
    port = free_port()
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"])
    registry = start_registry(tmp_path / "registry", index.url, port)
    with running(registry, index):
        sign_up(index.target, ALICE)
        yield index, registry


def store_of(registry: Service) -> Path:
    return registry.store


def collect(registry: Service) -> None:
    """Condemn, and delete as if the grace period were over."""
    registry_command(registry.environ, "gc")
    for stone in (store_of(registry) / "_gc" / "condemned" / "images").iterdir():
        os.utime(stone, (time.time() - 10**6,) * 2)
    assert "2 (" in registry_command(registry.environ, "gc").splitlines()[3]


def packed_otherwise(chain: Chain) -> Chain:
    return tuple(replace(image, chunks=(gzip.compress(image.tar, 1, mtime=0),)) for image in chain)


@pytest.mark.parametrize("again", [tuple, packed_otherwise], ids=["same bytes", "other bytes"])
def test_what_was_collected_is_pushed_and_pulled_again(pair: tuple[Service, Service], again) -> None:
    index, registry = pair
    chain = make_chain(2)
    alice = Daemon(NEWEST, index.target, ALICE.name, ALICE.password)
    alice.push("alice/app", chain)
    held = "alice/app: 1 tags, 2 images\n"
    eventually(lambda: index_command(index.environ, "reindex") == held, lambda: "not held")
    (store_of(registry) / "repositories" / "alice" / "app" / "tag_latest").unlink()
    collect(registry)
    assert not (store_of(registry) / "images").exists() or not list((store_of(registry) / "images").iterdir())
    chain = again(chain)
    alice.push("alice/app", chain)
    assert [image.id for image in alice.pull("alice/app")] == [image.id for image in reversed(chain)]
