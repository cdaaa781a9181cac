"""Whether a driver lets others run while it waits: it is used by greenlets of a process patched as the worker's is."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import gevent

from registry_service.storage import factory
from tests.conformance.drivers_contract import generated, read
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.store import Store

GREENLETS = 12


def check_cooperation(store: Store, proxy: FaultProxy) -> None:
    """`store` is reached through `proxy`, where no greenlet is answered about its own content before all have asked."""
    met: set[str] = set()

    def gather(exchange: Exchange) -> None:
        met.update(re.findall(r"greenlet\d+", exchange.target))
        while "greenlet" in exchange.target and len(met) < GREENLETS:
            if proxy.closed.wait(0.02):
                break
        exchange.pass_on()

    proxy.plan(gather)
    command = [sys.executable, "-m", "gevent.monkey", "--module", __name__, store.name, store.path]
    environ = {**os.environ, **store.environ}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["together"]


def main() -> None:
    driver = factory.create(sys.argv[1], sys.argv[2], os.environ)
    content = b"".join(generated(3))

    def use(number: int) -> None:
        path, moved = f"_uploads/greenlet{number}/a/layer.1", f"images/greenlet{number}/layer"
        with driver.open_writer(path) as writer:
            for start in range(0, len(content), 100_000):
                writer.write(content[start : start + 100_000])
            writer.commit()
        assert read(driver.open_reader(path)) == content
        driver.move(path, moved)
        driver.delete(moved)

    gevent.joinall([gevent.spawn(use, number) for number in range(GREENLETS)], raise_error=True)
    print("together")


if __name__ == "__main__":
    main()
