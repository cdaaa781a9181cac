"""A layer of more than four GiB passes through a live registry in a few MiB."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.wire import Connection, call
from tests.servers.services import Service, running, start_registry

MIB = 1024 * 1024
SIZE = 4 * 1024 * MIB + 16 * MIB
"""More than 32 bits count."""
MOST_GROWTH = 32 * MIB


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Service]:
    service = start_registry(tmp_path, None)
    with running(service):
        yield service
    # Gigabytes are not left for pytest to keep.
    shutil.rmtree(tmp_path)


def peak_bytes(service: Service) -> int:
    """The most memory that its one worker ever had."""
    [worker] = service.process.children()
    status = Path(f"/proc/{worker}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def blocks() -> Iterator[bytes]:
    """So much that no buffer could guess: the block changes with each turn."""
    block = bytearray(secrets.token_bytes(MIB))
    for turn in range(SIZE // MIB):
        block[:8] = turn.to_bytes(8)
        yield bytes(block)


def test_a_layer_beyond_32_bits_goes_in_and_comes_out(registry: Service) -> None:
    image = secrets.token_hex(32)
    document = json.dumps({"id": image}).encode()
    payload = hashlib.sha256(document + b"\n")
    came = payload.copy()

    def counted() -> Iterator[bytes]:
        for block in blocks():
            payload.update(block)
            yield block

    target = registry.target
    assert call(target, f"PUT /v1/images/{image}/json", body=document).status == 200
    call(target, f"GET /v1/images/{image}/json")
    before = peak_bytes(registry)
    assert call(target, f"PUT /v1/images/{image}/layer", chunks=counted()).status == 200
    checksum = {"X-Docker-Checksum-Payload": f"sha256:{payload.hexdigest()}"}
    assert call(target, f"PUT /v1/images/{image}/checksum", checksum).status == 200
    assert call(target, f"GET /v1/images/{image}/json").header("X-Docker-Size") == str(SIZE)
    for block in downloaded(registry, f"/v1/images/{image}/layer"):
        came.update(block)
    assert came.hexdigest() == payload.hexdigest()
    assert peak_bytes(registry) - before < MOST_GROWTH


def downloaded(registry: Service, path: str) -> Iterator[bytes]:
    with Connection(registry.target) as connection:
        connection.send_head(f"GET {path} HTTP/1.1", [("Host", "registry"), ("Connection", "close")])
        assert connection.read_head().status == 200
        while block := connection.read(MIB):
            yield block
