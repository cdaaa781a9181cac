"""The gcs driver against a stand-in for Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.drivers_shared import SharedDriverContract, Store
from tests.servers.gcs import Gcs


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    with Gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


def store_in(gcs: Gcs, bucket: str, **settings: object) -> Store:
    """Another root in a bucket, as a service account that may do everything unless settings say otherwise."""
    given = {"bucket": bucket, "endpoint": gcs.endpoint, "credentials": gcs.key_file(), **settings}
    return Store("gcs", "/registry", {f"WHARFINGER_GCS_{name.upper()}": str(value) for name, value in given.items()})


class TestGcs(SharedDriverContract):
    @pytest.fixture
    def store(self, gcs: Gcs) -> Store:
        return store_in(gcs, gcs.new_bucket())
