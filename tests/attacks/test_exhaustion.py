"""Memory and rows that a client may make a service keep: each has its bound."""

from __future__ import annotations

import json
import secrets
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing

from gunicorn.http.unreader import IterUnreader

from index_service.settings import IndexSettings
from registry_service.chunked import ChunkedBody
from tests.attacks.test_tokens import pushed
from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.wire import call
from tests.servers.setups import ALICE, SetUp

MAX_IMAGES = IndexSettings.max_images
ADVICE = "push to another, or ask the operator for more"
TINY = 30_000


def test_a_repository_lists_so_many_images_and_no_more(split: SetUp) -> None:
    """Everybody who pulls gets the whole list, and each registry each time it checks a token."""
    assert split.index_service is not None
    name, chain = pushed(split)
    with closing(sqlite3.connect(split.index_service.folder / "index.db", timeout=30)) as database:
        with database:
            database.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                "INSERT INTO listed_images (repository_id, image_id) "
                "SELECT r.id, printf('%064x', i) FROM n, repositories r WHERE r.name = ?",
                (MAX_IMAGES - len(chain), name.partition("/")[2]),
            )
        try:
            _expect_no_more(split, name, chain[0].id)
        finally:
            # Or the index would ask the registry about each of them, for minutes, beside all other tests.
            with database:
                database.execute("DELETE FROM listed_images WHERE image_id < printf('%064x', ?)", (MAX_IMAGES,))


def _expect_no_more(split: SetUp, name: str, listed: str) -> None:
    basic = {"Authorization": Daemon(NEWEST, split.index, ALICE.name, ALICE.password).basic, "X-Docker-Token": "true"}
    more, same = [{"id": secrets.token_hex(32)}], [{"id": listed}]
    for line in (f"PUT /v1/repositories/{name}/", f"PUT /v1/repositories/{name}/images"):
        refused = call(split.index, line, basic, json.dumps(more).encode())
        assert (refused.status, refused.error()) == (
            409,
            f"A repository lists no more than {MAX_IMAGES} images: {ADVICE}",
        )
        assert call(split.index, line, basic, json.dumps(same).encode()).status in (200, 204)
    assert len(call(split.index, f"GET /v1/repositories/{name}/images", basic).json()) == MAX_IMAGES


def tiny_chunks() -> Iterator[bytes]:
    for _ in range(TINY // 1000):
        yield b"1\r\na\r\n" * 1000
    yield b"0\r\n\r\n"


def test_chunks_of_one_byte_cost_little_more_than_a_byte() -> None:
    body = ChunkedBody(IterUnreader(tiny_chunks()))
    tracemalloc.start()
    try:
        content = body.read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert content == b"a" * TINY
    assert peak < 2 * 1024 * 1024
