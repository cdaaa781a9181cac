"""An image's config made of the JSONs of its ancestry, as Docker 1.12 makes it after a v1 pull, to the byte.

Its digest is the id that Docker shows for the image, so it is the same whichever way an image was pulled. Docker 1.12
keeps the members of the image's JSON raw, but those of daemons before 1.8.3 it passes through a struct of its own
(`v1_image`). Left as Docker 1.12 has it is everything but what the OCI image specification demands: an architecture in
Go's words, an operating system, a time that is one, and a config that is an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from registry_service.oci import gojson, v1_image
from registry_service.oci.digests import Digest
from registry_service.oci.times import rfc3339

MOST_LAYERS = 125
"""Docker refuses images of more layers; of an image that has more, those without a file are left out."""

MOST_BYTES = 4 * 1024**2
"""Podman, Buildah and Skopeo read no larger config; what it is made of may be a thousand times that."""

_FIRST_KEPT_RAW = (1, 8, 3)

_LEFT_OUT = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")

_ARCHITECTURES = {"x86_64": "amd64", "i386": "386", "i686": "386", "aarch64": "arm64"}

_NUMBER = re.compile(r"[+-]?[0-9]+")
_MOST_DIGITS = 20
"""A version with more is beyond all others as it is."""


def are_left_out(are_empty: Sequence[bool]) -> list[bool]:
    """Which layers are no layers of the image any more, by which of them have no file at all; the base first."""
    if len(are_empty) <= MOST_LAYERS:
        return [False] * len(are_empty)
    left_out = list(are_empty)
    if all(left_out):
        left_out[0] = False
    return left_out


def history_step(raw: bytes, is_left_out: bool) -> bytes:
    """What the history of an image says of one of its ancestry, by that one's JSON. Raises Invalid."""
    image = v1_image.decode(raw)
    created_by = " ".join(image["container_config"]["Cmd"] or ())
    texts = (("author", image["author"]), ("created_by", created_by), ("comment", image["comment"]))
    members = [("created", gojson.string(image["created"]))]
    members += [(name, gojson.string(text)) for name, text in texts if text]
    if is_left_out:
        members.append(("empty_layer", b"true"))
    return gojson.object_(members)


def image_config(raw: bytes, diff_ids: Iterable[Digest], history: Iterable[bytes]) -> bytes:
    """The config of an image, by its JSON, its layers and the steps of its history, the base first. Raises Invalid."""
    top = v1_image.decode(raw)
    members = _members(raw, top)
    for name in _LEFT_OUT:
        members.pop(name, None)
    _meet_the_specification(members, top)
    members["rootfs"] = _rootfs(diff_ids)
    members["history"] = gojson.array(history)
    return gojson.map_(members.items())


def _members(raw: bytes, top: Mapping[str, Any]) -> dict[str, bytes]:
    return gojson.raw_members(raw if _is_kept_raw(top["docker_version"]) else v1_image.encode(top))


def _is_kept_raw(docker_version: str) -> bool:
    """As Docker compares versions: by the numbers between dots, where what is no number is 0."""
    parts = zip_longest(docker_version.split("."), _FIRST_KEPT_RAW, fillvalue=0)
    return next((_number(part) > least for part, least in parts if _number(part) != least), True)


def _number(part: str | int) -> int:
    text = str(part)
    return int(text[:_MOST_DIGITS]) if _NUMBER.fullmatch(text) else 0


def _meet_the_specification(members: dict[str, bytes], top: Mapping[str, Any]) -> None:
    architecture = top["architecture"]
    if architecture in _ARCHITECTURES or not _is_string(members.get("architecture")):
        members["architecture"] = gojson.string(_ARCHITECTURES.get(architecture) or architecture or "amd64")
    if not _is_string(members.get("os")):
        members["os"] = gojson.string(top["os"] or "linux")
    if "created" in members and not _is_time(members["created"]):
        members["created"] = gojson.string(top["created"])
    if "config" in members and not members["config"].startswith(b"{"):
        members["config"] = b"{}"


def _is_string(raw: bytes | None) -> bool:
    """Whether a member is a string that is not empty."""
    return raw is not None and raw.startswith(b'"') and raw != b'""'


def _is_time(raw: bytes) -> bool:
    return rfc3339(raw.decode(errors="replace")[1:-1]) is not None


def _rootfs(diff_ids: Iterable[Digest]) -> bytes:
    return gojson.object_([("type", b'"layers"'), ("diff_ids", gojson.array(map(gojson.string, diff_ids)))])
