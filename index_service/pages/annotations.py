"""Annotations: comments pinned to a tag or an image, shown on every page where that tag or image appears."""

from __future__ import annotations

from index_service.social.comments import CommentView


class Pinned:
    """A mixin for pages with `annotations`: which tags of the page's repository and which images have one."""

    __slots__ = ()

    annotations: list[CommentView]

    @property
    def pinned_tags(self) -> set[str]:
        return {one.tag for one in self.annotations if one.tag}

    @property
    def pinned_images(self) -> set[str]:
        return {one.image_id for one in self.annotations if one.image_id}
