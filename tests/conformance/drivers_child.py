"""A process of its own that opens a store and does one thing to it: `DRIVER STORAGE_PATH ACTION ARGUMENT…`."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import time

from registry_service.storage import factory
from registry_service.storage.driver import Driver
from tests.conformance.drivers_contract import generated


def main(arguments: list[str]) -> None:
    name, storage_path, action, *rest = arguments
    ACTIONS[action](factory.create(name, storage_path, os.environ), *rest)


def get(driver: Driver, path: str) -> None:
    print(driver.get(path).decode())


def put(driver: Driver, path: str, content: str) -> None:
    driver.put(path, content.encode())


def create(driver: Driver, path: str, content: str) -> None:
    print(driver.create(path, content.encode()))


def write(driver: Driver, path: str, blocks: str, seed: str, weigh: str = "") -> None:
    before = _peak_bytes()
    with driver.open_writer(path) as writer:
        for block in generated(int(blocks), seed):
            writer.write(block)
        writer.commit()
    if weigh:
        print(_peak_bytes() - before)


def pad(driver: Driver, path: str, zeros: str, end: str) -> None:
    """A content of zeros but for its end; says by how much the process has grown."""
    before, block = _peak_bytes(), bytes(1024**2)
    with driver.open_writer(path) as writer:
        for _ in range(int(zeros) // len(block)):
            writer.write(block)
        writer.write(end.encode())
        writer.commit()
    print(_peak_bytes() - before)


def read(driver: Driver, path: str) -> None:
    before = _peak_bytes()
    digest = hashlib.sha256()
    with driver.open_reader(path) as reader:
        for block in reader:
            digest.update(block)
    print(digest.hexdigest(), _peak_bytes() - before)


def stall(driver: Driver, path: str, blocks: str) -> None:
    """Write and neither commit nor end; somebody is going to kill us."""
    with driver.open_writer(path) as writer:
        for block in generated(int(blocks)):
            writer.write(block)
        print("written", flush=True)
        time.sleep(60)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


ACTIONS = {"get": get, "put": put, "create": create, "write": write, "pad": pad, "read": read, "stall": stall}

if __name__ == "__main__":
    main(sys.argv[1:])
