"""The natural order of tags: `latest`, then versions as people count them, newest first, then words."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PARTS = re.compile(r"\d+|[^\d]+")
_VERSION = re.compile(r"v?\d")
_SEPARATORS = str.maketrans("_-+", "...")


def newest_first(tags: Iterable[str]) -> list[str]:
    """`latest`, 10.1, 9, 9-rc1, 8.04, then what begins with no number, in the order of the alphabet."""
    listed = list(tags)
    versions = sorted((tag for tag in listed if _VERSION.match(tag.lower())), key=_key, reverse=True)
    words = sorted(tag for tag in listed if not _VERSION.match(tag.lower()) and tag != "latest")
    return [tag for tag in listed if tag == "latest"] + versions + sorted(words, key=_key)


def _key(tag: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Numbers as numbers; a word behind a version makes it older than the version alone, as `-rc1` does."""
    text = tag.lower().removeprefix("v") if _VERSION.match(tag.lower()) else tag.lower()
    parts = tuple(_part(part) for part in _PARTS.findall(text.translate(_SEPARATORS)) if part != ".")
    return (*parts, (1, 0, "")), tag


def _part(part: str) -> tuple[int, int, str]:
    if part.isdecimal():
        return 2, int(part[:18]), ""
    return 0, 0, part.strip(".")
