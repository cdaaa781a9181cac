"""The S3 driver against a real radosgw: as it is, as an old store would be, in trouble, and under gevent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from registry_service.storage import factory
from registry_service.storage.driver import Driver
from tests.clients.wire import Target
from tests.conformance.drivers_contract import DriverContract
from tests.conformance.drivers_faults import DriverFaults
from tests.conformance.drivers_gevent import check_cooperation
from tests.conformance.drivers_shared import (
    SharedDriverContract,
    Start,
    keep_large,
)
from tests.conformance.drivers_slow import SlowStoreContract
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.radosgw import Radosgw
from tests.servers.store import Store


@pytest.fixture(scope="class")
def proxy(radosgw: Radosgw) -> Iterator[FaultProxy]:
    with FaultProxy(Target.parse(radosgw.url)) as proxy:
        yield proxy


class TestS3(SharedDriverContract):
    @pytest.fixture
    def store(self, radosgw: Radosgw) -> Store:
        return radosgw.store(copy_bytes=6 * 1024**3)

    def test_size_beyond_32_bits(self, radosgw: Radosgw, store: Store, driver: Driver, start: Start) -> None:
        """Ceph copies it by reference, so that the memory it is kept in is taken once."""
        keep_large(start, driver, "layer", "moved/layer")
        driver.delete("moved")
        assert radosgw.uploads(store) == []


class TestS3AsItWas(DriverContract):
    """Signature version 2, no conditional PUT, no copying, no deletion of many, as stores of the time had it."""

    @pytest.fixture
    def store(self, radosgw: Radosgw, proxy: FaultProxy) -> Store:
        def be_old(exchange: Exchange) -> None:
            if exchange.request.header("x-amz-copy-source") or exchange.target.endswith("?delete"):
                exchange.refuse(501)
            exchange.pass_on_without("If-None-Match")

        proxy.plan(be_old)
        return radosgw.store(endpoint_url=proxy.url, signature="s3")

    @pytest.fixture
    def driver(self, store: Store) -> Driver:
        return factory.create(store.name, store.path, store.environ)


class TestS3InTrouble(DriverFaults):
    @pytest.fixture(scope="class")
    @classmethod
    def faulty(cls, radosgw: Radosgw, proxy: FaultProxy) -> Store:
        return radosgw.store(
            endpoint_url=proxy.url, connect_timeout=2, read_timeout=2, attempts=3, part_bytes=5 * 1024**2
        )

    @pytest.fixture(scope="class")
    @classmethod
    def direct(cls, radosgw: Radosgw, faulty: Store) -> Driver:
        store = replace(radosgw.store(), path=faulty.path)
        return factory.create(store.name, store.path, store.environ)

    @pytest.fixture(autouse=True)
    def server(self, radosgw: Radosgw, faulty: Store) -> None:
        self.radosgw = radosgw
        self.faulty = faulty

    def leftovers(self) -> list[str]:
        """Parts. An upload without any may stay where the answer to its beginning was lost; it takes no room."""
        return [part for _, parts in self.radosgw.uploads(self.faulty) for part in parts]


class TestS3FarAway(SlowStoreContract):
    @pytest.fixture
    def far(self, radosgw: Radosgw, proxy: FaultProxy) -> Store:
        return radosgw.store(endpoint_url=proxy.url)


def test_greenlets_do_not_wait_for_each_other(radosgw: Radosgw, proxy: FaultProxy) -> None:
    check_cooperation(radosgw.store(endpoint_url=proxy.url), proxy)
