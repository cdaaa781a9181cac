"""A real Redis for a test: in memory, on a free port."""

from __future__ import annotations

from pathlib import Path

from tests.servers.process import Process, free_port, listening, require


def start_redis(folder: Path, port: int | None = None) -> tuple[Process, int]:
    """The process and its port."""
    port = port or free_port()
    server = require("redis-server", "redis-server")
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = Process("redis", [*command, "--dir", str(folder)], folder)
    folder.mkdir(parents=True, exist_ok=True)
    process.start(lambda: listening(port))
    return process, port
