"""Rendering of templates, in the language of the request.

Each language has an environment of its own, in which a template is compiled with its translations in place. A page has
a hundred of them: to look each up when it is rendered takes 5 to 7 % of the time of the whole page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, current_app, render_template
from jinja2 import Environment, pass_eval_context
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.nodes import EvalContext
from markupsafe import Markup

from index_service.web import languages

EXTENSION = "wharfinger-templates"

_TEXT = (("name", "_"), ("lparen", "("), ("string", None), ("rparen", ")"))


def install(app: Flask) -> None:
    """To be called once an application's environment has all its filters and functions."""
    app.jinja_env.globals.update(_=_translated, gettext=_translated)
    app.extensions[EXTENSION] = {language: _speaking(app.jinja_env, language) for language in languages.LANGUAGES}


def render(template: str, **context: Any) -> str:
    """The template in the current language."""
    environment: Environment = current_app.extensions[EXTENSION][languages.current()]
    return render_template(environment.get_template(template), **context)


class Texts(Extension):
    """Puts every `_("…")` in place in which nothing is to be filled in."""

    language = languages.DEFAULT

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        is_page = bool(self.environment.autoescape(stream.name))  # type: ignore[operator]
        held: list[Token] = []
        for token in stream:
            held.append(token)
            if len(held) == len(_TEXT) and _begin_text(held):
                yield from self._in_place(held, is_page=is_page)
                held = []
            elif not _begin_text(held):
                yield from held
                held = []

    def _in_place(self, tokens: list[Token], *, is_page: bool) -> list[Token]:
        _, left, text, right = tokens
        with languages.speaking(self.language):
            shown = Token(text.lineno, "string", _filled(languages.gettext(text.value), {}))
        # As in `_translated`: no untrusted text.
        safe = [Token(text.lineno, "pipe", "|"), Token(text.lineno, "name", "safe")] if is_page else []
        return [left, shown, *safe, right]


def _speaking(environment: Environment, language: str) -> Environment:
    """The same environment, for templates in one language."""
    there = environment.overlay(extensions=[Texts])
    there.extensions[Texts.identifier].language = language  # type: ignore[attr-defined]
    return there


def _begin_text(tokens: list[Token]) -> bool:
    pairs = zip(tokens, _TEXT, strict=False)
    return all(token.type == kind and value in (None, token.value) for token, (kind, value) in pairs)


@pass_eval_context
def _translated(context: EvalContext, message: str, /, **values: Any) -> str:
    """The text in the reader's language; its values are escaped in HTML."""
    text = languages.gettext(message)
    if context.autoescape:
        text = Markup(text)  # noqa: S704 - no text of a stranger
    return _filled(text, values)


def _filled(text: str, values: dict[str, Any]) -> str:
    return text % values if "%" in text else text
