"""The passwords that guessers try first: a selection of some thousand, in lower case, that nobody may choose anew.

They are what people make of words, names, years, keyboard rows and runs of digits, of eight characters or more: shorter
ones are refused by their length.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("common_passwords.txt.gz")


def is_common(password: str) -> bool:
    """Whether it is one of them, in whatever case."""
    return password.lower() in _listed()


@cache
def _listed() -> frozenset[str]:
    return frozenset(gzip.decompress(_FILE.read_bytes()).decode().splitlines())
