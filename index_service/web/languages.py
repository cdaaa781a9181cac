"""Internationalisation: the site's languages, the choice among them, and the translated texts.

Texts are written in English, in templates and in code; a catalogue, `locale/<language>/messages.po`, holds them in
another language. Catalogues are compiled in memory when the application starts, so no compiled file can be outdated.
"""

from __future__ import annotations

import gettext as gnu
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

FOLDER = Path(__file__).parent / "locale"

DEFAULT = "en"

LANGUAGES = {"en": "English", "zh": "简体中文"}
"""Each by its own name, so that its readers find it on a page in any other language."""

_TAGS = {"en": "en", "zh": "zh-Hans"}
_LOCALES = {"en": Locale.parse("en_GB"), "zh": Locale.parse("zh_Hans_CN")}

_REMEMBERED = 16_384

_current: ContextVar[str] = ContextVar("language", default=DEFAULT)


def load() -> None:
    """Compile all catalogues: one that is broken stops the start, not a page."""
    for language in LANGUAGES:
        _catalogue(language)


def current() -> str:
    """The language of the current page or email."""
    return _current.get()


def use(language: str | None) -> None:
    """Use `language` for the rest of the request; an unknown one means English."""
    _current.set(language if language in LANGUAGES else DEFAULT)


@contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Use another language within a block, as an email to another person needs it."""
    before = _current.set(language if language in LANGUAGES else DEFAULT)
    try:
        yield
    finally:
        _current.reset(before)


def locale() -> Locale:
    """How dates and numbers are written."""
    return _LOCALES[current()]


def tag() -> str:
    """What the page's `lang` says."""
    return _TAGS[current()]


def best(accepted: list[tuple[str, float]]) -> str:
    """The best language for an Accept-Language header, its tags with their weights in descending order."""
    for wanted, weight in accepted:
        language = wanted.lower().replace("_", "-").partition("-")[0]
        if weight > 0 and language in LANGUAGES:
            return language
    return DEFAULT


def gettext(message: str, /, **values: Any) -> str:
    """The message in the current language, `%(name)s` replaced by the value of that name."""
    text = _message(current(), message)
    return text % values if values else text


def ngettext(singular: str, plural: str, number: int, /, **values: Any) -> str:
    """The form of the message that this number needs; `%(num)s` is the number, as the language writes it."""
    shown = decimal(number)
    return _catalogue(current()).ngettext(singular, plural, number) % {"num": shown, **values}


def pgettext(context: str, message: str, /, **values: Any) -> str:
    """The message in a context, for a word with several meanings, such as "Open"."""
    text = _catalogue(current()).pgettext(context, message)
    return text % values if values else text


def decimal(value: float, digits: str | None = None) -> str:
    """A number as the language writes it; `digits` is a pattern as `0.0`."""
    return _decimal(current(), value, digits)


@dataclass(frozen=True, slots=True)
class Text:
    """A message that is translated when it is shown, for constants made before any request."""

    message: str

    def __str__(self) -> str:
        return gettext(self.message)


def lazy(message: str) -> Text:
    return Text(message)


# A page formats hundreds of numbers and texts, nearly all of them the same as the page before.
@lru_cache(maxsize=_REMEMBERED)
def _decimal(language: str, value: float, digits: str | None) -> str:
    return format_decimal(value, digits, locale=_LOCALES[language])


@lru_cache(maxsize=_REMEMBERED)
def _message(language: str, message: str) -> str:
    return _catalogue(language).gettext(message)


@cache
def _catalogue(language: str) -> gnu.NullTranslations:
    path = FOLDER / language / "messages.po"
    if not path.is_file():
        return gnu.NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language, abort_invalid=True))
    compiled.seek(0)
    return gnu.GNUTranslations(compiled)
