"""What the site says in another language, read from its own catalogue."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

LOCALES = Path(__file__).resolve().parents[2] / "index_service" / "web" / "locale"

Say = Callable[..., str]
"""A text of the site in English, and what is put into its places; in the language of the visitor."""


def english(text: str, **places: str) -> str:
    return text % places if places else text


def chinese(text: str, **places: str) -> str:
    message = _catalogue("zh").get(text)
    assert message is not None, f"the site never says {text!r}"
    return english(str(message.string), **places)


@cache
def _catalogue(language: str) -> Catalog:
    with (LOCALES / language / "messages.po").open("rb") as source:
        return read_po(source, locale=language)
