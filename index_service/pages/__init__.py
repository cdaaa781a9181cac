"""What pages show: frozen dataclasses, which become HTML or JSON and know of neither."""

from __future__ import annotations

HTML_ONLY = {"html_only": True}
"""Metadata of a field that the JSON twin of a page leaves out, such as the state of a form."""
