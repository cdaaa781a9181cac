"""Untrusted Markdown as safe HTML: rendered, sanitised, and cached by content.

Raw HTML becomes text. A remote image would reveal the reader to its host (and the site's Content-Security-Policy
forbids it), so it becomes a link with its description. Headings start below the page's own.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markupsafe import Markup

from common.cache import Cache

MAX_LENGTH = 100_000
"""Characters; what is longer is shown as it is."""

_CACHE_CHARACTERS = 16 * 1024 * 1024
_ENTRY = 64
"""What an entry of the cache weighs beside its text."""

_HEADINGS_BELOW = 2

_INLINE = {"a", "br", "code", "del", "em", "strong"}
_BLOCKS = {"blockquote", "hr", "li", "ol", "p", "pre", "ul"}
_OF_README = {"h3", "h4", "h5", "h6", "s", "table", "tbody", "td", "th", "thead", "tr"}


_RULES = 1
"""To be counted up where what is rendered here comes out otherwise than before."""


class Renderer:
    """Renders one kind of text, and caches what it rendered last.

    What is kept elsewhere is to be used only while `version` is the same: a newer library may let less through.
    """

    def __init__(self, parser: MarkdownIt, tags: set[str]) -> None:
        self.version = f"{_RULES} {metadata.version('markdown-it-py')} {metadata.version('nh3')}"[:32]
        self._parser = parser
        self._tags = tags
        self._rendered: Cache[bytes, str] = Cache(_CACHE_CHARACTERS)

    def __call__(self, text: str) -> Markup:
        """HTML; text over the limit stays plain text."""
        if len(text) > MAX_LENGTH:
            return Markup("<pre tabindex=0>{}</pre>").format(text)
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        html = self._rendered.get(key)
        if html is None:
            html = self._render(text)
            self._rendered.put(key, html, _ENTRY + len(html))
        return Markup(html)  # noqa: S704 - sanitised

    def _render(self, text: str) -> str:
        return nh3.clean(
            self._parser.render(text),
            tags=self._tags,
            attributes={"a": {"href", "title"}, "ol": {"start"}},
            clean_content_tags={"script", "style"},
            link_rel="nofollow ugc noopener",
            set_tag_attribute_values={"pre": {"tabindex": "0"}},
            url_schemes={"http", "https", "mailto"},
        )


def _readme_parser() -> MarkdownIt:
    parser = _parser().enable(["table", "strikethrough"])
    for rule in ("heading_open", "heading_close"):
        parser.add_render_rule(rule, _lowered)
    return parser


def _comment_parser() -> MarkdownIt:
    """A subset: no headings, tables or references."""
    return _parser().disable(["heading", "lheading", "reference"])


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False})
    parser.add_render_rule("image", _as_link)
    parser.add_render_rule("link_open", _link)
    return parser


def _as_link(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    token = tokens[index]
    source = escapeHtml(str(token.attrGet("src") or ""))
    described = escapeHtml("".join(child.content for child in token.children or ()).strip()) or source
    # Links cannot be nested.
    return described if _links_around(tokens, index, env) else f'<a href="{source}">{described}</a>'


def _link(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """An empty link shows its URL."""
    token = tokens[index]
    target, title = (escapeHtml(str(token.attrGet(name) or "")) for name in ("href", "title"))
    opening = f'<a href="{target}" title="{title}">' if title else f'<a href="{target}">'
    return opening + (target if tokens[index + 1].type == "link_close" else "")


def _links_around(tokens: Sequence[Token], index: int, env: Any) -> int:
    """The number of links around a token; counted once per paragraph, which may contain thousands."""
    counted, depths = env.get("links", (None, []))
    if counted is not tokens:
        changes = (token.nesting if token.type.startswith("link_") else 0 for token in tokens)
        depths = list(itertools.accumulate(changes, initial=0))
        env["links"] = tokens, depths
    depth: int = depths[index]
    return depth


def _lowered(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    level = min(int(token.tag[1:]) + _HEADINGS_BELOW, 6)
    return f"<h{level}>" if token.nesting == 1 else f"</h{level}>\n"


readme = Renderer(_readme_parser(), _INLINE | _BLOCKS | _OF_README)
"""Renders a README."""

comment = Renderer(_comment_parser(), _INLINE | _BLOCKS)
"""Renders a comment."""
