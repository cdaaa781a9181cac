"""The same journey by mouse, by keyboard alone, without scripts, on a phone, in Chinese and in the dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.journey import Journey
from tests.browser.texts import Say, chinese, english
from tests.browser.visitor import PHONE, Typist, Visitor, visit
from tests.servers.services import Service

MANNERS: dict[str, tuple[type[Visitor], Say, dict[str, Any]]] = {
    "mouse": (Visitor, english, {}),
    "keyboard": (Typist, english, {}),
    "no-script": (Visitor, english, {"java_script_enabled": False}),
    "phone": (Visitor, english, {"viewport": PHONE, "has_touch": True}),
    "chinese": (Visitor, chinese, {"locale": "zh-CN"}),
    "dark": (Visitor, english, {"color_scheme": "dark"}),
}


@pytest.mark.parametrize("manner", MANNERS)
def test_from_a_stranger_to_the_end(browser: Browser, harbour: Service, manner: str) -> None:
    kind, say, options = MANNERS[manner]
    with visit(browser, harbour.url, kind, **options) as visitor:
        journey = Journey.of(visitor, say, harbour)
        journey.sign_up()
        journey.confirm()
        journey.make_token()
        journey.push("app", "1.0")
