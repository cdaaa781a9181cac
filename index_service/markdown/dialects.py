"""The two dialects: GitHub Flavored Markdown for READMEs, and a subset of CommonMark for comments.

Rules that change tokens come first, rules that render them after. All take time linear in the text: strangers write
it. The libraries' own rules for heading anchors and bare links do not, which is why these are here.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin

from index_service.markdown import autolinks
from index_service.markdown.highlighting import highlight

HEADINGS_BELOW = 2
"""A README's headings start below the page's own two levels."""

FORMATTING = "formatting"
"""In the environment of a rendering: the names of raw elements that HTML opens again in later paragraphs."""

_LOWEST = 6

_RAW_HEADING = re.compile(r"<(/?)(h[1-6])\b", re.IGNORECASE)
_RAW_TABLE = re.compile(r"(<table\b)|(</table\s*>)", re.IGNORECASE)
_RAW_FORMATTING = re.compile(
    r"<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>]|$)[^>]*>?", re.IGNORECASE
)
_RAW_ANCHOR = re.compile(r"<a(\s+)name=", re.IGNORECASE)
_TABLE_OPEN, _TABLE_CLOSE = '<div class="table" tabindex="0">', "</div>"

_DONE, _TO_DO = "\N{BALLOT BOX WITH CHECK}", "\N{BALLOT BOX}"

_NO_SLUG = re.compile(r"[^\w\- ]")


def readme() -> MarkdownIt:
    """The parser of READMEs. Its HTML is not safe."""
    options = {"html": True, "tasklists": True, "alerts": True, "strikethrough_single_tilde": True}
    parser = MarkdownIt("commonmark", {**options, "highlight": highlight})
    parser.enable(["table", "strikethrough"]).use(footnote_plugin, inline=False)
    parser.core.ruler.push("autolinks", autolinks.link)
    parser.core.ruler.push("anchors", _add_anchors)
    for rule in ("heading_open", "heading_close"):
        parser.add_render_rule(rule, _lowered_heading)
    for rule in ("th_open", "td_open"):
        parser.add_render_rule(rule, _aligned_cell)
    for rule in ("html_block", "html_inline"):
        parser.add_render_rule(rule, _raw_html)
    parser.add_render_rule("table_open", _table)
    parser.add_render_rule("table_close", _table)
    parser.add_render_rule("list_item_open", _list_item)
    return _with_links(parser)


def comment() -> MarkdownIt:
    """The parser of comments: no headings, tables, references or raw HTML."""
    parser = MarkdownIt("commonmark", {"html": False}).disable(["heading", "lheading", "reference"])
    parser.core.ruler.push("autolinks", autolinks.link)
    return _with_links(parser)


def _with_links(parser: MarkdownIt) -> MarkdownIt:
    parser.add_render_rule("image", _image_as_link)
    parser.add_render_rule("link_open", _link)
    return parser


def _add_anchors(state: StateCore) -> None:
    """Give every heading the id that GitHub gives it, so that tables of contents lead somewhere."""
    seen: Counter[str] = Counter()
    for index, token in enumerate(state.tokens):
        if token.type == "heading_open":
            children = state.tokens[index + 1].children or ()
            words = "".join(child.content for child in children if child.type in ("text", "code_inline"))
            slug = _NO_SLUG.sub("", words.strip().lower()).replace(" ", "-")
            token.attrSet("id", f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1


def _lowered_heading(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    tag, anchor = _lowered(tokens[index].tag), escapeHtml(str(tokens[index].attrGet("id") or ""))
    return f'<{tag} id="{anchor}">' if tokens[index].nesting == 1 else f"</{tag}>\n"


def _lowered(tag: str) -> str:
    return f"h{min(int(tag[1:]) + HEADINGS_BELOW, _LOWEST)}"


def _aligned_cell(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """The alignment as an attribute: the Content-Security-Policy forbids inline styles."""
    token = tokens[index]
    side = str(token.attrGet("style") or "").removeprefix("text-align:")
    return f'<{token.tag} align="{side}">' if side else f"<{token.tag}>"


def _table(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """A wide table scrolls in a box of its own, which the keyboard reaches."""
    return f"{_TABLE_OPEN}<table>\n" if tokens[index].nesting == 1 else f"</table>{_TABLE_CLOSE}\n"


def _list_item(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """A task has a mark that is text; a checkbox that does nothing would want a label."""
    meta = tokens[index].meta
    if "checked" not in meta:
        return "<li>"
    return f'<li class="task">{_DONE if meta["checked"] else _TO_DO} '


def _raw_html(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    """Raw HTML with its headings lowered, its tables in boxes and its old anchors as ids, to be sanitised after.

    Formatting that is not closed HTML opens again in each paragraph that follows, up to three times where it is alike:
    it loses its attributes, and `rendering` is told its names.
    """
    content = _RAW_HEADING.sub(lambda found: f"<{found[1]}{_lowered(found[2])}", tokens[index].content)
    content = _RAW_TABLE.sub(lambda found: _TABLE_OPEN + found[1] if found[1] else found[2] + _TABLE_CLOSE, content)
    names = env.setdefault(FORMATTING, set())
    content = _RAW_FORMATTING.sub(lambda found: names.add(found[1].lower()) or f"<{found[1]}>", content)
    return _RAW_ANCHOR.sub(r"<a\1id=", content)


def _image_as_link(_renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
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
