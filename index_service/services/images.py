"""One image: its metadata and layers, and the repositories that list it.

Each method is one request, served within a short transaction; the number of statements does not depend on the size of
the result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from common.errors import NotFound
from common.names import ImageId, RepositoryName
from index_service.accounts.actor import Actor
from index_service.database import Database
from index_service.images import lineage, listings
from index_service.images.image_metadata import Config, config_of, pretty
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
    is_known: bool
    parent_id: str | None
    size: int
    total_size: int
    created_at: datetime | None
    command: str
    author: str
    docker_version: str
    os: str
    architecture: str
    config: Config
    raw: str
    layers: list[Node]
    checksums: list[str]
    places: dict[str, list[Place]]
    repositories: list[RepositoryName]
    uses: int
    children: int
    annotations: list[CommentView]


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
        """Raises NotFound for an image in no readable repository, Unauthenticated if a login is required."""
        visible = self._access_control.visible(actor)
        with self._database.reading() as session:
            require_shown(session, self._access_control, actor, image_id)
            record = session.get(ImageRecord, image_id)
            layers = lineage.ancestry(session, image_id, visible)
            related = {image_id, *(node.image_id for node in layers)}
            places = lineage.places(session, related, visible)
            listing = listings.repositories(session, image_id, visible)
            uses = lineage.uses(session, [image_id], visible).get(image_id, len(listing))
            children = lineage.count_children(session, image_id, visible)
            checksums = listings.checksums(session, image_id, visible)
            pinned = pinned_to(session, visible, related, {image_id: places.get(image_id, [])})
        return _image(image_id, record, layers, places, listing, uses, children, checksums, pinned)


def _image(
    image_id: ImageId,
    record: ImageRecord | None,
    layers: list[Node],
    places: dict[str, list[Place]],
    listing: list[RepositoryName],
    uses: int,
    children: int,
    checksums: list[str],
    annotations: list[CommentView],
) -> Image:
    known = record or ImageRecord(
        parent_id=None,
        size=0,
        total_size=0,
        created_at=None,
        command="",
        author="",
        docker_version="",
        os="",
        architecture="",
        config="{}",
    )
    return Image(
        image_id=image_id,
        is_known=record is not None,
        parent_id=layers[1].image_id if len(layers) > 1 else None,
        size=known.size,
        total_size=known.total_size,
        created_at=known.created_at,
        command=known.command,
        author=known.author,
        docker_version=known.docker_version,
        os=known.os,
        architecture=known.architecture,
        config=config_of(known.config),
        raw=pretty(known.config),
        layers=layers,
        checksums=checksums,
        places=places,
        repositories=listing,
        uses=uses,
        children=children,
        annotations=annotations,
    )
