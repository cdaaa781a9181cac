"""Somebody in front of a browser: a real Chromium, which asks for nothing but the site under test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, Request

from tests.servers.npm import install
from tests.servers.process import require

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

# Without these Chromium asks its maker's hosts for this and that.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_LOOK = "options => axe.run(document, options).then(told => told.violations)"
_OF_LIGHT = ("color-contrast", "link-in-text-block", "target-size")


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=require("chromium", "chromium"), args=_QUIET)


@contextmanager
def visit(browser: Browser, url: str, kind: type[Visitor] | None = None, **options: Any) -> Iterator[Visitor]:
    """A fresh profile at `url`; `options` are a browser context's. Whatever was wrong on the way fails at the end."""
    context = browser.new_context(base_url=url, **{"viewport": DESK, "locale": "en-GB", **options})
    context.set_default_timeout(10_000)
    visitor = (kind or Visitor)(context, url, has_script=options.get("java_script_enabled", True))
    try:
        yield visitor
        visitor.expect_no_complaints()
    finally:
        context.close()


class Visitor:
    """One page of one profile, and what went wrong there: failed scripts, what the policy forbade, foreign hosts."""

    def __init__(self, context: BrowserContext, url: str, *, has_script: bool) -> None:
        self.context = context
        self._has_script = has_script
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self._url = url
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("request", self._see)

    def open(self, path: str) -> Page:
        """Go there, as by typing the address."""
        self.page.goto(path)
        return self.page

    def fill(self, label: str, text: str) -> None:
        """Write into the field of this label, in place of what stands there."""
        self._field(label).fill(text)

    def choose(self, label: str) -> None:
        """Tick the box, or take the choice, of this label."""
        self._field(label).check()

    def select(self, label: str, value: str) -> None:
        """Of the list of this label."""
        self._field(label).select_option(value)

    def unfold(self, summary: str) -> None:
        """What is folded under this summary."""
        self.page.locator("main summary", has_text=summary).first.click()

    def press(self, name: str) -> None:
        """The button whose name begins so."""
        self._press(self.page.get_by_role("button", name=_beginning(name)).first)

    def follow(self, name: str) -> None:
        """The link of this name."""
        self._press(self.page.get_by_role("link", name=name, exact=True).first)

    def _field(self, label: str) -> Locator:
        """What is filled in, by how its label begins: some say behind it that they may stay empty."""
        return (
            self.page.locator("main").locator("input, textarea, select").and_(self.page.get_by_label(_beginning(label)))
        )

    def _press(self, target: Locator) -> None:
        target.click()

    def expect_accessible(self, rules: tuple[str, ...] = ()) -> None:
        """Fails with what axe finds against WCAG 2.2 A and AA, and its own best practices, or against these rules.

        Without scripts it cannot look; what it would look at then is the same page.
        """
        if not self._has_script:
            return
        # The policy of the site allows no script but its own; the browser lets a debugger past it.
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_axe())
        only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        found = self.page.evaluate(_LOOK, {"resultTypes": ["violations"], **only})
        told = [
            f"{one['id']}: {one['help']}\n    " + "\n    ".join(node["html"] for node in one["nodes"]) for one in found
        ]
        assert not told, f"{self.page.url}\n" + "\n".join(told)

    def expect_no_overflow(self) -> None:
        """Nothing makes the page wider than the screen."""
        wide, shown = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= shown, f"{self.page.url} is {wide} wide on a screen of {shown}"

    def expect_sound(self) -> None:
        """Accessible, and no wider than the screen."""
        self.expect_accessible()
        self.expect_no_overflow()

    def expect_sound_in(self, light: dict[str, Any]) -> None:
        """Of a page that is sound in another light: no rule but those of colours and sizes depends on it."""
        self.page.emulate_media(**light)
        self.expect_accessible(_OF_LIGHT)
        self.expect_no_overflow()

    def expect_no_complaints(self) -> None:
        assert not self.complaints, "\n".join(self.complaints)

    def _hear(self, kind: str, text: str) -> None:
        # An answer that is an error by design is told as one, too.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(f"{self.page.url}: {text}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self._url, "data:", "blob:")):
            self.complaints.append(f"{self.page.url} asks for {request.url}")


class Typist(Visitor):
    """A visitor who has a keyboard and nothing else: whatever is used has to be reached by the Tab key."""

    most_steps = 300

    def fill(self, label: str, text: str) -> None:
        self._reach(self._field(label))
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, label: str) -> None:
        target = self._field(label)
        if target.is_checked():
            return
        if target.get_attribute("type") == "radio":
            # Tab reaches the chosen one of a group; arrows go on from there.
            group = target.get_attribute("name")
            self._reach(self.page.locator(f"input[type=radio][name='{group}']:checked"))
            while not target.is_checked():
                self.page.keyboard.press("ArrowDown")
        else:
            self._reach(target)
            self.page.keyboard.press("Space")

    def unfold(self, summary: str) -> None:
        self._reach(self.page.locator("main summary", has_text=summary).first)
        self.page.keyboard.press("Enter")

    def select(self, label: str, value: str) -> None:
        target = self._field(label)
        self._reach(target)
        self.page.keyboard.type(value)
        assert target.input_value() == value

    def _press(self, target: Locator) -> None:
        self._reach(target)
        with self.page.expect_event("framenavigated"):
            self.page.keyboard.press("Enter")
        self.page.wait_for_load_state()

    def _reach(self, target: Locator) -> None:
        for _ in range(self.most_steps):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{self.page.url}: no Tab leads to {target}")


def _beginning(name: str) -> re.Pattern[str]:
    return re.compile(rf"^\s*{re.escape(name)}")


@cache
def _axe() -> str:
    modules = install(Path(__file__).with_name("npm"))
    return (modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8") + ";" + json.dumps("loaded")
