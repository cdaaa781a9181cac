"""The page of what nobody foresaw, which a real service shows when its database holds what cannot be read."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.test_office import sign_in
from tests.browser.texts import Say, chinese, english
from tests.browser.visitor import PHONE, Visitor, visit
from tests.servers.services import Account, Service, running, sign_up, start_index

VICTIM = Account("jonah")
MANNERS: dict[str, tuple[Say, dict[str, Any]]] = {
    "light": (english, {}),
    "dark": (english, {"color_scheme": "dark"}),
    "contrast": (english, {"contrast": "more"}),
    "dark phone in Chinese": (chinese, {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"}),
}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An index that fails at the page of `VICTIM`."""
    index = start_index(tmp_path_factory.mktemp("spoilt"), ["127.0.0.1:5000"])
    with running(index):
        spoil(index, sign_up(index.target, VICTIM).name)
        yield index


def spoil(index: Service, name: str) -> None:
    """As a slip of whoever writes into the database by hand."""
    connection = sqlite3.connect(index.folder / "index.db")
    with connection:
        changed = connection.execute("UPDATE users SET created_at = 'last spring' WHERE name = ?", (name,))
    connection.close()
    assert changed.rowcount == 1


@pytest.mark.parametrize("is_signed_in", [False, True], ids=["anybody", "somebody"])
@pytest.mark.parametrize("manner", MANNERS)
def test_a_surprise_can_be_read_and_found_in_the_log(
    browser: Browser, spoilt: Service, manner: str, is_signed_in: bool
) -> None:
    say, options = MANNERS[manner]
    with visit(browser, spoilt.url, **options) as visitor:
        if is_signed_in:
            sign_in(visitor)
        answer = visitor.page.goto(f"/u/{VICTIM.name}")
        assert answer is not None
        assert answer.status == 500
        number = answer.headers["x-request-id"]
        told = visitor.page.locator("main").inner_text()
        assert say("Request") in told
        assert number in told
        assert "last spring" not in visitor.page.content()
        assert f"[{number}] GET /u/{VICTIM.name} failed" in spoilt.process.tail(400)
        visitor.expect_accessible()
        visitor.expect_no_overflow()
        assert contrast(visitor, ".failure-code") >= 3
        assert contrast(visitor, "main h1") >= 4.5


def contrast(visitor: Visitor, place: str) -> float:
    """Of what stands there against the page, as WCAG 2.2 defines it; axe passes by what is there for eyes alone."""
    shown = "getComputedStyle(document.querySelector({!r}))".format
    colours = visitor.page.evaluate(f"[{shown(place)}.color, {shown('body')}.backgroundColor]")
    light, dark = sorted((_luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
