"""Annotations: comments pinned to a tag or an image, shown on every page where that tag or image appears."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from common.names import RepositoryName
from index_service.social.comments import CommentView


class Pinned:
    """A mixin for pages with `annotations`: which tags of the page's repository and which images have one."""

    __slots__ = ()

    annotations: list[Annotation]

    @property
    def pinned_tags(self) -> set[str]:
        return {one.tag for one in self.annotations if one.tag}

    @property
    def pinned_images(self) -> set[str]:
        return {one.image_id for one in self.annotations if one.image_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Written in `repository`, about its `tag` or about an image anywhere; `body` is Markdown."""

    id: int
    repository: RepositoryName
    author: str
    body: str
    tag: str | None
    image_id: str | None
    created_at: datetime

    @classmethod
    def all(cls, views: Iterable[CommentView]) -> list[Annotation]:
        return [
            cls(
                id=view.id,
                repository=view.repository,
                author=view.author,
                body=view.body,
                tag=view.tag,
                image_id=view.image_id,
                created_at=view.created_at,
            )
            for view in views
        ]
