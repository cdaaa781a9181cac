"""A process that pushes into the filesystem store at a directory: `DIRECTORY KILL-AT FRAMING`.

The store's operations that change something are counted; before the one numbered KILL-AT the process kills
itself. It says how many there were if it lives to the end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry_service.graph.errors import ImageExists
from registry_service.storage.driver import Writer
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.units.registry_service.graph.counted import Counted
from tests.units.registry_service.graph.store import Image, Store


class Deadly(Counted, Filesystem):
    """A filesystem in a process with a number of operations to live."""

    def strike(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def open_writer(self, path: str) -> Writer:
        writer = super().open_writer(path)
        writer.write = self._counted(writer.write)  # type: ignore[method-assign]
        writer.commit = self._counted(writer.commit)  # type: ignore[method-assign]
        return writer

    def _counted(self, act: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            self.count()
            act(*arguments)

        return counted


def main(root: str, kill_at: str, framing: str) -> None:
    driver = Deadly(Path(root))
    driver.strike_at = int(kill_at)
    store = Store(Guard(driver))
    try:
        store.add(Image("base", framing=int(framing)), uploader=str(os.getpid()))
        print(driver.done)
    except ImageExists:
        print("Image already exists")


if __name__ == "__main__":
    main(*sys.argv[1:])
