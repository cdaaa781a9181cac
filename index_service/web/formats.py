"""Moments, numbers and sizes as the current language writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from babel import dates, numbers

from index_service.web.languages import gettext, locale

# The first that is found counts: each of them calls itself by the names of those behind it, too.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def ago(moment: datetime, now: datetime) -> str:
    """As `3 days ago`; what lies less than a minute off is `just now`."""
    delta = moment - now
    if abs(delta.total_seconds()) < 60:
        return gettext("just now")
    return dates.format_timedelta(delta, add_direction=True, locale=locale())


def absolute(moment: datetime) -> str:
    """Date and time to the second, in UTC."""
    return dates.format_datetime(moment.astimezone(UTC), "medium", locale=locale()) + " UTC"


def day(moment: datetime) -> str:
    """The date alone, in UTC."""
    return dates.format_date(moment.astimezone(UTC), "long", locale=locale())


def number(value: float) -> str:
    return numbers.format_decimal(value, locale=locale())


def compact(value: int) -> str:
    """A large number in few characters, as `12.3K`."""
    return (
        number(value) if value < 10_000 else numbers.format_compact_decimal(value, fraction_digits=1, locale=locale())
    )


def size(count: int) -> str:
    """Bytes as docker writes them: powers of a thousand, about three digits."""
    amount, unit = float(count), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    digits = "0" if unit == 0 or amount >= 99.95 else "0.0"
    return f"{numbers.format_decimal(amount, digits, locale=locale())}\u00a0{_UNITS[unit]}"


def exact_size(count: int) -> str:
    """All the bytes, for who wants to know."""
    return gettext("%(count)s bytes", count=number(count))


def browser_name(text: str) -> str:
    """A browser's name and system out of what it calls itself, for people to know it again."""
    names = [name for mark, name in _BROWSERS if mark in text]
    systems = [name for mark, name in _SYSTEMS if mark in text]
    if not names:
        return text[:60] or gettext("Unknown browser")
    return gettext("%(browser)s on %(system)s", browser=names[0], system=systems[0]) if systems else names[0]
