"""Markdown of strangers: what is kept of it, and that nothing of it can do anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from index_service import markdown
from index_service.markdown import sanitizing

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
    markdown.readme: {
        *("a", "br", "code", "del", "em", "strong", "blockquote", "hr", "li", "ol", "p", "pre", "ul", "s"),
        *("h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr", "b", "div", "section", "span", "sup"),
    },
    markdown.comment: {"a", "br", "code", "del", "em", "strong", "blockquote", "hr", "li", "ol", "p", "pre", "ul"},
}
ATTRIBUTES = {"href", "title", "rel", "start", "tabindex", "id", "class", "align", "colspan", "rowspan"}


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
            assert tag in KEPT[render]
            assert attributes.keys() <= ATTRIBUTES
            assert attributes.get("id", "readme-").startswith("readme-")
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
    assert '<pre tabindex="0">' in rendered
    assert '<th align="center">b</th>' in rendered


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
        ("![x](https://e.example/a.png?b=c&d=e)", [("https://e.example/a.png?b=c&d=e", "x")]),
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
        def render(self, text, _found):
            rendered.append(text)
            return f"<p>{text}</p>"

    render = markdown.Renderer(Counting(), sanitizing.COMMENT)
    assert render("one") == render("one") == "<p>one</p>"
    render("two")
    render("one", "https://a.example/")
    assert rendered == ["one", "two", "one"]


@pytest.mark.parametrize("text", ["![](a)" * 16_000, "[![](a)](b) ![](c)"])
def test_pictures_in_links_and_beside_them(text):
    """However many stand in one paragraph: each is counted once, or this would not end."""
    html = str(markdown.readme(text))
    assert html.count("<a ") == (16_000 if len(text) > 100 else 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A & <b>B</b>, `c`!", '<h3 id="readme-a--b-c">'),
        ("# Same\n# Same\n# Same", '<h3 id="readme-same-2">Same</h3>'),
        ("# \u5b89\u88c5", '<h3 id="readme-\u5b89\u88c5">'),
        ("###### Deep", '<h6 id="readme-deep">Deep</h6>'),
        ("[go](#same)", '<a href="#readme-same" rel="nofollow ugc noopener">go</a>'),
        ('<a name="old"></a>', '<a id="readme-old"'),
        ('<h1 align="center">Big</h1>', '<h3 align="center">Big</h3>'),
        ('<h1 id="spoken">x</h1>', '<h3 id="readme-spoken">x</h3>'),
        ("- [x] done\n- [ ] to do", '<li class="task">\N{BALLOT BOX WITH CHECK} done</li>'),
        ("- [ ] to do", '<li class="task">\N{BALLOT BOX} to do</li>'),
        ("~~gone~~ ~gone~", "<s>gone</s> <s>gone</s>"),
        ("a[^1]\n\n[^1]: The note.", '<a href="#readme-fn1" id="readme-fnref1"'),
        ("a[^1]\n\n[^1]: The note.", '<li id="readme-fn1"'),
        ("> [!WARNING]\n> Careful", '<div class="markdown-alert markdown-alert-warning">'),
        ("> [!tip]\n> Well", '<p class="markdown-alert-title">Tip</p>'),
        ("> [!OTHER]\n> x", "<blockquote>"),
        (
            "<details><summary>More</summary>\n\n*x*\n\n</details>",
            "<details><summary>More</summary>\n<p><em>x</em></p>",
        ),
        ("<kbd>Ctrl</kbd> H<sub>2</sub>O x<sup>2</sup>", "<kbd>Ctrl</kbd> H<sub>2</sub>O x<sup>2</sup>"),
        ('<p align="center">x</p>', '<p align="center">x</p>'),
        ('<p align="center;x" style="color:red">x</p>', "<p>x</p>"),
        ("|a|\n|-|\n|b|", '<div class="table" tabindex="0"><table>'),
        ("<TABLE><tr><td>x</TABLE >\n\ny", "<td>x</td></tr></tbody></table></div>\n<p>y</p>"),
        ("```sh\n# hi\n```", '<span class="c1"># hi</span>'),
        ("```Dockerfile\nFROM x\n```", '<span class="k">FROM</span>'),
        ("```unheard-of\n<x>\n```", '<pre tabindex="0"><code>&lt;x&gt;\n</code></pre>'),
        ('<span class="c1 crate">x</span>', '<span class="c1">x</span>'),
        ("<!-- hidden -->shown", "shown"),
        ("<center>x</center>", "x"),
    ],
)
def test_a_readme_looks_as_on_github(text, expected):
    assert expected in markdown.readme(text)
    assert "hidden" not in markdown.readme(text)


@pytest.mark.parametrize("render", [markdown.readme, markdown.comment])
@pytest.mark.parametrize(
    ("text", "target", "shown"),
    [
        ("See https://a.example/b.", "https://a.example/b", "https://a.example/b"),
        ("www.a.example", "http://www.a.example", "www.a.example"),
        ("(https://a.example/x_(y))", "https://a.example/x_(y)", "https://a.example/x_(y)"),
        ("https://a.example/?a=b&c=d&amp;", "https://a.example/?a=b&c=d&", "https://a.example/?a=b&c=d&"),
        ("**https://a.example**", "https://a.example", "https://a.example"),
        ("https://a.example/a_b_c\nnext", "https://a.example/a_b_c", "https://a.example/a_b_c"),
        ("ask bo.x@mail.example-a.org!", "mailto:bo.x@mail.example-a.org", "bo.x@mail.example-a.org"),
        ("<https://a.example>", "https://a.example", "https://a.example"),
    ],
)
def test_bare_addresses_are_links(render, text, target, shown):
    found = Elements(render(text))
    assert [attributes["href"] for tag, attributes in found.tags if tag == "a"] == [target]
    assert f">{shown.replace('&', '&amp;')}</a>" in render(text)


@pytest.mark.parametrize(
    "text", ["node.js setup.py", "xhttps://a.example", "`https://a.example`", "http://", "www.", "a@b", "@ada", "a@-.b"]
)
def test_what_is_no_address_is_no_link(text):
    assert "<a" not in markdown.readme(text)


def test_a_link_in_a_link_stays_one():
    assert markdown.readme("[see https://a.example](https://b.example)").count("<a ") == 1


@pytest.mark.parametrize(
    ("link", "source", "target"),
    [
        ("docs/x.md", "https://git.example/a/b", "https://git.example/a/b/docs/x.md"),
        ("./docs/x.md#y", "https://github.com/ada/app", "https://github.com/ada/app/blob/HEAD/docs/x.md#y"),
        ("/docs/x.md", "https://github.com/ada/app.git", "https://github.com/ada/app/blob/HEAD/docs/x.md"),
        ("../x", "https://github.com/ada/app/tree/v1/lib/web/", "https://github.com/ada/app/blob/v1/lib/x"),
        ("/x", "https://github.com/ada/app/tree/v1/lib", "https://github.com/ada/app/blob/v1/x"),
        ("x", "https://gitlab.com/g/h/app/-/tree/main/lib", "https://gitlab.com/g/h/app/-/blob/main/lib/x"),
        ("x", "https://bitbucket.org/ada/app/", "https://bitbucket.org/ada/app/src/HEAD/x"),
        ("../x", "https://git.example/a/b/", "https://git.example/a/x"),
        ("/x", "https://git.example/a/b/", "https://git.example/x"),
        ("//other.example/x", "https://git.example/a/", "https://other.example/x"),
        ("docs/x.md", "", None),
        ("/login", "", None),
        ("https:docs", "", "https:docs"),
    ],
)
def test_relative_links_lead_to_the_source_or_nowhere(link, source, target):
    for text in (f"[x]({link})", f"<a href='{link}'>x</a>"):
        (attributes,) = [attributes for tag, attributes in Elements(markdown.readme(text, source)).tags if tag == "a"]
        assert attributes.get("href") == target


def test_the_headings_of_a_readme():
    rendered = markdown.readme("# A *b*\n\n## `C` & D\n\n<h2 align=center>raw</h2>\n\n#\n\n#### E")
    assert markdown.headings(rendered) == [
        markdown.Heading(1, "readme-a-b", "A b"),
        markdown.Heading(2, "readme-c--d", "C & D"),
        markdown.Heading(4, "readme-e", "E"),
    ]


@pytest.mark.parametrize("opening", ["<b {}>", "<font x={}>", "<i\n{}", "<u {}><tt {}><big {}>"])
def test_formatting_that_is_never_closed_is_not_opened_for_ever(opening):
    """HTML opens it again in each paragraph: these would be 30 MB and more."""
    text = "<p>" + "".join(opening.replace("{}", str(number)) for number in range(3000)) + "<p>x" * 6000
    rendered = markdown.readme(text)
    assert len(rendered) < 20 * len(text)


def test_formatting_goes_on_in_later_paragraphs():
    rendered = markdown.readme('<p><b title="x">one\n<p>two</b>\n\n' + "more `code`\n\n" * 500)
    assert "<p><b>two</b>" in rendered
    assert rendered.startswith("<p><b>one")
