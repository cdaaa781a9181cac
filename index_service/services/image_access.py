"""Access to images, and the annotations of visible ones.

Every function takes the session of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from common.errors import NotFound, Unauthenticated
from common.names import ImageId
from index_service.accounts.actor import Actor
from index_service.images import holders
from index_service.images.lineage import Place
from index_service.repositories.roles import AccessControl
from index_service.social import comments
from index_service.social.comments import CommentView

MAX_PINNED = 50


def require_login(access_control: AccessControl, actor: Actor | None) -> None:
    """Raises Unauthenticated if images require a login."""
    if actor is None and access_control.login_only:
        raise Unauthenticated("Requires authorization")


def require_shown(session: Session, access_control: AccessControl, actor: Actor | None, image_id: ImageId) -> None:
    """Raises NotFound for an image that no readable repository holds, Unauthenticated if a login is required."""
    require_login(access_control, actor)
    if not holders.is_shown(session, image_id, access_control.visible(actor)):
        raise NotFound("Image not found")


def pinned_to(
    session: Session, visible: ColumnElement[bool], image_ids: Collection[str], places: dict[str, list[Place]]
) -> list[CommentView]:
    """The annotations of these images and of these tags."""
    tags = {(place.repository_id, place.tag) for found in places.values() for place in found}
    return comments.pinned_to(session, visible, tags=tags, shared=image_ids, limit=MAX_PINNED)
