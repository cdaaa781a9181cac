"""Databases for tests of the index, each beginning with what its module says: made once in a worker, then copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.util import LRUCache

from index_service import schema
from index_service.database import open_engine
from tests.servers.postgres import Postgres, Reused
from tests.units.index_service.site import Clock, Site

Contents = Callable[[Site], None]
"""Fills an index whose clock has not moved. It is called once in a worker, so it keeps nothing for a test to use."""


def nothing(site: Site) -> None:
    """An index nobody has used."""


class Compiled:
    """SQLAlchemy compiles a statement for each engine anew, and every test has an engine of its own. What it compiles
    to depends on the dialect alone, of which all the engines of a database are given the first one's."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Dialect, MutableMapping[Any, Any]]] = {}

    def open_engine(self, url: str) -> Engine:
        engine = open_engine(url, pool_size=16)
        name = engine.dialect.name
        if name == "sqlite":
            event.listen(engine, "connect", _promise_nothing)
        if name not in self._known:
            # Only when it has been connected does a dialect know its server.
            engine.connect().close()
            self._known[name] = engine.dialect, LRUCache(2000)
        engine.dialect, engine._compiled_cache = self._known[name]
        return engine


def _promise_nothing(connection: Any, _record: Any) -> None:
    """No power fails in a test; the disk is waited for twice when the last connection of a file is closed."""
    connection.execute("PRAGMA synchronous = OFF")


class Databases(Protocol):
    """Of one kind."""

    def holding(self, contents: Contents, folder: Path) -> str:
        """The URL of a migrated database with these contents; what a test does to it is not seen by the next."""


class Files:
    """SQLite's: every test has a file of its own, in its folder."""

    def __init__(self, folder: Path, compiled: Compiled) -> None:
        self._folder = folder
        self._compiled = compiled
        self._known: dict[Contents, Path] = {}

    def holding(self, contents: Contents, folder: Path) -> str:
        shutil.copy(self.template(contents), folder / "index.db")
        return f"sqlite:///{folder}/index.db"

    def template(self, contents: Contents = nothing) -> Path:
        if contents not in self._known:
            path = self._folder / f"{_name(contents)}.db"
            if contents is nothing:
                migrate(f"sqlite:///{path}")
            else:
                shutil.copy(self.template(), path)
                fill(self._compiled.open_engine(f"sqlite:///{path}"), contents)
            self._known[contents] = path
        return self._known[contents]


class Shared:
    """PostgreSQL's: one for all tests, which have it one after another."""

    def __init__(self, server: Postgres, compiled: Compiled) -> None:
        migrated = server.create_database()
        migrate(migrated)
        self._database = Reused(server, migrated)
        self._compiled = compiled

    def holding(self, contents: Contents, folder: Path) -> str:
        name = _name(contents)
        if contents is nothing:
            self._database.restore()
        elif not self._database.restore(name):
            fill(self._compiled.open_engine(self._database.url), contents)
            self._database.keep(name)
        return self._database.url


def _name(contents: Contents) -> str:
    return f"{contents.__module__.rpartition('.')[2]}.{contents.__qualname__}"


def migrate(url: str) -> None:
    engine = open_engine(url)
    schema.upgrade(engine)
    engine.dispose()


def fill(engine: Engine, contents: Contents) -> None:
    site = Site(engine, comment_rate="1000/minute")
    contents(site)
    site.finish_email()
    assert site.clock() == Clock()(), "a test would begin before its contents were made"
    engine.dispose()
