"""Every test of the API begins with the same people and repositories, made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index_service.database import open_engine
from tests.servers.postgres import Postgres, Reused
from tests.units.index_service.json_api.world import World, populate
from tests.units.index_service.site import Site


@pytest.fixture(scope="session")
def populated_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("populated") / "index.db"
    shutil.copy(sqlite_template, path)
    _populate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def populated_database(postgres: Postgres, migrated_database: Reused) -> Reused:
    url = postgres.create_database(migrated_database.template)
    _populate(url)
    return Reused(postgres, url)


def _populate(url: str) -> None:
    engine = open_engine(url)
    populate(Site(engine, comment_rate="1000/minute"))
    engine.dispose()


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A populated database of one's own."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("populated_file"), tmp_path / "index.db")
        yield f"sqlite:///{tmp_path}/index.db"
        return
    database = request.getfixturevalue("populated_database")
    yield database.url
    database.restore()


@pytest.fixture
def world(make_site: Callable[..., Site]) -> Iterator[World]:
    made = World(make_site(comment_rate="1000/minute"))
    yield made
    made.close()
