"""The object that makes a repository a mirror's copy: when it was compared with its source, and whether its images are
marked as fetched.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from common.names import RepositoryName
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """`compared` in epoch seconds, 0 for never."""

    compared: float
    is_marked: bool


def read_copy(driver: Driver, repository: RepositoryName) -> CopyRecord | None:
    """None for what is no copy; one that makes no sense was never compared."""
    try:
        stored = json.loads(driver.get(paths.mirrored(repository)))
        return CopyRecord(float(stored["compared"]), bool(stored.get("marked")))
    except PathNotFound:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return CopyRecord(0.0, is_marked=False)


def write_copy(driver: Driver, repository: RepositoryName, compared: float) -> None:
    """Make a repository a copy, all of whose images are marked."""
    driver.put(paths.mirrored(repository), json.dumps({"compared": compared, "marked": True}).encode())
