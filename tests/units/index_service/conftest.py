"""Every test of the index that touches a database runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask
from jinja2 import Environment, FileSystemBytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine
from werkzeug.routing import Rule

from index_service.web import languages
from index_service.web.rendering import Texts
from tests.servers.postgres import Postgres
from tests.units.index_service.databases import Compiled, Contents, Databases, Files, Shared, nothing
from tests.units.index_service.live import Harbour
from tests.units.index_service.site import Site


class RuleCompiledOnce(Rule):
    """Werkzeug parses each rule of each application anew, and compiles two functions that build its URLs. All that
    depends on the rule alone, and takes most of the time in which an application is made: every test makes one, of 220
    rules."""

    _known: ClassVar[dict[tuple[object, ...], dict[str, Any]]] = {}
    _results = ("_parts", "_trace", "_converters", "arguments")

    def compile(self) -> None:
        assert self.map is not None
        converters = tuple(self.map.converters.values())
        key = (self.rule, self.host, self.subdomain, self.merge_slashes, repr(self.defaults), converters)
        known = self._known.get(key)
        if known is None:
            super().compile()
            known = self._known[key] = {name: getattr(self, name) for name in self._results}
            known["builders"] = self._build.__func__, self._build_unknown.__func__  # type: ignore[attr-defined]
            return
        for name in self._results:
            setattr(self, name, known[name])
        self._build, self._build_unknown = (builder.__get__(self, None) for builder in known["builders"])


class TemplatesCompiledOnce(FileSystemBytecodeCache):
    """Jinja compiles a template for each application anew, which takes more than half of the time of a test that goes
    to a page or two. What it compiles to depends on its source and its language alone. Workers share it in files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._compiled: dict[tuple[str, str], Any] = {}

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        texts = environment.extensions.get(Texts.identifier)
        language = texts.language if isinstance(texts, Texts) else ""
        return super().get_bucket(environment, f"{language} {name}", filename, source)

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))
        if bucket.code is None:
            super().load_bytecode(bucket)
            self._compiled[bucket.key, bucket.checksum] = bucket.code

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key, bucket.checksum] = bucket.code
        super().dump_bytecode(bucket)


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "templates"
    folder.mkdir(exist_ok=True)
    options = {**Flask.jinja_options, "bytecode_cache": TemplatesCompiledOnce(folder)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "url_rule_class", RuleCompiledOnce)
        patch.setattr(Flask, "jinja_options", options)
        yield


@pytest.fixture(autouse=True)
def in_english() -> None:
    """Whatever language the last page of the test before was in: a client in the test's own thread leaves it there."""
    languages.use(None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def compiled() -> Compiled:
    return Compiled()


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory, compiled: Compiled) -> Files:
    return Files(tmp_path_factory.mktemp("databases"), compiled)


@pytest.fixture(scope="session")
def postgresql_databases(postgres: Postgres, compiled: Compiled) -> Shared:
    return Shared(postgres, compiled)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def contents() -> Contents:
    """What is in the database when a test begins. A module whose tests all begin with the same people and repositories
    has a fixture of this name: to make them takes longer than most tests."""
    return nothing


@pytest.fixture
def url(backend: str, contents: Contents, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database of one's own, with the contents."""
    databases: Databases = request.getfixturevalue(f"{backend}_databases")
    return databases.holding(contents, tmp_path)


@pytest.fixture
def engine(url: str, compiled: Compiled) -> Iterator[Engine]:
    engine = compiled.open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def make_site(engine: Engine) -> Callable[..., Site]:
    """Makes an index with other settings than the default."""
    return partial(Site, engine)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def harbour(site: Site) -> Iterator[Harbour]:
    """The index with a registry behind it, and Alice and Bob."""
    for name in ("alice", "bob"):
        site.user(name)
    made = Harbour(site)
    yield made
    made.close()
