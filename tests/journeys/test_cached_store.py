"""A registry that keeps images in files and remembers what is said of them in a real Redis."""

from __future__ import annotations

from pathlib import Path

from tests.clients.generations import NEWEST
from tests.journeys.test_generations import chain_for, daemon_of, same_bytes
from tests.servers.redis import start_redis
from tests.servers.services import running, start_registry
from tests.servers.setups import SetUp


def test_pushes_and_pulls_never_fail_for_the_cache(tmp_path: Path) -> None:
    """Files are written on threads of the pool, where the sockets that Redis is asked over cannot be used."""
    redis, port = start_redis(tmp_path / "redis")
    with redis:
        service = start_registry(tmp_path, None, redis_url=f"redis://127.0.0.1:{port}/0")
        with running(service):
            setup = SetUp("cached", service.target, service.target, service)
            for _ in range(3):
                daemon, name, chain = daemon_of(NEWEST, setup), setup.fresh_name("cached"), chain_for(NEWEST, 10)
                daemon.push(name, chain)
                same_bytes(daemon.pull(name), chain)
            redis.stop()
            daemon, name, chain = daemon_of(NEWEST, setup), setup.fresh_name("forgotten"), chain_for(NEWEST)
            daemon.push(name, chain)
            same_bytes(daemon.pull(name), chain)
            assert "left alone" in service.process.tail()
