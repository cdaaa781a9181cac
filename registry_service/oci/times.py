"""Times as Go reads and writes them in JSON: RFC 3339, with as many digits of a fraction as it takes."""

from __future__ import annotations

import re
from datetime import datetime

ZERO = "0001-01-01T00:00:00Z"

_TIME = re.compile(
    r"(?P<second>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]+))?"
    r"(?:Z|(?P<offset>[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))"
)
_DIGITS = 9
"""Nanoseconds; further digits Go leaves out."""


def rfc3339(text: str) -> str | None:
    """A time as Go writes it; None for what it does not take for one."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        datetime.fromisoformat(match["second"])
    except ValueError:
        return None
    fraction = (match["fraction"] or "")[:_DIGITS].rstrip("0")
    offset = match["offset"] or "Z"
    zone = "Z" if offset[1:] == "00:00" else offset
    return f"{match['second']}.{fraction}{zone}" if fraction else f"{match['second']}{zone}"
