"""The summary of a repository, part of every resource about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from index_service.services import summaries


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySummary:
    """A repository in short, and what the caller may do with it: push and annotate, or manage it."""

    name: str
    description: str
    is_private: bool
    is_starred: bool
    star_count: int
    pull_count: int
    tag_count: int
    comment_count: int
    layer_bytes: int
    pushed_at: datetime
    may_write: bool
    may_manage: bool

    @classmethod
    def of(cls, summary: summaries.RepositorySummary) -> RepositorySummary:
        return cls(
            name=str(summary.name),
            description=summary.description,
            is_private=summary.is_private,
            is_starred=summary.is_starred,
            star_count=summary.star_count,
            pull_count=summary.pull_count,
            tag_count=summary.tag_count,
            comment_count=summary.comment_count,
            layer_bytes=summary.layer_bytes,
            pushed_at=summary.pushed_at,
            may_write=summary.may_write,
            may_manage=summary.may_manage,
        )
