"""How the site answers, whatever the page: HTML and what it names as its JSON, failures, headers, assets, languages."""

from __future__ import annotations

import json
import re

import pytest

from tests.units.index_service.reader import Page, Reader


@pytest.fixture
def reader(site):
    return Reader(site)


def test_an_empty_index_says_so(reader):
    assert "No repositories yet" in reader.open("/").text


def test_a_page_names_the_resource_of_the_api_that_tells_the_same(reader):
    page = reader.open("/")
    (link,) = page.all("link", rel="alternate", type="application/json")
    assert page.links["This page as JSON"] == link["href"] == "/api/v1/explore"
    assert reader.get(link["href"]).get_json()["host"] in page.text
    assert reader.answer.content_type == "application/json"


def test_the_resource_is_asked_with_the_query_and_nothing_in_it_steers_addresses(reader):
    query = "_external=1&_scheme=javascript&endpoint=x&repository=y&q=a%26b&q=c"
    assert reader.alternate(f"/?{query}") == f"/api/v1/explore?{query}"
    assert reader.alternate(f"/search?{query}") == f"/api/v1/search?{query}"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/reset", "/nowhere", "/r/no/such", "/search?page=9"])
def test_a_form_alone_and_a_failure_name_no_resource(reader, path):
    assert reader.alternate(path) is None
    assert "This page as JSON" not in reader.open(path).text


def test_pages_carry_the_headers_that_keep_strangers_out(reader):
    headers = reader.get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Vary"] == "Cookie, Accept-Language"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/sign-up", "/reset", "/nowhere"])
def test_no_page_holds_a_script_or_a_style_of_its_own(reader, path):
    page = reader.open(path)
    assert all("src" in given for given in page.all("script"))
    assert not page.all("style")
    assert not [given for _, given in page.attributes if "style" in given or any(key[:2] == "on" for key in given)]


def test_a_page_that_did_not_change_is_not_sent_again(reader):
    reader.get("/sign-in")
    tag = reader.get("/sign-in").headers["ETag"]
    assert tag.startswith("W/")
    assert reader.get("/sign-in", **{"If-None-Match": tag}).status_code == 304


def test_what_is_missing_is_a_page_with_the_requests_id(reader):
    page = reader.open("/nowhere", **{"X-Request-Id": "seen-in-the-log"})
    assert reader.answer.status_code == 404
    assert "Page not found" in page.text
    assert "seen-in-the-log" in page.text


def test_what_takes_no_form_says_so_as_a_page(reader):
    reader.get("/")
    answer = reader.post("/", csrf=Page(reader.answer).forms["/language"]["csrf"])
    assert answer.status_code == 405
    assert answer.mimetype == "text/html"
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/v1/nowhere", "/v2/", "/v2/nowhere", "/api/nowhere", "/v1/users/"])
def test_clients_of_a_protocol_are_never_given_a_page(reader, path):
    answer = reader.get(path)
    assert answer.status_code in (401, 404)
    assert answer.mimetype == "application/json"
    assert set(json.loads(answer.data)) == {"errors" if path.startswith("/v2") else "error"}
    assert "Content-Security-Policy" not in answer.headers


def test_a_surprise_is_a_page_too_and_tells_nothing(site, reader):
    def fail():
        raise RuntimeError("the secret of it")

    site.app.add_url_rule("/surprise", "surprise", fail)
    page = reader.open("/surprise")
    assert reader.answer.status_code == 500
    assert "secret" not in page.text
    assert reader.answer.headers["X-Request-Id"] in page.text


def test_a_database_that_does_not_answer_is_a_page_for_who_is_signed_in(site):
    site.user("alice")
    reader = Reader(site, "alice")
    with site.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE sessions RENAME TO hidden")
    page = reader.open("/account")
    assert reader.answer.status_code in (500, 503)
    assert "Sign in" in page.text


def test_assets_are_kept_for_ever_under_the_address_that_names_their_content(reader):
    (style,) = [given["href"] for given in reader.open("/").all("link", rel="stylesheet")]
    assert re.fullmatch(r"/static/style\.css\?v=[0-9a-f]{16}", style)
    answer = reader.get(style)
    assert answer.mimetype == "text/css"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert reader.get(style.partition("?")[0]).headers["Cache-Control"] == "public, max-age=300"
    assert reader.get(style, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/static/nothing.css", "/static/..%2fassets.py", "/static/"])
def test_nothing_else_is_an_asset(reader, path):
    assert reader.get(path).status_code == 404


def test_the_language_is_the_browsers_until_one_is_chosen(reader):
    assert reader.open("/", **{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.1"}).all("html")[0]["lang"] == "zh-Hans"
    assert reader.open("/", **{"Accept-Language": "de,fr"}).all("html")[0]["lang"] == "en"
    page = reader.send("/language", "/sign-up", language="zh")
    assert page.all("html")[0]["lang"] == "zh-Hans"
    assert reader.answer.request.path == "/sign-up"
    assert reader.open("/", **{"Accept-Language": "en"}).all("html")[0]["lang"] == "zh-Hans"


def test_the_language_of_the_account_comes_along_to_every_browser(site):
    site.user("alice")
    Reader(site, "alice").send("/language", "/", language="zh")
    assert Reader(site, "alice").open("/").all("html")[0]["lang"] == "zh-Hans"


@pytest.mark.parametrize("language", ["", "xx", "../../etc", "zh-TW"])
def test_a_language_that_is_none_is_english(reader, language):
    assert reader.send("/language", "/", language=language).all("html")[0]["lang"] == "en"
