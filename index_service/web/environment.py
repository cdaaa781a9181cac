"""What templates may use: texts in the reader's language, formats, addresses, drawings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from flask import Flask, url_for
from jinja2 import FileSystemLoader, StrictUndefined

from index_service import markdown
from index_service.pages import drawing
from index_service.web import addresses, asking, assets, flags, formats, guard, languages, showing

OPTIONS = {"undefined": StrictUndefined, "extensions": ["jinja2.ext.i18n"], "trim_blocks": True, "lstrip_blocks": True}
"""How templates are read; the application is told before its first template."""


def install(app: Flask) -> None:
    """Give an application's templates their filters and functions."""
    app.jinja_options = {**app.jinja_options, **OPTIONS}
    environment = app.jinja_env
    environment.loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        languages.gettext, languages.ngettext, newstyle=True, pgettext=languages.pgettext
    )
    environment.globals.update(
        asset=assets.url,
        image_url=addresses.image_url,
        person_url=addresses.person_url,
        repository_url=addresses.repository_url,
        csrf_field=guard.field,
        flag=flags.flag,
        flashes=showing.flashes,
        hue=flags.hue,
        language=languages.current,
        language_tag=languages.tag,
        languages=languages.LANGUAGES,
        person=asking.person,
        site=asking.site,
        this_path=showing.this_path,
        twin_url=showing.twin_url,
        url_for=url_for,
        url_with=showing.url_with,
    )
    environment.filters.update(
        absolute=formats.absolute,
        ago=lambda moment: formats.ago(moment, asking.site().clock()),
        browser_name=formats.browser_name,
        comment=markdown.comment,
        compact=formats.compact,
        day=formats.day,
        exact_size=formats.exact_size,
        fit=drawing.fit,
        text_width=drawing.length,
        iso=_iso,
        number=formats.number,
        readme=markdown.readme,
        size=formats.size,
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
