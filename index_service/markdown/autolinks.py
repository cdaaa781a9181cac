"""Bare URLs and e-mail addresses as links, by the rules of GitHub Flavored Markdown.

https://github.github.com/gfm/#autolinks-extension- ; in one pass over the text, as both libraries that do this need
minutes for some texts of 100,000 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_BARE = re.compile(
    r"(?<![^\s*_~(])(?:https?://|www\.)\w[^\s<]*"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62}){1,8}(?<!-)",
    re.ASCII,
)
_NOT_LAST = "?!.,:*_~'\""
_ENTITY = re.compile(r"&[A-Za-z0-9]{1,32};$")


def link(state: StateCore) -> None:
    """Core rule: replace bare URLs and addresses in text outside links."""
    for block in state.tokens:
        if block.type == "inline" and block.children and _BARE.search(block.content):
            block.children = list(_linked(state, block.children))


def _linked(state: StateCore, tokens: list[Token]) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type.startswith("link_") else 0
        if token.type == "text" and not depth:
            yield from _split(state, token)
        else:
            yield token


def _split(state: StateCore, token: Token) -> Iterator[Token]:
    text, done = token.content, 0
    for found in _BARE.finditer(text):
        shown = _trimmed(found[0])
        target = state.md.normalizeLink(_target(shown))
        if state.md.validateLink(target):
            yield _text(text[done : found.start()])
            yield Token("link_open", "a", 1, attrs={"href": target})
            yield _text(shown)
            yield Token("link_close", "a", -1)
            done = found.start() + len(shown)
    yield _text(text[done:])


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _target(shown: str) -> str:
    if shown.startswith("www."):
        return f"http://{shown}"
    return shown if "://" in shown else f"mailto:{shown}"


def _trimmed(url: str) -> str:
    """Without the punctuation that belongs to the sentence, and a parenthesis that was opened before the URL."""
    unopened = url.count(")") - url.count("(")
    end = len(url)
    while end:
        if url[end - 1] == ")" and unopened > 0:
            unopened -= 1
        elif url[end - 1] == ";" and (entity := _ENTITY.search(url, max(0, end - 34), end)):
            end = entity.start()
            continue
        elif url[end - 1] not in _NOT_LAST:
            break
        end -= 1
    return url[:end]
