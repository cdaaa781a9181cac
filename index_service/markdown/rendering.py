"""Rendering: parsed, sanitised, and cached by content."""

from __future__ import annotations

import hashlib
from importlib import metadata
from typing import Any, Protocol

from markupsafe import Markup

from common.cache import Cache
from index_service.markdown.dialects import FORMATTING
from index_service.markdown.sanitizing import Policy

MAX_LENGTH = 100_000
"""Characters; what is longer is shown as it is."""

_CACHE_CHARACTERS = 16 * 1024 * 1024
_ENTRY = 64
"""What an entry of the cache weighs beside its text."""

_MAX_REOPENED = 100_000
"""Elements that HTML may open again by its own rules: a few kilobytes can ask for gigabytes of them."""

_RULES = 3
"""To be counted up where what is rendered here comes out otherwise than before."""

_ALIKE = 3
"""How many elements that are alike HTML opens again."""

_LIBRARIES = ("markdown-it-py", "mdit-py-plugins", "nh3", "Pygments")


class Parser(Protocol):
    """What turns Markdown into HTML that is not safe yet."""

    def render(self, text: str, env: dict[str, Any], /) -> str: ...


class Renderer:
    """Renders one kind of text, and caches what it rendered last.

    What is kept elsewhere is to be used only while `version` is the same: a newer library may let less through.
    """

    def __init__(self, parser: Parser, policy: Policy) -> None:
        versions = " ".join((str(_RULES), *map(metadata.version, _LIBRARIES)))
        self.version = hashlib.sha256(versions.encode()).hexdigest()[:32]
        self._parser = parser
        self._policy = policy
        self._rendered: Cache[bytes, str] = Cache(_CACHE_CHARACTERS)

    def __call__(self, text: str, source: str = "") -> Markup:
        """HTML; text over the limits stays plain text. Relative links lead into the source, or nowhere without one."""
        if len(text) > MAX_LENGTH:
            return _plain(text)
        key = hashlib.sha256(f"{source}\n{text}".encode("utf-8", "surrogatepass")).digest()
        html = self._rendered.get(key)
        if html is None:
            html = self._render(text, source)
            self._rendered.put(key, html, _ENTRY + len(html))
        return Markup(html)  # noqa: S704 - sanitised

    def _render(self, text: str, source: str) -> str:
        found: dict[str, Any] = {}
        html = self._parser.render(text, found)
        if _ALIKE * len(found.get(FORMATTING, ())) * html.count("<") > _MAX_REOPENED:
            return str(_plain(text))
        return self._policy.clean(html, source)


def _plain(text: str) -> Markup:
    return Markup("<pre tabindex=0>{}</pre>").format(text)
