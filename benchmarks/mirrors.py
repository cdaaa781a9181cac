"""Set-ups that fill themselves from a source, which keeps a log by which its readers are counted."""

from __future__ import annotations

from typing import Any

from benchmarks.client import Daemon, Habits
from benchmarks.distribution import Distribution
from benchmarks.layers import Image
from benchmarks.nginxes import Front
from benchmarks.ours import start_registry
from benchmarks.set_up import NAMESPACE, MirrorSetUp
from benchmarks.v1 import V1


class _LoggingFront(Front):
    logs_requests = True


class _LoggingDistribution(Distribution):
    logs_requests = True


class Mirror(MirrorSetUp):
    """A registry that is the mirror of two others behind nginx."""

    def start(self) -> None:
        self.source = self._front = _LoggingFront(self.folder / "source", self.store)
        self._front.start()
        sources = f"*=http://127.0.0.1:{self._front.port}"
        self.servers.append(start_registry(self, self.port, mirror_sources=sources))

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V1(self.address, f"{NAMESPACE}/{repository}", habits)

    def source_reads(self, image: Image) -> list[int]:
        log = self._front.log.read_text()
        return [log.count(f'"GET /v1/images/{layer.id}/layer ') for layer in image.layers]


class DistributionMirror(MirrorSetUp, Distribution):
    """Distribution as a pull-through cache of another."""

    def start(self) -> None:
        self.source = _LoggingDistribution(self.folder / "source", self.store)
        self.source.start()
        super().start()

    def more(self) -> dict[str, Any]:
        return {"proxy": {"remoteurl": f"http://127.0.0.1:{self.source.port}"}}

    def source_reads(self, image: Image) -> list[int]:
        lines = [
            line for line in self.source.servers[0].programs[0].log.read_text().splitlines() if '"GET /v2/' in line
        ]
        return [sum(f"/blobs/sha256:{layer.sha256} " in line for line in lines) for layer in image.layers]
