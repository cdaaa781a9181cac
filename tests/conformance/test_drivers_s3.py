"""The S3 driver against a real radosgw, both with and without conditional PUTs."""

from __future__ import annotations

import pytest

from tests.conformance.drivers_shared import SharedDriverContract, Store
from tests.servers.radosgw import Radosgw


class TestS3(SharedDriverContract):
    @pytest.fixture
    def store(self, radosgw: Radosgw) -> Store:
        return radosgw.store()
