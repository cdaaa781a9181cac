"""House flags: every name flies a signal flag of its own, drawn here and the same everywhere.

The flag decorates a name that is written out, so it is hidden from screen readers.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from markupsafe import Markup

_COLOURS = ("#1c4f9c", "#c4302b", "#f2b41c", "#0d2030", "#fdfbf5", "#1d7a6c")
_LIGHT = {"#f2b41c", "#fdfbf5"}

HUES = 8

_PATTERNS = (
    # Bars.
    '<path fill="{a}" d="M0 0h8v24H0z"/><path fill="{b}" d="M8 0h8v24H8z"/><path fill="{c}" d="M16 0h8v24h-8z"/>',
    # Bands.
    '<path fill="{a}" d="M0 0h24v8H0z"/><path fill="{b}" d="M0 8h24v8H0z"/><path fill="{c}" d="M0 16h24v8H0z"/>',
    # Halves.
    (
        '<path fill="{a}" d="M0 0h12v24H0z"/><path fill="{b}" d="M12 0h12v24H12z"/>'
        '<circle fill="{c}" cx="12" cy="12" r="4.5"/>'
    ),
    # Cross.
    (
        '<path fill="{a}" d="M0 0h24v24H0z"/><path fill="{b}" d="M9 0h6v9h9v6h-9v9H9v-9H0V9h9z"/>'
        '<path fill="{c}" d="M10.5 10.5h3v3h-3z"/>'
    ),
    # Saltire.
    (
        '<path fill="{a}" d="M0 0h24v24H0z"/><path stroke="{b}" stroke-width="5" d="M0 0l24 24M24 0L0 24"/>'
        '<circle fill="{c}" cx="12" cy="12" r="3"/>'
    ),
    # Quarters.
    (
        '<path fill="{a}" d="M0 0h12v12H0zM12 12h12v12H12z"/><path fill="{b}" d="M12 0h12v12H12z"/>'
        '<path fill="{c}" d="M0 12h12v12H0z"/>'
    ),
    # Diamond.
    (
        '<path fill="{a}" d="M0 0h24v24H0z"/><path fill="{b}" d="M12 2l10 10-10 10L2 12z"/>'
        '<path fill="{c}" d="M12 8l4 4-4 4-4-4z"/>'
    ),
    # Border.
    '<path fill="{a}" d="M0 0h24v24H0z"/><path fill="{b}" d="M5 5h14v14H5z"/><path fill="{c}" d="M9 9h6v6H9z"/>',
    # Disc.
    (
        '<path fill="{a}" d="M0 0h24v12H0z"/><path fill="{c}" d="M0 12h24v12H0z"/>'
        '<circle fill="{b}" cx="12" cy="12" r="6.5"/>'
    ),
    # Diagonal.
    (
        '<path fill="{a}" d="M0 0h24v24H0z"/><path fill="{b}" d="M24 0v24H0z"/>'
        '<path stroke="{c}" stroke-width="4" d="M0 24L24 0"/>'
    ),
    # Pile.
    '<path fill="{a}" d="M0 0h24v24H0z"/><path fill="{b}" d="M0 0l24 12L0 24z"/><path fill="{c}" d="M0 5l14 7-14 7z"/>',
    # Checks.
    (
        '<path fill="{a}" d="M0 0h24v24H0z"/><path fill="{b}" d="M0 0h8v8H0zM16 0h8v8h-8zM0 16h8v8H0zM16 16h8v8h-8z"/>'
        '<path fill="{c}" d="M8 8h8v8H8z"/>'
    ),
)
"""Drawings in three colours, neighbours apart."""


@lru_cache(maxsize=4096)
def flag(name: str, size: str = "") -> Markup:
    """The flag of a person, an organisation or a namespace; `size` is empty, `small` or `large`."""
    digest = hashlib.sha256(name.encode()).digest()
    a, b, c = _chosen(digest)
    drawing = _PATTERNS[digest[0] % len(_PATTERNS)].format(a=a, b=b, c=c)
    css = f"flag flag-{size}" if size else "flag"
    # Nothing of the name itself is in it.
    return Markup(f'<svg class="{css}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{drawing}</svg>')  # noqa: S704


def hue(name: str) -> str:
    """One of the eight colours of containers, as a class; the same name has always the same."""
    return f"hue-{hashlib.sha256(name.encode()).digest()[5] % HUES + 1}"


def _chosen(digest: bytes) -> tuple[str, str, str]:
    """Three colours, neighbours apart: a light one beside a dark one, as on flags at sea."""
    dark = [colour for colour in _COLOURS if colour not in _LIGHT]
    light = sorted(_LIGHT)
    first, third = dark[digest[1] % len(dark)], dark[digest[2] % len(dark)]
    between = light[digest[3] % len(light)]
    return (between, first, light[digest[4] % len(light)]) if digest[4] & 128 else (first, between, third)
