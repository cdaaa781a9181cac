"""Processes of Python by the hundred, forked from one that has imported what they need: imports take longer than work.

Each is a process with an id and an end of its own, to be killed like any other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "tests.conformance.drivers_child",
        "tests.units.registry_service.graph.push_child",
        "tests.units.registry_service.oci.translate_child",
        *(f"registry_service.storage.{driver}" for driver in ("filesystem", "gcs", "glance", "s3", "swift")),
    ]
)


class Forked:
    """A process that calls `work(*arguments)`; what it prints is read from a pipe, as of a `subprocess.Popen`."""

    def __init__(self, work: Callable[..., None], *arguments: object, environ: Mapping[str, str] | None = None) -> None:
        reader, writer = _CONTEXT.Pipe(duplex=False)
        with reader, writer:
            self._process = _CONTEXT.Process(target=_run, args=(writer, dict(environ or {}), work, arguments))
            self._process.start()
            self.stdout = os.fdopen(os.dup(reader.fileno()), encoding="utf-8")

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self) -> int:
        self._process.join()
        assert self.returncode is not None
        return self.returncode

    def communicate(self) -> tuple[str, None]:
        with self.stdout:
            said = self.stdout.read()
        self.wait()
        return said, None


def _run(output: Connection, environ: dict[str, str], work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    os.environ.update(environ)
    os.dup2(output.fileno(), 1)
    output.close()
    work(*arguments)
