"""The image list that a push sends: `[{"id": …, "Tag": …, "checksum": …}, …]` (protocol §1.7, §2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from common.errors import Invalid, NotFound
from common.names import ImageId, Tag


@dataclass(frozen=True, slots=True)
class ImageListEntry:
    """One image of the list; 0.4 to 0.7 send checksums, 0.8 and later do not."""

    image_id: ImageId
    checksum: str | None = None
    tag: Tag | None = None


def parse_image_list(data: Any) -> list[ImageListEntry]:
    """Read a decoded body; `{}`, which some tools send, is an empty list. Raises Invalid, naming the bad entry."""
    if data == {}:
        return []
    if not isinstance(data, list):
        raise Invalid("Invalid data: expected a list of images")
    return [_entry(item) for item in data]


def checksums(entries: Iterable[ImageListEntry]) -> dict[ImageId, str | None]:
    """Every image once, in order of appearance; of several entries the first having a checksum wins."""
    merged: dict[ImageId, str | None] = {}
    for entry in entries:
        merged[entry.image_id] = merged.get(entry.image_id) or entry.checksum
    return merged


def announced_tags(entries: Iterable[ImageListEntry]) -> dict[Tag, ImageId]:
    """The tags that the push is going to set. 0.4 to 0.7 write the tag at every ancestor, root first: the last one
    counts."""
    return {entry.tag: entry.image_id for entry in entries if entry.tag is not None}


def _entry(item: Any) -> ImageListEntry:
    if not isinstance(item, dict):
        raise Invalid("Invalid data: expected objects with an id")
    return ImageListEntry(_image_id(item.get("id")), _checksum(item.get("checksum")), _tag(item.get("Tag")))


def _image_id(value: Any) -> ImageId:
    try:
        return ImageId(value if isinstance(value, str) else "")
    except NotFound as error:
        raise Invalid(f"Invalid image ID: {_shown(value)}") from error


def _checksum(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 255 or not (value.isascii() and value.isprintable()):
        raise Invalid(f"Invalid checksum: {_shown(value)}")
    return value


def _tag(value: Any) -> Tag | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Invalid(f"Invalid tag name: {_shown(value)}")
    return Tag(value)


def _shown(value: Any) -> str:
    return repr(value)[:100]
