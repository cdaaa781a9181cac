"""Which tests run one after another in one worker of pytest-xdist: those that share a server.

A test's group follows from the fixtures it uses, so that no test names one. What shares nothing runs wherever a worker
is idle. Groups begin before everything else, the longest first, so that none of them is what all wait for.
"""

from __future__ import annotations

import pytest

from tests.conformance.drivers_faults import DriverFaults
from tests.servers.setups import ALL

SERVERS = ("openstack", "radosgw", "gcs", "setups", "browser")
"""The session's fixtures that are servers."""

LONGEST_FIRST = (
    "openstack swift in trouble", "browser", "openstack swift", "openstack glance", "openstack glance in trouble",
    "radosgw", "gcs", "setups",
)  # fmt: skip
"""Groups of one server, or of one part of it, by the time each takes."""


def group_of(item: pytest.Item) -> str | None:
    """The server it asks for, or its module, where the module has a fixture that all its tests share."""
    if not isinstance(item, pytest.Function):
        return None
    for server in SERVERS:
        if server in item.fixturenames:
            return f"{server} {_part(server, item)}".strip()
    definitions = item._fixtureinfo.name2fixturedefs.values()
    return item.path.stem if any(known[-1].scope == "module" for known in definitions) else None


def is_quick(item: pytest.Item) -> bool:
    """Whether it needs neither one of the session's servers nor PostgreSQL, nor one of its module's."""
    return group_of(item) is None and not (hasattr(item, "callspec") and "postgresql" in item.callspec.params.values())


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """As workers take them."""
    return sorted(items, key=lambda item: _rank(group_of(item)))


def _part(server: str, item: pytest.Function) -> str:
    """Which part of a server it uses that has parts, each started for itself."""
    if server == "openstack":
        # Half of the time goes to faults that are waited for, which hold nobody up where the cloud is not shared.
        part = "swift" if "swift" in item.path.stem else "glance"
        return f"{part} in trouble" if item.cls and issubclass(item.cls, DriverFaults) else part
    return _set_up(item) if server == "setups" else ""


def _set_up(item: pytest.Function) -> str:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    named = [value for value in parameters if isinstance(value, str) and value in ALL]
    return named[0] if named else "standalone-http" if "standalone" in item.fixturenames else "split-http"


def _rank(group: str | None) -> tuple[int, str]:
    if group is None:
        return len(LONGEST_FIRST) + 1, ""
    server = group.partition(" ")[0]
    known = next((name for name in (group, server) if name in LONGEST_FIRST), None)
    return len(LONGEST_FIRST) if known is None else LONGEST_FIRST.index(known), group
