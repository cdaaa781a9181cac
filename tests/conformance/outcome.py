"""How a row of a table came out, as people read it."""

from __future__ import annotations


def told(head: str, got: str, complaint: str) -> str:
    """A line, and two more if something was wrong with what was got."""
    line = f"{'FAIL' if complaint else 'ok  '} {head}"
    return f"{line}\n     {complaint}\n     got {got}" if complaint else line
