"""Syntax colours of code blocks, by Pygments.

Only for a list of languages that READMEs of images show, and for code of some length: lexers are regular expressions
without a bound on their time, and strangers write the code.
"""

from __future__ import annotations

from functools import cache

from pygments import highlight as render
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

CLASSES = frozenset(filter(None, STANDARD_TYPES.values()))
"""The CSS classes of highlighted code."""

MAX_CODE = 10_000
"""Characters; longer code stays without colours."""

_LANGUAGES = {
    **dict.fromkeys(("sh", "bash", "shell", "zsh"), "bash"),
    **dict.fromkeys(("console", "shell-session", "terminal"), "console"),
    **dict.fromkeys(("dockerfile", "docker"), "docker"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    **dict.fromkeys(("python", "py"), "python"),
    **dict.fromkeys(("javascript", "js"), "javascript"),
    **dict.fromkeys(("go", "golang"), "go"),
    **dict.fromkeys(("ruby", "rb"), "ruby"),
    **dict.fromkeys(("make", "makefile"), "make"),
    **dict.fromkeys(("ini", "conf", "cfg"), "ini"),
    **{name: name for name in ("c", "css", "diff", "html", "java", "json", "nginx", "php", "properties", "rust")},
    **{name: name for name in ("sql", "toml", "typescript", "xml")},
}

_FORMATTER = HtmlFormatter(nowrap=True)


def highlight(code: str, language: str, _attributes: str) -> str:
    """HTML of the code, or nothing where it stays as it is (markdown-it's `highlight`)."""
    name = _LANGUAGES.get(language.lower())
    if name is None or len(code) > MAX_CODE:
        return ""
    coloured: str = render(code, _lexer(name), _FORMATTER)
    return coloured


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False)
