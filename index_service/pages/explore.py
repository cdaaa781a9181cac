"""The first page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExplorePage:
    """What to type to begin: `host` is the index as docker is told it."""

    host: str
