"""What addresses of more than one door hold."""

from __future__ import annotations

from werkzeug.routing import IntegerConverter


class Number(IntegerConverter):
    """The number of a thing that is kept, no larger than any database counts."""

    regex = r"[0-9]{1,18}"


class SmallNumber(IntegerConverter):
    """The number of a thing whose column counts in 32 bits."""

    regex = r"[0-9]{1,9}"
