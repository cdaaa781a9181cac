"""Template filters that make HTML: icons, timestamps, sizes.

They are filters and not macros, because a template's call of a macro takes ten times as long as one into Python, and a
list of repositories makes three hundred.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from markupsafe import Markup

from index_service.web import formats

_STAR = "M12 3l2.7 5.8 6.3.8-4.6 4.4 1.2 6.3L12 17.2l-5.6 3.1L7.6 14 3 9.6l6.3-.8z"

_ICONS = {
    "search": '<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.500L21 21"/>',
    "star": f'<path d="{_STAR}"/>',
    "star-full": f'<path fill="currentcolor" d="{_STAR}"/>',
    "pull": '<path d="M12 3v12M7 10.500l5 5 5-5M4 20h16"/>',
    "clock": '<circle cx="12" cy="12" r="9"/><path d="M12 7v5.500l3.5 2"/>',
    "lock": '<path d="M5 11h14v10H5zM8 11V7.500a4 4 0 0 1 8 0V11"/>',
    "tag": '<path d="M3 3h8.500L21 12.5 12.5 21 3 11.500z"/><circle cx="7.5" cy="7.5" r="1"/>',
    "layers": '<path d="M3 4h18v5H3zM3 9.500h18v5H3zM3 15h18v5H3zM8 4v5M8 9.500v5M8 15v5M16 4v5M16 9.500v5M16 15v5"/>',
    "people": (
        '<circle cx="9" cy="8" r="3.5"/>'
        '<path d="M2.5 20c0-4 3-6 6.5-6s6.5 2 6.5 6M16 4.800a3.5 3.5 0 0 1 0 6.400M18 14.500c2.3.8 3.5 2.7 3.5 5.5"/>'
    ),
    "check": '<path d="M4 12.500l5.5 5.500L20 6.5"/>',
    "alert": '<path d="M12 3l10 18H2zM12 10v5M12 18v.1"/>',
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 11v6M12 7.500v.1"/>',
    "pin": '<path d="M12 3v18M5 12c0 5 3.5 8 7 9 3.5-1 7-4 7-9M8 8h8"/><circle cx="12" cy="4.5" r="1.5"/>',
    "trash": '<path d="M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14"/>',
    "link": (
        '<path d="M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7L12 7"/>'
        '<path d="M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7L12 17"/>'
    ),
    "graph": (
        '<circle cx="6" cy="5" r="2.5"/>'
        '<circle cx="18" cy="5" r="2.5"/>'
        '<circle cx="12" cy="19" r="2.5"/>'
        '<path d="M6 7.500c0 5 6 4 6 9M18 7.500c0 5-6 4-6 9"/>'
    ),
}


@cache
def icon(name: str) -> Markup:
    """An icon beside a text, hidden from screen readers."""
    drawing = f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{_ICONS[name]}</svg>'
    return Markup(drawing)  # noqa: S704 - no text of a stranger


def time(timestamp: datetime, now: datetime) -> Markup:
    """`3 days ago`, with the exact time in the title."""
    return _time_element(timestamp, formats.ago(timestamp, now))


def day(timestamp: datetime) -> Markup:
    """The date, with the exact time in the title."""
    return _time_element(timestamp, formats.day(timestamp))


def size(count: int) -> Markup:
    """`12.3 MB`, with all the bytes in the title."""
    shown = f'<span class="number nowrap" title="{formats.exact_size(count)}">{formats.size(count)}</span>'
    return Markup(shown)  # noqa: S704 - numbers


def iso(timestamp: datetime) -> str:
    """ISO 8601, for programs."""
    return timestamp.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _time_element(timestamp: datetime, shown: str) -> Markup:
    exact = formats.absolute(timestamp)
    return Markup(f'<time datetime="{iso(timestamp)}" title="{exact}">{shown}</time>')  # noqa: S704 - numbers
