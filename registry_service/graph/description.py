"""What an image's JSON must say, and the little of it the registry reads (protocol §3.3, §8.1)."""

from __future__ import annotations

import json
from typing import Any

from common.errors import Invalid, NotFound
from common.names import ImageId
from registry_service.graph.errors import InvalidDescription, UnknownParent

_ZEROS: tuple[Any, ...] = (None, False, 0, "", [], {})


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


def are_equivalent(one: bytes, other: bytes) -> bool:
    """Whether two JSONs of an image make the same of it. Go leaves out what is zero in one version and not in
    another, and `Size` is what an image took on the host that pushes it.

    Go merges what is under a key that comes twice, in any case, and takes the last of anything else: no JSON with such
    a key is equivalent to another.
    """
    try:
        return one == other or _essence(one) == _essence(other)
    except InvalidDescription:
        return False


def _essence(raw: bytes) -> str:
    described = _parse(raw, object_pairs_hook=_without_repeated_keys)
    described.pop("Size", None)
    for config in ("config", "container_config"):
        if isinstance(described.get(config), dict):
            described[config] = _without_zeros(described[config])
    return json.dumps(_without_zeros(described), sort_keys=True)


def _without_repeated_keys(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key.casefold() for key, _ in members}) < len(members):
        raise ValueError("A key comes twice")
    return dict(members)


def _without_zeros(members: dict[str, Any]) -> dict[str, Any]:
    """The fields of a struct; members of maps, as of `Volumes`, mean something whatever their value."""
    return {key: member for key, member in members.items() if member not in _ZEROS}


def _parse(raw: bytes, **hooks: Any) -> dict[str, Any]:
    try:
        described = json.loads(raw.decode(), parse_constant=_refuse_constant, **hooks)
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
