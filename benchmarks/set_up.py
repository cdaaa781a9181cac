"""A set-up: one way to serve an image, which can be started, filled, asked for sessions of a daemon, and measured."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.client import Daemon, Habits
from benchmarks.layers import Image
from benchmarks.loop import Loop
from benchmarks.processes import Server
from benchmarks.store import ObjectStore
from benchmarks.wire import Address
from tests.clients.steps import Steps
from tests.servers.process import free_port

NAMESPACE = "bench"
LOGIN = (NAMESPACE, secrets.token_hex(8))

_FILL_SECONDS = 120.0


class SetUp:
    """`folder` is its own, for data, logs and configuration; `store` is one for all, started by who needs it."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self.folder = folder
        self.store = store
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.port = free_port()
        self.servers: list[Server] = []

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    def start(self) -> None:
        """Raises ServerFailed."""
        raise NotImplementedError

    def session(self, repository: str, habits: Habits) -> Daemon:
        """A new session of a daemon with the repository of this name."""
        raise NotImplementedError

    def fill(self, image: Image, repository: str) -> None:
        """Make the image ready to be pulled. Raises Broken."""
        image.prepare()
        walk(self.session(repository, Habits()).push(image))

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def measured(self) -> Sequence[Server]:
        """All that work for this set-up; those of one name are counted as one."""
        return self.servers

    def sample(self) -> None:
        for server in self.measured():
            server.sample()

    def forget_peaks(self) -> None:
        for server in self.measured():
            server.peak_memory = 0

    def cpu_seconds(self) -> dict[str, float]:
        """Spent so far, by name of the server."""
        spent: dict[str, float] = {}
        for server in self.measured():
            spent[server.name] = spent.get(server.name, 0.0) + server.cpu_seconds()
        return spent

    def memory(self) -> dict[str, int]:
        """Peak since the last `forget_peaks`, in bytes, by name of the server."""
        peaks: Counter[str] = Counter()
        for server in self.measured():
            peaks[server.name] += server.peak_memory
        return dict(peaks)


class MirrorSetUp(SetUp):
    """A set-up that fills itself from a source of its own, at which is counted what it reads."""

    source: SetUp

    def offer(self, image: Image, repository: str) -> None:
        """Put the image at the source, where the mirror has not seen it. Raises Broken."""
        self.source.fill(image, repository)

    def source_reads(self, image: Image) -> list[int]:
        """How often each layer was asked of the source."""
        raise NotImplementedError

    def stop(self) -> None:
        super().stop()
        self.source.stop()


def walk(steps: Steps) -> None:
    """Let one daemon do this, now. Raises Broken."""
    Loop().run([("127.0.0.1", steps)], limit=_FILL_SECONDS)
