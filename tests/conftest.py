"""What all tests share: the running set-ups, started when first asked for and ended with the session."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from functools import cache

import botocore.session
import pytest

from tests.groups import in_order, is_quick
from tests.servers.gcs import Gcs
from tests.servers.openstack import OpenStack
from tests.servers.process import logs_since
from tests.servers.radosgw import Radosgw, start_radosgw
from tests.servers.setups import SetUp, SetUps
from tests.servers.tls import make_certificate


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="leave out what needs PostgreSQL or another server to be started"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two a core, for many tests wait; three for two cores where few do. With their servers they need about a gigabyte
    each."""
    return min((3 if config.getoption("--quick") else 4) * (os.cpu_count() or 1) // 2, 16)


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.import_plugin("tests.workers")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        config.hook.pytest_deselected(items=[item for item in items if not is_quick(item)])
        items[:] = [item for item in items if is_quick(item)]
    items[:] = in_order(items)


def pytest_collection_finish() -> None:
    """What was collected stays: the garbage collector need not go through eight thousand tests again and again. What a
    test leaves is little, and need not be looked for every 700 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the servers logged meanwhile: of a 500 the client knows nothing but that it is one."""
    report = yield
    if report.failed:
        report.sections += logs_since(call.start)
    return report


@pytest.fixture(scope="session")
def setups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUps]:
    kept = SetUps(tmp_path_factory.mktemp("setups"))
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radosgw]:
    """An S3 store, which holds whatever its tests keep in it in memory."""
    folder = tmp_path_factory.mktemp("radosgw")
    gateway = start_radosgw(folder, make_certificate(folder / "tls"))
    with pytest.MonkeyPatch.context() as patch:
        # Each driver has a session of botocore's, which would read the descriptions of S3 for itself: 0.1 s and more.
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    """A stand-in for Google Cloud Storage."""
    with Gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def openstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStack]:
    """Swift, Keystone and Glance, each started when a test first asks for it."""
    cloud = OpenStack(tmp_path_factory.mktemp("openstack"))
    yield cloud
    cloud.close()


@pytest.fixture
def setup(request: pytest.FixtureRequest, setups: SetUps) -> SetUp:
    """One set-up by the name a test is parametrised with."""
    return setups[request.param]


@pytest.fixture
def split(setups: SetUps) -> SetUp:
    """An index and a registry over plain HTTP."""
    return setups["split-http"]


@pytest.fixture
def standalone(setups: SetUps) -> SetUp:
    """A registry alone, over plain HTTP."""
    return setups["standalone-http"]
