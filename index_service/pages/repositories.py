"""Repositories as lists show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from common.names import LIBRARY, RepositoryName


@dataclass(frozen=True, slots=True)
class RepositoryCard:
    """One of a list; `layer_bytes` is None where no image has been looked at yet, `annotation` warns of it."""

    full_name: RepositoryName
    description: str
    is_private: bool
    star_count: int
    pull_count: int
    layer_bytes: int | None = None
    pushed_at: datetime | None = None
    annotation: str | None = None

    @property
    def namespace(self) -> str:
        return self.full_name.namespace

    @property
    def name(self) -> str:
        return self.full_name.name

    @property
    def is_official(self) -> bool:
        return self.full_name.namespace == LIBRARY
