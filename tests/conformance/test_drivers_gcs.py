"""The gcs driver against a stand-in for Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from registry_service.storage import factory
from registry_service.storage.driver import BLOCK, Driver
from tests.clients.wire import Target
from tests.conformance.drivers_contract import DriverContract
from tests.conformance.drivers_faults import DriverFaults
from tests.conformance.drivers_gevent import check_cooperation
from tests.conformance.drivers_shared import (
    LARGE,
    SharedDriverContract,
    Start,
    keep_large,
)
from tests.conformance.drivers_slow import SlowStoreContract
from tests.servers.faults import FaultProxy
from tests.servers.gcs import Gcs
from tests.servers.store import Store


@pytest.fixture(scope="class")
def proxy(gcs: Gcs) -> Iterator[FaultProxy]:
    with FaultProxy(Target.parse(gcs.endpoint)) as proxy:
        yield proxy


class TestGcs(SharedDriverContract):
    @pytest.fixture
    def store(self, gcs: Gcs) -> Store:
        return gcs.store(gcs.new_bucket())

    def test_size_beyond_32_bits(self, gcs: Gcs, driver: Driver, start: Start) -> None:
        """All zeros but for the end, so that the stand-in keeps a hole; copied in several requests."""
        gcs.plan()
        keep_large(start, driver, "layer", "moved/layer")
        assert len([line for line in gcs.seen() if "/rewriteTo/" in line]) == 5
        assert sum(map(len, driver.open_reader("moved/layer", LARGE - 100 * BLOCK))) == 100 * BLOCK + 3


class TestGcsInTrouble(DriverFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def faulty(cls, gcs: Gcs, proxy: FaultProxy) -> Store:
        return gcs.store(gcs.new_bucket(), endpoint=proxy.url, timeout=2, attempts=3)

    @pytest.fixture(scope="class")
    @classmethod
    def direct(cls, gcs: Gcs, faulty: Store) -> Driver:
        store = replace(faulty, environ={**faulty.environ, "WHARFINGER_GCS_ENDPOINT": gcs.endpoint})
        return factory.create(store.name, store.path, store.environ)

    @pytest.fixture(autouse=True)
    def server(self, gcs: Gcs, faulty: Store) -> None:
        self.gcs, self.bucket = gcs, faulty.environ["WHARFINGER_GCS_BUCKET"]

    def leftovers(self) -> list[str]:
        return self.gcs.open_sessions(self.bucket)


class TestGcsFarAway(SlowStoreContract):
    @pytest.fixture
    def far(self, gcs: Gcs, proxy: FaultProxy) -> Store:
        return gcs.store(gcs.new_bucket(), endpoint=proxy.url)


def test_greenlets_wait_together(gcs: Gcs, proxy: FaultProxy) -> None:
    check_cooperation(gcs.store(gcs.new_bucket(), endpoint=proxy.url), proxy)


class TestGcsEmulated(DriverContract):
    """Without credentials, as emulators are used, and at the root of the bucket."""

    @pytest.fixture
    def driver(self, gcs: Gcs) -> Driver:
        store = gcs.store(gcs.new_bucket(is_public=True), credentials="anonymous")
        return factory.create(store.name, "/", store.environ)
