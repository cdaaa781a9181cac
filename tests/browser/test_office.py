"""Pages of organisations, of a repository's settings and of the harbour office, for everybody's eyes and fingers."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.visitor import PHONE, Visitor, visit
from tests.clients.docker_v1 import Daemon
from tests.clients.generations import V1_6
from tests.clients.images import make_chain
from tests.servers.services import ADMIN, Service

MANNERS: dict[str, dict[str, Any]] = {
    "desk": {},
    "dark phone": {"viewport": PHONE, "has_touch": True, "color_scheme": "dark"},
    "chinese": {"locale": "zh-CN"},
}


def pages(organisation: str, repository: str) -> list[str]:
    names = [f"/u/{organisation}{part}" for part in ("", "/@members", "/@teams", "/@teams/crew", "/@settings")]
    names += [f"/u/{ADMIN.name}/@{part}" for part in ("starred", "activity", "access")]
    settings = [f"/r/{repository}/@settings{part}" for part in ("", "/access", "/transfer", "/delete")]
    office = [f"/admin{part}" for part in ("", "/people", "/registries", "/storage", "/audit", "/audit?subject=none")]
    return ["/organisations/new", f"/u/{organisation}/@access", *names, *settings, *office]


@pytest.fixture(scope="module")
def fleet(browser: Browser, harbour: Service) -> tuple[str, str]:
    """An organisation with a team and a repository, made by its pages."""
    name = f"o{secrets.token_hex(4)}"
    with visit(browser, harbour.url) as visitor:
        sign_in(visitor)
        send(visitor, "/organisations/new", "Create organisation", Name=name)
        send(visitor, f"/u/{name}/@teams", "Create team", Name="crew")
        send(visitor, f"/u/{name}/@teams/crew", "Add", Person=ADMIN.name)
        send(visitor, f"/u/{name}/@access", "Grant access", **{"Person or team": "@crew"})
    Daemon(V1_6, harbour.target, ADMIN.name, ADMIN.password).push(f"{name}/app", make_chain(2), "latest")
    return name, f"{name}/app"


def sign_in(visitor: Visitor) -> None:
    page = visitor.open("/sign-in")
    page.fill("#field-name", ADMIN.name)
    page.fill("#field-password", ADMIN.password)
    page.click("main button[type=submit]")
    page.wait_for_url("**/")


def send(visitor: Visitor, path: str, button: str, **fields: str) -> None:
    page = visitor.open(path)
    for label, text in fields.items():
        page.locator("main").get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("status").get_by_text(".").first.wait_for()


@pytest.mark.parametrize("manner", MANNERS)
def test_every_page_can_be_used_by_everybody(
    browser: Browser, harbour: Service, fleet: tuple[str, str], manner: str
) -> None:
    with visit(browser, harbour.url, **MANNERS[manner]) as visitor:
        sign_in(visitor)
        for path in pages(*fleet):
            visitor.open(path)
            visitor.expect_sound()
