"""A process that collects the filesystem store at a directory, with no grace: `DIRECTORY KILL-AT`.

Before the change numbered KILL-AT of the store it kills itself. It says how many there were if it lives to the end.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from registry_service.collection.collector import Collector
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.units.registry_service.graph.counted import Counted
from tests.units.registry_service.graph.store import Store


class Deadly(Counted, Filesystem):
    """A filesystem in a process with a number of changes to live."""

    def strike(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def main(root: str, kill_at: str) -> None:
    driver = Deadly(Path(root))
    driver.strike_at = int(kill_at)
    store = Store(Guard(driver))
    Collector(store.driver, store.push, 0.0).run()
    print(driver.done)
