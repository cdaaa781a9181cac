"""The headings of a rendered README, for its table of contents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from index_service.markdown.dialects import HEADINGS_BELOW

_HEADING = re.compile(r'<h([3-6])(?: align="\w+")? id="([^"]+)"[^>]*>(.*?)</h\1>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `level` is 1 for the highest."""

    level: int
    anchor: str
    words: str


def headings(html: str) -> list[Heading]:
    """In the order of the text; those without words or an id are left out."""
    found = (
        Heading(int(level) - HEADINGS_BELOW, unescape(anchor), unescape(_TAG.sub("", inner)).strip())
        for level, anchor, inner in _HEADING.findall(html)
    )
    return [heading for heading in found if heading.words]
