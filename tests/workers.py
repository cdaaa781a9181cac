"""A plugin for pytest-xdist: each worker is given a whole group of tests (see `groups`), or one test that is in none.

xdist's own groups (`--dist loadgroup`) stand in the tests' ids, which pytest 9.2 does not let it change any more.
"""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.groups import group_of

_FILE = "wharfinger_groups"
"""The name by which a worker is told in what file it is to say which test is in which group."""


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="wharfinger-groups-")


def _file() -> Path:
    return Path(_folder().name) / "groups.json"


def pytest_unconfigure() -> None:
    if _folder.cache_info().currsize:
        _folder().cleanup()


def pytest_configure_node(node: Any) -> None:
    node.workerinput[_FILE] = str(_file())


def pytest_collection_finish(session: pytest.Session) -> None:
    named = getattr(session.config, "workerinput", {}).get(_FILE)
    if named is not None:
        # Every worker writes the same; whoever reads finds a whole one.
        own = Path(f"{named}.{os.getpid()}")
        own.write_text(json.dumps({item.nodeid: group_of(item) for item in session.items}), encoding="utf-8")
        own.rename(named)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return _Groups(config, log)


class _Groups(LoadScopeScheduling):
    @cached_property
    def _known(self) -> dict[str, str | None]:
        known: dict[str, str | None] = json.loads(_file().read_text(encoding="utf-8"))
        return known

    def _split_scope(self, nodeid: str) -> str:
        return self._known[nodeid] or nodeid
