"""Numbers of bytes as people write them: 500 MB, 10 GB; units are powers of a thousand."""

from __future__ import annotations

import re

MAX_SIZE = 10**18

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SIZE = re.compile(r"(\d{1,19}) ?([kmgtp]?)b?", re.IGNORECASE | re.ASCII)


def read(text: str) -> int:
    """Raises ValueError."""
    found = _SIZE.fullmatch(text)
    size = -1 if found is None else int(found[1]) * 1000 ** ("", *"kmgtp").index(found[2].lower())
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"{text!r} is not a number of bytes, such as 500 MB or 10 GB")
    return size


def exact(size: int) -> str:
    """All of it, in the largest unit of which it is a whole number."""
    unit = 0
    while size and size % 1000 == 0 and unit < len(UNITS) - 1:
        size, unit = size // 1000, unit + 1
    return f"{size} {UNITS[unit]}" if unit else str(size)


def rounded(size: int) -> str:
    """About as exact as people say it."""
    unit = max((place for place in range(len(UNITS)) if size >= 1000**place), default=0)
    return f"{size / 1000**unit:.1f} {UNITS[unit]}" if unit else f"{size} B"
