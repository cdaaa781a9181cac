"""URL converters shared by the site and the APIs."""

from __future__ import annotations

from werkzeug.routing import IntegerConverter


class Number(IntegerConverter):
    """An id, within the range of every database."""

    regex = r"[0-9]{1,18}"


class SmallNumber(IntegerConverter):
    """An id in a column of 32 bits."""

    regex = r"[0-9]{1,9}"
