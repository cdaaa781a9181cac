"""What holds for every route of the site, whoever added it."""

from __future__ import annotations

import pytest

from index_service.web.request_context import is_site_path
from tests.units.index_service.reader import Page, Reader
from tests.units.index_service.site import IMAGES

VALUES = {
    "repository": "alice/app",
    "image_id": IMAGES[0],
    "name": "alice",
    "team": "crew",
    "tag": "latest",
    "link": "no-such-link",
    "anything": "x",
}

NO_PAGES = {"assets.static", "site_search.opensearch", "graph.repository_dot", "security.contact"}
"""What browsers ask for by themselves, and what people keep as a file."""

FIELDS = [
    "name",
    "email",
    "password",
    "current",
    "pattern",
    "access",
    "lifetime",
    "token",
    "session",
    "next",
    "text",
    "description",
    "readme",
    "confirm",
    "role",
    "person",
    "team",
    "tag",
    "image",
    "full_name",
    "about",
    "website",
    "language",
]


def alices(site):
    site.user("alice")
    site.user("root", admin=True)
    site.push("alice/app", "alice")


@pytest.fixture
def contents():
    return alices


@pytest.fixture
def harbour(site):
    return site


def routes(site, method):
    """Addresses of the site that take a method, by endpoint; what stands in them is made up where it is not known."""
    with site.app.test_request_context():
        adapter = site.app.create_url_adapter(None) or site.app.url_map.bind("localhost")
        for rule in site.app.url_map.iter_rules():
            if method in rule.methods and is_site_path(rule.rule) and rule.endpoint not in NO_PAGES:
                values = {argument: VALUES.get(argument, "1") for argument in rule.arguments}
                yield rule.endpoint, adapter.build(rule.endpoint, values, method=method)


@pytest.mark.parametrize("who", [None, "alice", "root"])
def test_every_page_answers_everybody_in_html(harbour, who):
    for _, path in routes(harbour, "GET"):
        reader = Reader(harbour, who)
        answer = reader.get(path)
        assert answer.status_code in (200, 303, 400, 403, 404), (path, answer.status_code)
        assert answer.mimetype == "text/html" or answer.status_code == 303, path
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"], path
        if answer.mimetype == "text/html" and answer.status_code == 200:
            expect_sound(Page(answer), path)


def expect_sound(page, path):
    """What no page may lack, or have."""
    assert len(page.all("h1")) == 1, path
    assert len(page.all("main")) == 1, path
    ids = [given["id"] for _, given in page.attributes if "id" in given]
    assert len(ids) == len(set(ids)), (path, ids)
    assert all("src" in given for given in page.all("script")), path
    assert not [given for _, given in page.attributes if "style" in given or any(key[:2] == "on" for key in given)], (
        path
    )
    for action, fields in page.forms.items():
        assert action == "/search" or "csrf" in fields or is_search(page, action), (path, action)


def is_search(page, action):
    """Whether the forms that go there ask and change nothing."""
    return all(given.get("method", "get") == "get" for given in page.all("form") if given["action"].startswith(action))


@pytest.mark.parametrize("who", [None, "alice", "root"])
def test_nothing_is_changed_without_the_forms_token(harbour, who):
    reader = Reader(harbour, who)
    for _, path in routes(harbour, "POST"):
        for headers, fields in (({}, {}), ({"Origin": "https://evil.example"}, {"csrf": csrf(reader)})):
            answer = reader.post(path, headers, **fields)
            assert answer.status_code == 403, path
            assert "reload the page" in Page(answer).text, path


def csrf(reader):
    return reader.open("/").forms["/language"]["csrf"]


@pytest.mark.parametrize("who", [None, "alice"])
def test_a_form_that_brings_nothing_else_is_answered_and_never_a_surprise(harbour, who):
    for _, path in routes(harbour, "POST"):
        reader = Reader(harbour, who)
        answer = reader.post(path, csrf=csrf(reader))
        assert answer.status_code in (200, 303, 400, 403, 404, 409, 422), (path, answer.status_code)
        reader.post(path, csrf=csrf(reader), **dict.fromkeys(FIELDS, "\x00\u202e<script>" * 50))
        assert reader.answer.status_code in (200, 303, 400, 403, 404, 409, 422, 429), (path, reader.answer.status_code)
