"""What an image's JSON must say, and the little of it the registry reads (protocol §3.3, §8.1)."""

from __future__ import annotations

import json
from typing import Any

from common.errors import Invalid, NotFound
from common.names import ImageId
from registry_service.graph.errors import InvalidDescription, UnknownParent


def read_parent(image: ImageId, raw: bytes) -> ImageId | None:
    """The parent that the JSON of a new image names; None for a base image. Raises Invalid."""
    described = _parse(raw)
    if "id" not in described:
        raise Invalid("Missing key `id' in JSON")
    if described["id"] != image:
        raise Invalid("JSON data contains invalid id")
    parent = _parent_in(described)
    if parent == image:
        raise UnknownParent("Image depends on itself")
    return parent


def stored_parent(raw: bytes) -> ImageId | None:
    """The parent that stored JSON names, whatever else it says. Raises Invalid."""
    return _parent_in(_parse(raw))


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        described = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidDescription from error
    if not isinstance(described, dict) or not described:
        raise InvalidDescription
    return described


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parent_in(described: dict[str, Any]) -> ImageId | None:
    parent = described.get("parent")
    if parent is None or parent == "":
        return None
    try:
        return ImageId(parent)
    except (NotFound, TypeError) as error:
        raise UnknownParent from error
