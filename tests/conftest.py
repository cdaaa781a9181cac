"""What all tests share: the running set-ups, started when first asked for and ended with the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.setups import SetUp, SetUps


@pytest.fixture(scope="session")
def setups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUps]:
    kept = SetUps(tmp_path_factory.mktemp("setups"))
    yield kept
    kept.close()


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
