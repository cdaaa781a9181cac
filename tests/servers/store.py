"""A place in a store, as a storage driver is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Store:
    """What the factory makes a driver from, here and in another process."""

    name: str
    path: str
    environ: Mapping[str, str] = field(default_factory=dict)
