"""The S3 driver against a real radosgw, both with and without conditional PUTs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_service.storage import factory
from registry_service.storage.driver import Driver
from tests.clients.wire import Target
from tests.conformance.drivers_faults import DriverFaults
from tests.conformance.drivers_shared import SharedDriverContract, Store
from tests.servers.faults import FaultProxy
from tests.servers.radosgw import Radosgw


class TestS3(SharedDriverContract):
    @pytest.fixture
    def store(self, radosgw: Radosgw) -> Store:
        return radosgw.store()


class TestS3InTrouble(DriverFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def proxy(cls, radosgw: Radosgw) -> Iterator[FaultProxy]:
        with FaultProxy(Target.parse(radosgw.url)) as proxy:
            yield proxy

    @pytest.fixture(scope="class")
    @classmethod
    def faulty(cls, radosgw: Radosgw, proxy: FaultProxy) -> Store:
        return radosgw.store(
            endpoint_url=proxy.url, connect_timeout=2, read_timeout=2, attempts=3, part_bytes=5 * 1024**2
        )

    @pytest.fixture(scope="class")
    @classmethod
    def direct(cls, radosgw: Radosgw, faulty: Store) -> Driver:
        store = radosgw.store()
        return factory.create(store.name, faulty.path, store.environ)

    @pytest.fixture(autouse=True)
    def client(self, radosgw: Radosgw) -> None:
        self.uploads = radosgw.uploads

    def leftovers(self) -> list[str]:
        """Parts. An upload without any may stay where the answer to its beginning was lost; it takes no room."""
        return [part for _, parts in self.uploads() for part in parts]
