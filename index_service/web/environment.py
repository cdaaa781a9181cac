"""The template environment: functions and filters for texts, formats, URLs and icons.

A filter of a constant, such as the name of an icon, is evaluated when the template is compiled.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from flask import Flask, url_for
from jinja2 import FileSystemLoader, StrictUndefined

from index_service import markdown
from index_service.pages import drawing
from index_service.web import (
    assets,
    csrf,
    flags,
    formats,
    languages,
    rendering,
    request_context,
    responses,
    template_filters,
    urls,
)

OPTIONS = {"undefined": StrictUndefined, "extensions": ["jinja2.ext.i18n"], "trim_blocks": True, "lstrip_blocks": True}
"""Jinja's options; the application needs them before its first template."""


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
        image_url=urls.image_url,
        person_url=urls.person_url,
        repository_url=urls.repository_url,
        csrf_field=csrf.field,
        flashes=responses.flashes,
        hue=flags.hue,
        language=languages.current,
        language_tag=languages.tag,
        languages=languages.LANGUAGES,
        path=urls.mounted,
        person=request_context.signed_in,
        site=request_context.site,
        this_path=responses.current_path,
        url_for=url_for,
        url_with=responses.url_with,
    )
    environment.filters.update(
        browser_name=formats.browser_name,
        bytes=template_filters.size,
        comment=markdown.comment,
        compact=formats.compact,
        date=template_filters.day,
        fit=drawing.fit,
        fit_end=drawing.fit_end,
        flag=flags.flag,
        icon=template_filters.icon,
        time_ago=lambda timestamp: template_filters.time(timestamp, request_context.site().clock()),
        text_width=drawing.length,
        number=formats.number,
        shell=shlex.quote,
        size=formats.size,
    )
    rendering.install(app)
