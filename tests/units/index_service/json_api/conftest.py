"""Every test of the API begins with the same people and repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.units.index_service.databases import Contents
from tests.units.index_service.json_api.world import World, populate
from tests.units.index_service.site import Site


@pytest.fixture
def contents() -> Contents:
    return populate


@pytest.fixture
def world(make_site: Callable[..., Site]) -> Iterator[World]:
    made = World(make_site(comment_rate="1000/minute"))
    yield made
    made.close()
