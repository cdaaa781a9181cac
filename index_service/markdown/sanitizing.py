"""What HTML of strangers may contain: elements, attributes, and where links lead.

Ids get a prefix, and links within the text follow them, so that no text can take an id of the page it stands on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import nh3

from index_service.markdown import sources
from index_service.markdown.highlighting import CLASSES

ID_PREFIX = "readme-"

_INLINE = {"a", "br", "code", "del", "em", "strong"}
_BLOCKS = {"blockquote", "hr", "li", "ol", "p", "pre", "ul"}
_HEADINGS = {"h3", "h4", "h5", "h6"}
_CELLS = {"td", "th"}
_RAW = {
    *("abbr", "b", "details", "div", "dd", "dl", "dt", "i", "ins", "kbd", "mark", "q", "s", "samp", "section", "small"),
    *("span", "strike", "sub", "summary", "sup", "tt", "var"),
}
_ALIGN = {"align": {"left", "center", "right"}}
_ALERTS = {"markdown-alert", *(f"markdown-alert-{kind}" for kind in ("note", "tip", "important", "warning", "caution"))}


@dataclass(frozen=True, slots=True)
class Policy:
    """A set of elements with their attributes."""

    tags: set[str]
    attributes: dict[str, set[str]]
    values: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """Attributes that have only these values."""
    classes: dict[str, set[str]] = field(default_factory=dict)

    def clean(self, html: str, source: str) -> str:
        """Safe HTML."""
        return nh3.clean(
            html,
            tags=self.tags,
            attributes=self.attributes,
            tag_attribute_values=self.values,
            allowed_classes=self.classes,
            attribute_filter=partial(_attribute, source),
            clean_content_tags={"script", "style", "title", "textarea", "iframe", "noscript", "xmp"} - self.tags,
            link_rel="nofollow ugc noopener",
            set_tag_attribute_values={"pre": {"tabindex": "0"}},
            url_schemes={"http", "https", "mailto"},
            id_prefix=ID_PREFIX,
        )


def _attribute(source: str, _tag: str, name: str, value: str) -> str | None:
    """The attribute's value, or None to drop it; schemes have been looked at before."""
    if name != "href":
        return value
    if value.startswith("#"):
        return f"#{ID_PREFIX}{value[1:]}"
    if _is_absolute(value):
        return value
    return sources.absolute(source, value)


def _is_absolute(url: str) -> bool:
    return url.split(":", 1)[0].lower() in ("http", "https", "mailto") and ":" in url


COMMENT = Policy(_INLINE | _BLOCKS, {"a": {"href", "title"}, "ol": {"start"}})

README = Policy(
    _INLINE | _BLOCKS | _HEADINGS | _CELLS | _RAW | {"table", "tbody", "thead", "tr"},
    {
        "a": {"href", "title", "id"},
        "abbr": {"title"},
        "details": {"open"},
        "li": {"id"},
        "ol": {"start"},
        **{tag: {"id"} for tag in _HEADINGS},
        **{tag: {"colspan", "rowspan"} for tag in _CELLS},
    },
    {
        **dict.fromkeys(("p", *_HEADINGS, *_CELLS), _ALIGN),
        "div": {**_ALIGN, "tabindex": {"0"}},
    },
    {
        "div": {"table", *_ALERTS},
        "p": {"markdown-alert-title"},
        "li": {"task"},
        "section": {"footnotes"},
        "span": set(CLASSES),
        "sup": {"footnote-ref"},
    },
)
