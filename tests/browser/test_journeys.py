"""The same journey by mouse, by keyboard alone, without scripts, on a phone, in Chinese and in the dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.journey import Journey
from tests.browser.texts import Say, chinese, english
from tests.browser.visitor import PHONE, Typist, Visitor, visit
from tests.clients.images import make_chain
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
        chain = journey.push("app", "1.0")
        journey.push("app", "2.0", make_chain(2))
        journey.describe("app", "Counts gulls", "# Gulls\n\nRun it **before** sunrise.")
        journey.find(f"gulls {journey.name}", "app")
        journey.expect("sunrise")
        journey.star()
        journey.comment("app", "It counted mine, too.")
        journey.comment("app", "Do not use: it miscounts terns.", tag="1.0")
        journey.look("app", "tags", "1.0", "2.0", "Do not use: it miscounts terns.")
        journey.look("app", "graph", "1.0", "2.0")
        journey.look("app", "activity", journey.name)
        journey.look_at_image(chain[-1].id, "app")
        journey.delete("app")
