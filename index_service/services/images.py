"""One image: its metadata and layers, and the repositories that hold it.

Each method is one request, served within a short transaction; the number of statements does not depend on the size of
the result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.errors import NotFound
from common.names import ImageId, RepositoryName
from index_service.accounts.actor import Actor
from index_service.database import Database
from index_service.images import holders, lineage
from index_service.images.image_metadata import Config, config_of, platform, pretty
from index_service.images.lineage import Node, Place
from index_service.images.models import ImageRecord
from index_service.repositories.roles import AccessControl
from index_service.services.image_access import pinned_to, require_login, require_shown
from index_service.social.comments import CommentView

SHORTEST_ID, LONGEST_ID = 12, 64
"""Digits of an image's id: as many as Docker shows, and all."""

_DIGITS = re.compile(r"[0-9a-f]{4,64}")
"""What search takes for the beginning of an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Everything about an image. `layers` begin with its own; metadata is missing while `is_known` is false.

    `places` are the tags of the image and of its ancestors, by image.
    """

    image_id: str
    parent_id: str | None
    layers: list[Node]
    checksums: list[str]
    places: dict[str, list[Place]]
    repositories: list[RepositoryName]
    uses: int
    children: int
    annotations: list[CommentView]
    is_known: bool = False
    size: int = 0
    total_size: int = 0
    created_at: datetime | None = None
    author: str = ""
    docker_version: str = ""
    os: str = ""
    architecture: str = ""
    config: Config = field(default_factory=Config)
    raw: str = "{}"

    @property
    def platform(self) -> str:
        return platform(self.os, self.architecture)


class Images:
    """The requests of the pages about images."""

    def __init__(self, database: Database, access_control: AccessControl) -> None:
        self._database = database
        self._access_control = access_control

    def whole(self, actor: Actor | None, beginning: str) -> ImageId:
        """Resolve an id or a prefix of one, at least `SHORTEST_ID` digits long.

        Raises NotFound if the actor may see none or several; Unauthenticated if a login is required.
        """
        if len(beginning) == LONGEST_ID:
            return ImageId(beginning)
        require_login(self._access_control, actor)
        found = self.only(actor, beginning) if len(beginning) >= SHORTEST_ID else None
        if found is None:
            raise NotFound("Image not found")
        return found

    def only(self, actor: Actor | None, beginning: str) -> ImageId | None:
        """The image of an id or a prefix; None unless the actor may see exactly one."""
        digits = beginning.strip().lower()
        if _DIGITS.fullmatch(digits) is None:
            return None
        with self._database.reading() as session:
            found = lineage.beginning_with(session, digits, self._access_control.visible(actor))
        return ImageId(found[0]) if found and (found[0] == digits or len(found) == 1) else None

    def image(self, actor: Actor | None, image_id: ImageId) -> Image:
        """Raises NotFound for an image that no readable repository holds, Unauthenticated if a login is required."""
        visible = self._access_control.visible(actor)
        with self._database.reading() as session:
            require_shown(session, self._access_control, actor, image_id)
            record = session.get(ImageRecord, image_id)
            layers = lineage.ancestry(session, image_id, visible)
            related = {image_id, *(node.image_id for node in layers)}
            places = lineage.places(session, related, visible)
            listing = holders.repositories(session, image_id, visible)
            uses = lineage.uses(session, [image_id], visible).get(image_id, len(listing))
            children = lineage.count_children(session, image_id, visible)
            pinned = pinned_to(session, visible, related, {image_id: places.get(image_id, [])})
        return Image(
            **_metadata(record),
            image_id=image_id,
            parent_id=layers[1].image_id if len(layers) > 1 else None,
            layers=layers,
            checksums=[] if record is None else record.checksums.split(),
            places=places,
            repositories=listing,
            uses=uses,
            children=children,
            annotations=pinned,
        )


def _metadata(record: ImageRecord | None) -> dict[str, Any]:
    """The fields of an image that a registry described; none before that."""
    if record is None:
        return {}
    return {
        "is_known": True,
        "size": record.size,
        "total_size": record.total_size,
        "created_at": record.created_at,
        "author": record.author,
        "docker_version": record.docker_version,
        "os": record.os,
        "architecture": record.architecture,
        "config": config_of(record.config),
        "raw": pretty(record.config),
    }
