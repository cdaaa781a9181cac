"""Set-ups of Debian's docker-registry (distribution 2.8.2), protocol v2, with files and with the object store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.client import Daemon, Habits
from benchmarks.processes import Server
from benchmarks.set_up import NAMESPACE, SetUp
from benchmarks.v2 import V2
from tests.servers.distribution import distribution
from tests.servers.radosgw import ACCESS_KEY, BUCKET, REGION, SECRET_KEY


class Distribution(SetUp):
    """Its own default configuration as packaged, in-memory cache included, without log lines for each request."""

    logs_requests = False

    def start(self) -> None:
        process = distribution(
            self.folder,
            self.port,
            log={"level": "error", "accesslog": {"disabled": not self.logs_requests}},
            storage={"cache": {"blobdescriptor": "inmemory"}, "delete": {"enabled": True}, **self.storage()},
            http={"addr": f"127.0.0.1:{self.port}", "headers": {"X-Content-Type-Options": ["nosniff"]}},
            **self.more(),
        )
        self.servers.append(Server("distribution", process))

    def storage(self) -> dict[str, Any]:
        """The driver and its settings."""
        return {"filesystem": {"rootdirectory": str(self.data)}}

    def more(self) -> dict[str, Any]:
        """Further sections of the configuration."""
        return {}

    def session(self, repository: str, habits: Habits) -> Daemon:
        return V2(self.address, f"{NAMESPACE}/{repository}", habits)


class DistributionS3(Distribution):
    """The same store as ours; it sends clients to the store, as it does by default."""

    def storage(self) -> dict[str, Any]:
        self.store.start()
        settings = {
            "accesskey": ACCESS_KEY,
            "secretkey": SECRET_KEY,
            "region": REGION,
            "regionendpoint": self.store.gateway.url,
            "bucket": BUCKET,
            "secure": False,
            "rootdirectory": "/distribution",
        }
        return {"s3": settings}

    def measured(self) -> Sequence[Server]:
        return [*self.servers, *self.store.servers]
