"""Formatting of timestamps, numbers and sizes in the current language, cached.

Babel takes as long for a number as a template for a line, and a page of a list formats a hundred of them. So frequent
results are cached: each cached function takes the language, and no more digits than it shows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from babel import dates, numbers

from index_service.sizes import UNITS
from index_service.web.languages import current, decimal, gettext, locale

# The first match counts: each browser's User-Agent contains the names of those after it, too.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
_COMPACT_FROM = 10_000
_MINUTES_A_DAY = 24 * 60
_DAYS_ONLY = 40 * _MINUTES_A_DAY
_REMEMBERED = 8192


def ago(timestamp: datetime, now: datetime) -> str:
    """As `3 days ago`; what lies less than a minute off is `just now`."""
    minutes = int((timestamp - now).total_seconds() / 60)
    if not minutes:
        return gettext("just now")
    if abs(minutes) >= _DAYS_ONLY:
        minutes -= minutes % _MINUTES_A_DAY
    return _ago(current(), minutes)


def absolute(timestamp: datetime) -> str:
    """Date and time to the second, in UTC."""
    there = timestamp.astimezone(UTC)
    pattern, date_ = _date(current(), there.date())
    return pattern.format(there.strftime("%H:%M:%S"), date_) + " UTC"


def day(timestamp: datetime) -> str:
    """The date alone, in UTC."""
    return dates.format_date(timestamp.astimezone(UTC), "long", locale=locale())


def number(value: float) -> str:
    return decimal(value)


def compact(value: int) -> str:
    """A large number in few characters, as `12.3K`."""
    return decimal(value) if value < _COMPACT_FROM else _compact(current(), value)


def size(count: int) -> str:
    """Bytes as docker writes them: powers of a thousand, about three digits."""
    amount, unit = float(count), 0
    while amount >= 999.5 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    is_whole = unit == 0 or amount >= 99.95
    shown = decimal(round(amount), "0") if is_whole else decimal(round(amount, 1), "0.0")
    return f"{shown}\u00a0{UNITS[unit]}"


def exact_size(count: int) -> str:
    """The exact number of bytes."""
    return gettext("%(count)s bytes", count=number(count))


def browser_name(text: str) -> str:
    """A browser's name and system from its User-Agent, for people to recognise it."""
    names = [name for mark, name in _BROWSERS if mark in text]
    systems = [name for mark, name in _SYSTEMS if mark in text]
    if not names:
        return text[:60] or gettext("Unknown browser")
    return gettext("%(browser)s on %(system)s", browser=names[0], system=systems[0]) if systems else names[0]


@lru_cache(maxsize=_REMEMBERED)
def _ago(_language: str, minutes: int) -> str:
    return dates.format_timedelta(timedelta(minutes=minutes), add_direction=True, locale=locale())


@lru_cache(maxsize=_REMEMBERED)
def _date(_language: str, day: date) -> tuple[str, str]:
    """How a date, `{1}`, is joined to a time, `{0}`; and the date."""
    return str(dates.get_datetime_format("medium", locale=locale())), dates.format_date(day, "medium", locale=locale())


@lru_cache(maxsize=_REMEMBERED)
def _compact(_language: str, value: int) -> str:
    return numbers.format_compact_decimal(value, fraction_digits=1, locale=locale())
