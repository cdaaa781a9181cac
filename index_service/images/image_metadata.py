"""Image metadata, parsed tolerantly from an image's JSON: anybody may have pushed it.

No type or length in it is trusted. Texts are stripped of what pages and databases do not accept (control characters,
halves of surrogates, bidirectional marks) and truncated; an invalid date becomes None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from common.errors import NotFound
from common.names import ImageId
from index_service.images.dockerfile_steps import step

MAX_CONFIG = 128 * 1024
"""Characters of a JSON that is kept as it is; of a longer one only what was read out of it."""

MAX_COMMAND = 8000
MAX_TEXT = 4000
MAX_ENTRIES = 200
"""Entries shown of a list such as the environment."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?([Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMetadata:
    """The metadata in one image's JSON, and the size in bytes and the checksums of its layer, as its registry verified
    them. `config` is the JSON itself, if it is stored."""

    image_id: ImageId
    parent_id: ImageId | None
    size: int
    created_at: datetime | None
    command: str
    author: str
    docker_version: str
    os: str
    architecture: str
    config: str
    checksums: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a container of the image starts, and the image's own texts; every text is bounded and sanitised."""

    comment: str = ""
    container: str = ""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)
    working_directory: str = ""
    user: str = ""
    ports: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    labels: list[tuple[str, str]] = field(default_factory=list)
    on_build: list[str] = field(default_factory=list)
    hostname: str = ""
    stop_signal: str = ""


def platform(system: str, architecture: str) -> str:
    """Such as `linux/amd64`; empty where the image does not say."""
    return "/".join(part for part in (system, architecture) if part)


def parse(image_id: ImageId, raw: bytes, size: int, checksums: tuple[str, ...] = ()) -> ImageMetadata:
    """The metadata of one image. Invalid JSON leaves only the id and the size."""
    text = raw.decode("utf-8", "replace")
    document = _decoded(text)
    made_by = _table(document.get("container_config"))
    return ImageMetadata(
        image_id=image_id,
        parent_id=_parent(document.get("parent"), image_id),
        size=size,
        created_at=parse_timestamp(document.get("created")),
        command=clean(step(_words(made_by.get("Cmd"))), MAX_COMMAND),
        author=clean(document.get("author"), 255),
        docker_version=clean(document.get("docker_version"), 50),
        os=clean(document.get("os"), 50),
        architecture=clean(document.get("architecture"), 50),
        config=text.replace("\0", "\ufffd") if document and len(text) <= MAX_CONFIG else "{}",
        checksums=checksums,
    )


def config_of(text: str) -> Config:
    """What a page shows of an image's JSON, as stored in `config`."""
    document = _decoded(text)
    config = _table(document.get("config"))
    return Config(
        comment=clean(document.get("comment")),
        container=clean(document.get("container"), 64),
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        environment=[_split(entry) for entry in _words(config.get("Env"))],
        working_directory=clean(config.get("WorkingDir")),
        user=clean(config.get("User")),
        ports=_keys(config.get("ExposedPorts")),
        volumes=_keys(config.get("Volumes")),
        labels=_pairs(config.get("Labels")),
        on_build=_words(config.get("OnBuild")),
        hostname=clean(config.get("Hostname"), 255),
        stop_signal=clean(config.get("StopSignal"), 50),
    )


def clean(value: Any, most: int = MAX_TEXT) -> str:
    """A text that can be stored and shown; empty for any other type."""
    if not isinstance(value, str):
        return ""
    text = _UNPRINTABLE.sub("\ufffd", value[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


def parse_timestamp(value: Any) -> datetime | None:
    """A timestamp as Go writes it, to the microsecond; None if it is invalid or before 1970."""
    found = _DATE.fullmatch(value) if isinstance(value, str) and len(value) <= 64 else None
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        read_ = datetime.fromisoformat(f"{day}T{time}.{(fraction or '0'):0<6}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return read_ if read_.year >= 1970 else None


def pretty(text: str) -> str:
    """The JSON indented for people, within a size limit; unchanged if it is invalid or nested too deeply."""
    document, pieces, room = _decoded(text), [], MAX_CONFIG * 2
    try:
        # Incrementally: hundreds of levels would take a hundred megabytes when indented.
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(document):
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                break
    except RecursionError:
        return text
    return clean("".join(pieces), MAX_CONFIG * 2) if document else text


def _decoded(text: str) -> dict[str, Any]:
    try:
        return _table(json.loads(text, parse_int=_number, parse_float=float))
    except (ValueError, RecursionError):
        return {}


def _number(text: str) -> int | str:
    """An integer of thousands of digits would be refused, or parsed slowly."""
    return int(text) if len(text) <= 40 else text


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parent(value: Any, image_id: ImageId) -> ImageId | None:
    try:
        parent = ImageId(value) if isinstance(value, str) else None
    except NotFound:
        return None
    return None if parent == image_id else parent


def _words(value: Any) -> list[str]:
    """A list of texts; old clients wrote a single one as a string."""
    listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [clean(item, MAX_COMMAND) for item in listed[:MAX_ENTRIES] if isinstance(item, str)]


def _keys(value: Any) -> list[str]:
    """The keys of an object that represents a set; a list, as some tools write it, is accepted too."""
    if isinstance(value, Mapping):
        return sorted(_first(clean(key) for key in value))
    return _words(value)


def _pairs(value: Any) -> list[tuple[str, str]]:
    return sorted((clean(key), clean(text)) for key, text in _first(_table(value).items()))


def _first(items: Iterable[Any]) -> list[Any]:
    return [item for _, item in zip(range(MAX_ENTRIES), items, strict=False)]


def _split(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value
