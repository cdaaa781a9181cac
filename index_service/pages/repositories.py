"""Repositories in lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from common.names import LIBRARY, RepositoryName
from index_service.search.finder import Hit
from index_service.services.search import excerpt
from index_service.social.comments import CommentView


@dataclass(frozen=True, slots=True, kw_only=True)
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

    @classmethod
    def of(cls, hit: Hit, pinned: Iterable[CommentView] = ()) -> RepositoryCard:
        """`pinned` are annotations in it, of which the first is shown."""
        return cls(
            full_name=hit.full_name,
            description=hit.description,
            is_private=hit.is_private,
            star_count=hit.star_count,
            pull_count=hit.pull_count,
            layer_bytes=hit.layer_bytes or None,
            pushed_at=hit.pushed_at,
            annotation=next(map(excerpt, pinned), None),
        )

    @property
    def namespace(self) -> str:
        return self.full_name.namespace

    @property
    def name(self) -> str:
        return self.full_name.name

    @property
    def is_official(self) -> bool:
        return self.full_name.namespace == LIBRARY
