"""Every page of the site, filled by the demo: sound in the light, in the dark and on a phone, whoever looks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Locator
from werkzeug.exceptions import NotFound

from deploy.demo import content
from index_service.app import create_app
from index_service.settings import IndexSettings
from index_service.web.request_context import is_site_path
from tests.browser import test_office
from tests.browser.visitor import PHONE, Visitor, visit
from tests.clients.wire import call
from tests.servers.process import free_port
from tests.servers.services import ROOT, Service, running, start_index, start_registry

WEB, API = "/r/north-quay/web", "/api/v1/repositories/north-quay/web"
NO_PAGES = {"assets.static", "site_search.opensearch", "graph.repository_dot", "security.contact"}
EVERYBODYS = [
    "/", "/search", "/search?q=web", "/search?q={image}", "/search?q=nothing+like+this", "/graph", "/graph?q=web",
    "/graph?q=nothing+like+this", "/sign-in", "/sign-up", "/reset", "/confirm/none", "/reset/none",
    "/r/slip/@comments/1",
    WEB, "/r/slip", "/r/chen/tea", f"{WEB}/@tags", f"{WEB}/@graph", f"{WEB}/@comments", f"{WEB}/@activity",
    "/i/{image}", "/i/{image}/graph", "/u/north-quay", "/u/ada", "/u/ada/@starred", "/u/ada/@activity",
    "/nowhere", "/search?page=0", "/r/ada/secret-chart",
]  # fmt: skip
MEMBERS = [
    "/", WEB, f"{WEB}/@tags", f"{WEB}/@comments", f"{WEB}/@settings", f"{WEB}/@settings/access",
    f"{WEB}/@settings/transfer", f"{WEB}/@settings/delete", f"{WEB}/@tags/delete?tag=1.0", "/r/ada/secret-chart",
    "/organisations/new", "/u/north-quay", "/u/north-quay/@settings", "/u/north-quay/@members", "/u/north-quay/@teams",
    "/u/north-quay/@teams/pilots",
    "/account", "/account/password", "/account/emails", "/account/sessions", "/account/tokens", "/prove",
    "/u/ada/@access", "/admin", f"{WEB}/@comments/2/delete",
]  # fmt: skip
ADMINISTRATORS = [
    "/admin", "/admin/people", "/admin/registries", "/admin/storage", "/admin/audit", "/admin/comments",
    "/admin/people/ada", "/admin/people/ada/end?kind=all", "/admin/quotas?namespace=ada", "/admin/quotas/north-quay",
]  # fmt: skip
VIEWERS = {"": EVERYBODYS, "ada": MEMBERS, content.ADMIN: ADMINISTRATORS}
"""Who looks at what; nobody is somebody, too."""

DAYLIGHT: dict[str, Any] = {"color_scheme": "light", "contrast": "no-preference", "reduced_motion": "no-preference"}
DARK: dict[str, Any] = {**DAYLIGHT, "color_scheme": "dark", "reduced_motion": "reduce"}
CONTRAST: dict[str, Any] = {**DAYLIGHT, "contrast": "more", "reduced_motion": "reduce"}
"""In motion a colour would be on its way from one light to the next."""

SCREENS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "desk": ({}, [DARK, CONTRAST]),
    "phone": ({"viewport": PHONE, "has_touch": True}, []),
}
"""On what pages are looked at, and in which lights but that of the day."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An index that `make demo` has filled, a second time for good measure."""
    folder: Path = tmp_path_factory.mktemp("demo")
    index_port, registry_port = free_port(), free_port()
    registry = start_registry(folder / "registry", f"http://127.0.0.1:{index_port}", registry_port)
    with running(registry):
        index = start_index(folder, [f"127.0.0.1:{registry_port}"], index_port)
        with running(index):
            for _ in range(2):
                fill(index)
            yield index


def test_no_page_is_left_out(tmp_path: Path) -> None:
    site = create_app(IndexSettings(secret_keys=("k" * 32,), database_url=f"sqlite:///{tmp_path}/index.db"))
    looked_at = [*EVERYBODYS, *MEMBERS, *ADMINISTRATORS, *test_office.pages("north-quay", "north-quay/web")]
    found = {named(site, path.format(image="0" * 64).partition("?")[0]) for path in looked_at}
    rules = [rule for rule in site.url_map.iter_rules() if is_site_path(rule.rule) and "GET" in (rule.methods or ())]
    assert {rule.endpoint for rule in rules} - found == NO_PAGES


def named(site: Flask, path: str) -> str:
    """The endpoint of a path; nothing where there is none."""
    try:
        return site.url_map.bind("localhost").match(path)[0]
    except NotFound:
        return ""


def fill(index: Service) -> None:
    command = [sys.executable, "-m", "deploy.demo", index.url]
    done = subprocess.run(command, cwd=ROOT, env=index.process.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def newest_image(index: Service) -> str:
    """Of `web`; the index learns of it a moment after the push."""
    rows = json.loads(call(index.target, f"GET {API}/@tags").body)["items"]
    found: str = rows[0]["image_id"]
    return found


def sign_in(visitor: Visitor, name: str) -> None:
    visitor.open("/sign-in")
    visitor.fill("Username", name)
    visitor.fill("Password", content.PASSWORD)
    visitor.press("Sign in")
    visitor.page.get_by_text(name).first.wait_for()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize(("viewer", "paths"), VIEWERS.items(), ids=["", "ada", "admin"])
def test_every_page_is_sound(browser: Browser, demo: Service, screen: str, viewer: str, paths: list[str]) -> None:
    image = newest_image(demo)
    options, lights = SCREENS[screen]
    with visit(browser, demo.url, **options) as visitor:
        if viewer:
            sign_in(visitor, viewer)
        for path in paths:
            visitor.page.emulate_media(**DAYLIGHT)
            visitor.open(path.format(image=image))
            visitor.expect_sound()
            for light in lights:
                visitor.expect_sound_in(light)


def test_a_long_name_stays_beside_the_wordmark_on_a_phone(browser: Browser, demo: Service) -> None:
    with visit(browser, demo.url, viewport=PHONE) as visitor:
        sign_in(visitor, content.ADMIN)
        name, wordmark = visitor.page.locator(".menu-name"), visitor.page.locator(".wordmark")
        assert top(wordmark) <= top(name) <= top(wordmark) + 20
        visitor.expect_no_overflow()


def test_every_tab_is_in_sight_on_a_phone(browser: Browser, demo: Service) -> None:
    with visit(browser, demo.url, viewport=PHONE) as visitor:
        sign_in(visitor, "ada")
        for path in (f"{WEB}/@settings", "/u/north-quay/@settings"):
            places = [tab.bounding_box() for tab in visitor.open(path).locator(".tabs a").all()]
            assert len(places) == 6
            assert all(place and place["x"] + place["width"] <= PHONE["width"] for place in places)


def top(place: Locator) -> float:
    """How far from the top of the page it begins."""
    box = place.bounding_box()
    assert box is not None
    return box["y"]


def test_a_private_repository_is_there_for_its_owner_alone(browser: Browser, demo: Service) -> None:
    with visit(browser, demo.url) as visitor:
        for viewer, status in (("", 404), ("bo", 404), ("ada", 200)):
            visitor.context.clear_cookies()
            if viewer:
                sign_in(visitor, viewer)
            answer = visitor.page.goto("/r/ada/secret-chart")
            assert answer is not None
            assert answer.status == status


def test_a_team_looks_after_a_repository(browser: Browser, demo: Service) -> None:
    with visit(browser, demo.url) as visitor:
        sign_in(visitor, *content.TEAM_MEMBERS)
        visitor.open(f"/u/{content.ORGANISATION}/@teams/{content.TEAM}").get_by_text(content.TEAM_IS_FOR).wait_for()
        visitor.open(f"{WEB}/@settings/access").locator("main").get_by_text(content.TEAM).first.wait_for()


def test_a_second_filling_changes_nothing(demo: Service) -> None:
    found = json.loads(call(demo.target, f"GET {API}/@comments").body)
    texts = [comment["body"] for comment in found["items"]]
    assert sorted(texts) == sorted(
        comment.text for one in content.repositories() if one.name == "north-quay/web" for comment in one.comments
    )
