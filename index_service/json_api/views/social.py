"""Stars, comments and annotations."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from common.errors import Invalid
from common.names import ImageId, RepositoryName, Tag
from index_service import paging
from index_service.current import services
from index_service.json_api.requester import actor, administrator, client_address, known
from index_service.json_api.resources.comments import Comment, CommentDetail, FlaggedComment
from index_service.json_api.resources.lists import List, Page
from index_service.json_api.routes import Routes, paged
from index_service.social.comments import CommentTarget

routes = Routes("social")


@dataclass(frozen=True, slots=True)
class NewComment:
    """A comment to write, in Markdown. With a `tag` or an `image_id` it is an annotation, shown wherever that tag or
    that image appears; annotations are open to all who may write to the repository."""

    body: str
    tag: str | None = None
    image_id: str | None = None


@dataclass(frozen=True, slots=True)
class CommentText:
    """The new text of a comment, in Markdown."""

    body: str


@dataclass(frozen=True, slots=True)
class Pin:
    """What a comment is pinned to: a tag, an image, or neither."""

    tag: str | None = None
    image_id: str | None = None


@dataclass(frozen=True, slots=True)
class FlagReason:
    """Why a comment is flagged."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ModerationDecision:
    """Whether to hide a flagged comment, or to dismiss its flags."""

    hide: bool


@routes.put("/repositories/<named:repository>/@star")
def give_star(repository: str) -> None:
    """Star a repository."""
    services().social.set_starred(known(), RepositoryName.parse(repository), is_starred=True)


@routes.delete("/repositories/<named:repository>/@star")
def take_star_back(repository: str) -> None:
    """Unstar a repository."""
    services().social.set_starred(known(), RepositoryName.parse(repository), is_starred=False)


@routes.get("/repositories/<named:repository>/@comments", query=paged())
def list_comments(repository: str) -> Page[Comment]:
    """List the comments of a repository, the newest first. Hidden ones are shown to their authors and to the
    repository's administrators."""
    name, asked = RepositoryName.parse(repository), paging.asked(request.args)
    found = services().social.thread(actor(), name, asked.size, asked.offset)
    return Page.of(asked.of(found.total), map(Comment.of, found.views))


@routes.post("/repositories/<named:repository>/@comments")
def write_comment(repository: str, body: NewComment) -> Comment:
    """Write a comment, or an annotation."""
    name, anchor = RepositoryName.parse(repository), _target(body.tag, body.image_id)
    number = services().social.write(known(), name, body.body, anchor)
    return _comment(name, number)


@routes.get("/repositories/<named:repository>/@comments/<number:comment>")
def get_comment(repository: str, comment: int) -> CommentDetail:
    """Get a comment with its earlier versions."""
    name = RepositoryName.parse(repository)
    return CommentDetail.of(services().social.comment(actor(), name, comment))


@routes.patch("/repositories/<named:repository>/@comments/<number:comment>")
def edit_comment(repository: str, comment: int, body: CommentText) -> Comment:
    """Edit a comment. Open to its author; earlier versions can still be read."""
    name = RepositoryName.parse(repository)
    services().social.edit(known(), name, comment, body.body)
    return _comment(name, comment)


@routes.put("/repositories/<named:repository>/@comments/<number:comment>/pin")
def pin_comment(repository: str, comment: int, body: Pin) -> Comment:
    """Pin a comment to a tag or an image, or unpin it with neither. Open to all who may write."""
    name = RepositoryName.parse(repository)
    services().social.pin(known(), name, comment, _target(body.tag, body.image_id))
    return _comment(name, comment)


@routes.delete("/repositories/<named:repository>/@comments/<number:comment>")
def delete_comment(repository: str, comment: int) -> None:
    """Delete a comment, with its earlier versions and its flags. Open to its author; others may hide it."""
    services().social.delete(known(), RepositoryName.parse(repository), comment)


@routes.post("/repositories/<named:repository>/@comments/<number:comment>/hide")
def hide_comment(repository: str, comment: int) -> Comment:
    """Hide a comment. Open to the repository's administrators."""
    name = RepositoryName.parse(repository)
    services().social.set_hidden(known(), client_address(), name, comment, is_hidden=True)
    return _comment(name, comment)


@routes.post("/repositories/<named:repository>/@comments/<number:comment>/restore")
def restore_comment(repository: str, comment: int) -> Comment:
    """Restore a hidden comment. Open to the repository's administrators, or to the index's where one of them hid it."""
    name = RepositoryName.parse(repository)
    services().social.set_hidden(known(), client_address(), name, comment, is_hidden=False)
    return _comment(name, comment)


@routes.put("/repositories/<named:repository>/@comments/<number:comment>/flag")
def flag_comment(repository: str, comment: int, body: FlagReason) -> None:
    """Flag a comment for the moderators."""
    services().social.flag(known(), RepositoryName.parse(repository), comment, body.reason)


@routes.delete("/repositories/<named:repository>/@comments/<number:comment>/flag")
def unflag_comment(repository: str, comment: int) -> None:
    """Remove the flag of the caller from a comment."""
    services().social.unflag(known(), RepositoryName.parse(repository), comment)


@routes.get("/repositories/<named:repository>/@annotations")
def list_annotations(repository: str) -> List[Comment]:
    """List the annotations of a repository's tags and of the images they point at, the newest first."""
    return List.of(map(Comment.of, services().social.overview(actor(), RepositoryName.parse(repository)).annotations))


@routes.get("/images/<image_id>/annotations")
def list_image_annotations(image_id: str) -> List[Comment]:
    """List the annotations of an image, in all repositories that the caller may see."""
    checked = ImageId(image_id)
    services().images.image(actor(), checked)
    return List.of(map(Comment.of, services().social.annotations(actor(), None, (), [checked])))


@routes.get("/admin/comments", who=administrator, query=paged())
def list_reported() -> Page[FlaggedComment]:
    """List the flagged comments that await a decision, the most flagged first."""
    asked = paging.asked(request.args)
    found, total = services().social.reported(administrator(), asked.size, asked.offset)
    return Page.of(asked.of(total), map(FlaggedComment.of, found))


@routes.patch("/admin/comments/<number:comment>", who=administrator)
def judge_comment(comment: int, body: ModerationDecision) -> None:
    """Hide a flagged comment, or dismiss its flags and restore it where an administrator hid it."""
    services().social.moderate(administrator(), client_address(), comment, hide=body.hide)


def _comment(name: RepositoryName, number: int) -> Comment:
    return Comment.of(services().social.comment(known(), name, number).view)


def _target(tag: str | None, image_id: str | None) -> CommentTarget:
    if tag is not None and image_id is not None:
        raise Invalid("Pin it to a tag or to an image, not to both")
    return ImageId(image_id) if image_id is not None else None if tag is None else Tag(tag)
