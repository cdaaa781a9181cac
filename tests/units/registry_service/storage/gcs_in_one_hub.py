"""A driver and the server it speaks to in one gevent-patched process: whoever blocks the hub waits for himself.

Run as `python -m gevent.monkey --module tests.units.registry_service.storage.gcs_in_one_hub FOLDER`; says `ok`.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import gevent
from gevent import monkey

from registry_service.storage import factory
from registry_service.storage.driver import Driver
from tests.conformance.drivers_contract import generated, read
from tests.servers.gcs import Gcs
from tests.servers.gcs_server import Server


def use(driver: Driver, number: int) -> None:
    content = b"".join(generated(40, str(number)))
    with driver.open_writer(f"staged/{number}") as writer:
        for start in range(0, len(content), 2**20):
            writer.write(content[start : start + 2**20])
        writer.commit()
    driver.move(f"staged/{number}", f"kept/{number}/layer")
    assert read(driver.open_reader(f"kept/{number}/layer")) == content
    assert driver.create(f"kept/{number}/mark", b"1")
    assert sorted(driver.list(f"kept/{number}")) == ["layer", "mark"]
    driver.delete(f"kept/{number}")


def main(folder: str) -> None:
    assert monkey.is_module_patched("socket")
    gcs = Gcs(Path(folder))
    gcs.make_accounts()
    server = Server(gcs.port, gcs.folder)
    threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
    store = gcs.store(gcs.new_bucket(), timeout=10, attempts=1)
    driver = factory.create(store.name, store.path, store.environ)
    gevent.joinall([gevent.spawn(use, driver, number) for number in range(8)], raise_error=True)
    assert not driver.exists("kept")
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
