"""The storage driver for Swift against a real one: tempauth, Keystone, and what only Swift can get wrong."""

from __future__ import annotations

import pytest

from tests.conformance.drivers_shared import SharedDriverContract, Store
from tests.servers.openstack import OpenStack
from tests.servers.swift import Swift, SwiftContainer


@pytest.fixture(scope="session")
def swift(openstack: OpenStack) -> Swift:
    return openstack.swift


@pytest.fixture
def container(swift: Swift) -> SwiftContainer:
    """A new one, made as its user makes it."""
    return swift.new_container()


@pytest.fixture
def store(container: SwiftContainer) -> Store:
    return Store("swift", "/registry", container.environ())


class TestSwift(SharedDriverContract):
    @pytest.fixture
    def store(self, container: SwiftContainer) -> Store:
        return Store("swift", "/registry", container.environ())
