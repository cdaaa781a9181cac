"""`python -m tests.browser.screenshots`: the pictures of the README, taken of the demo; run it when pages change."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.test_pages import WEB, fill, newest_image, sign_in
from tests.browser.visitor import PHONE, launch, visit
from tests.servers.process import free_port
from tests.servers.services import ROOT, Service, running, start_index, start_registry

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
                for name in PICTURES:
                    _take(browser, index, name)
                browser.close()


def _take(browser: Any, index: Service, name: str) -> None:
    path, look, viewer = PICTURES[name]
    with visit(browser, index.url, **look) as visitor:
        if viewer:
            sign_in(visitor, viewer)
        visitor.open(path.format(image=newest_image(index)))
        visitor.page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
