"""`python -m tests.browser.screenshots`: the pictures of the README, taken of the demo; run it when pages change.

With a folder, `python -m tests.browser.screenshots FOLDER`: every page, in the light and in the dark, to be looked at.
"""

from __future__ import annotations

import re
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.browser.test_pages import VIEWERS, WEB, fill, newest_image, sign_in
from tests.browser.test_surprise import spoil
from tests.browser.visitor import PHONE, launch, visit
from tests.servers.process import free_port
from tests.servers.services import ROOT, Service, running, start_index, start_registry

SPOILT = "bo"
"""Whose page breaks when all others have been taken."""

FOLDER = ROOT / "docs" / "images"
WIDE = {"viewport": {"width": 1200, "height": 860}}
DARK = {**WIDE, "color_scheme": "dark"}

PICTURES: dict[str, tuple[str, dict[str, Any], str]] = {
    "explore": ("/", WIDE, ""),
    "repository": (WEB, DARK, "ada"),
    "tags": (f"{WEB}/@tags", WIDE, "ada"),
    "image": ("/i/{image}", WIDE, ""),
    "layers": (f"{WEB}/@graph", {"viewport": {"width": 1200, "height": 1500}}, ""),
    "graph": ("/graph", DARK, ""),
    "phone": ("/r/chen/tea", {"viewport": PHONE, "locale": "zh-CN"}, ""),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        index_port, registry_port = free_port(), free_port()
        registry = start_registry(Path(folder) / "registry", f"http://127.0.0.1:{index_port}", registry_port)
        with running(registry):
            # The pictures show a host that one would have.
            index = start_index(
                Path(folder), [f"127.0.0.1:{registry_port}"], index_port, site_url="https://docker.example.com"
            )
            with running(index):
                fill(index)
                browser = launch(playwright)
                if sys.argv[1:]:
                    _take_all(browser, index, Path(sys.argv[1]))
                for name in PICTURES if not sys.argv[1:] else ():
                    _take(browser, index, name)
                browser.close()


def _take(browser: Browser, index: Service, name: str) -> None:
    path, look, viewer = PICTURES[name]
    with visit(browser, index.url, **look) as visitor:
        if viewer:
            sign_in(visitor, viewer)
        visitor.open(path.format(image=newest_image(index)))
        visitor.page.screenshot(path=FOLDER / f"{name}.png")


def _take_all(browser: Browser, index: Service, folder: Path) -> None:
    image = newest_image(index)
    for look, (viewer, paths) in product(("light", "dark"), VIEWERS.items()):
        with visit(browser, index.url, color_scheme=look) as visitor:
            if viewer:
                sign_in(visitor, viewer)
            for path in paths:
                visitor.open(path.format(image=image))
                name = re.sub(r"\W+", "-", path).strip("-") or "explore"
                visitor.page.screenshot(path=folder / look / f"{viewer or 'anybody'}-{name}.png", full_page=True)
    spoil(index, SPOILT)
    for look in ("light", "dark"):
        with visit(browser, index.url, color_scheme=look) as visitor:
            visitor.open(f"/u/{SPOILT}").screenshot(path=folder / look / "anybody-surprise.png", full_page=True)


if __name__ == "__main__":
    main()
