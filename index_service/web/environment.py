"""What templates may use: texts in the reader's language, formats, addresses, drawings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from flask import Flask, url_for
from jinja2 import FileSystemLoader, StrictUndefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from index_service import markdown
from index_service.pages import drawing
from index_service.web import addresses, asking, assets, flags, formats, guard, languages, pieces, showing

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
    # Jinja's own finds out anew, for each of a hundred texts, which function that is.
    environment.globals.update(_=_translated, gettext=_translated)
    environment.globals.update(
        asset=assets.url,
        image_url=addresses.image_url,
        person_url=addresses.person_url,
        repository_url=addresses.repository_url,
        csrf_field=guard.field,
        day=pieces.day,
        flag=flags.flag,
        flashes=showing.flashes,
        hue=flags.hue,
        icon=pieces.icon,
        language=languages.current,
        language_tag=languages.tag,
        languages=languages.LANGUAGES,
        person=asking.person,
        site=asking.site,
        size=pieces.size,
        this_path=showing.this_path,
        time=lambda moment: pieces.time(moment, asking.site().clock()),
        twin_url=showing.twin_url,
        url_for=url_for,
        url_with=showing.url_with,
    )
    environment.filters.update(
        browser_name=formats.browser_name,
        comment=markdown.comment,
        compact=formats.compact,
        fit=drawing.fit,
        text_width=drawing.length,
        number=formats.number,
        shell=shlex.quote,
        size=formats.size,
    )


@pass_eval_context
def _translated(context: EvalContext, message: str, /, **values: Any) -> str:
    """The text in the reader's language; what is put into it is escaped where it stands in a page."""
    text = languages.gettext(message)
    if context.autoescape:
        text = Markup(text)  # noqa: S704 - no text of a stranger
    return text % values if "%" in text else text
