"""What scripts add to pages that are complete without them: copying a command, hiding rows, a larger drawing."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Browser

from tests.browser.test_office import sign_in
from tests.browser.visitor import Visitor, visit
from tests.clients.docker_v1 import Daemon
from tests.clients.generations import V1_6
from tests.clients.images import make_chain
from tests.servers.services import ADMIN, Service

CLIPBOARD = ["clipboard-read", "clipboard-write"]
TAGS = [f"{number}.0" for number in range(6)]
FIELD = "Filter rows"


@pytest.fixture(scope="module")
def repository(harbour: Service) -> str:
    """One with a tag on each of six images; returns its page."""
    name = f"{ADMIN.name}/scripted-{secrets.token_hex(4)}"
    for tag in TAGS:
        Daemon(V1_6, harbour.target, ADMIN.name, ADMIN.password).push(name, make_chain(1), tag)
    return f"/r/{name}"


def shown(visitor: Visitor) -> list[str]:
    """The tags in sight."""
    return [row.inner_text().strip() for row in visitor.page.locator("tbody tr:visible .tag").all()]


def test_a_command_is_copied(browser: Browser, harbour: Service, repository: str) -> None:
    with visit(browser, harbour.url, permissions=CLIPBOARD) as visitor:
        page = visitor.open(repository)
        command = page.locator("[data-copy] code").first.inner_text()
        page.get_by_role("button", name="Copy").first.click()
        page.get_by_role("status").get_by_text("Copied").wait_for(state="attached")
        assert page.evaluate("navigator.clipboard.readText()") == command
        assert command.startswith("docker pull")


def test_rows_without_the_words_are_hidden_but_never_what_is_ticked(
    browser: Browser, harbour: Service, repository: str
) -> None:
    with visit(browser, harbour.url) as visitor:
        sign_in(visitor)
        page = visitor.open(f"{repository}/@tags")
        assert sorted(shown(visitor)) == TAGS
        visitor.fill(FIELD, "3.0")
        assert shown(visitor) == ["3.0"]
        page.get_by_role("status").get_by_text("1 of 6 rows shown").wait_for(state="attached")
        visitor.expect_accessible()
        visitor.choose("3.0")
        visitor.fill(FIELD, "4.0 ")
        assert shown(visitor) == ["4.0", "3.0"]
        visitor.fill(FIELD, "no such words")
        assert shown(visitor) == ["3.0"]
        visitor.fill(FIELD, "")
        assert sorted(shown(visitor)) == TAGS


def test_a_drawing_grows_and_shrinks(browser: Browser, harbour: Service, repository: str) -> None:
    with visit(browser, harbour.url) as visitor:
        page = visitor.open(f"{repository}/@graph")
        page.locator("svg.chart").wait_for()
        widths = [page.locator("svg.chart").bounding_box()]
        for name in ("Larger", "Smaller", "Smaller"):
            page.get_by_role("button", name=name).click()
            widths.append(page.locator("svg.chart").bounding_box())
        first, larger, same, smaller = (box["width"] for box in widths if box)
        assert smaller < first < larger
        assert abs(same - first) < 2


def test_without_a_script_there_is_none_of_it(browser: Browser, harbour: Service, repository: str) -> None:
    with visit(browser, harbour.url, java_script_enabled=False) as visitor:
        visitor.open(f"{repository}/@tags")
        assert visitor.page.get_by_label(FIELD).count() == 0
        assert sorted(shown(visitor)) == TAGS
        visitor.open(repository)
        assert visitor.page.get_by_role("button", name="Copy").count() == 0
