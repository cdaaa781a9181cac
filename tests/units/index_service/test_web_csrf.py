"""Forms that are not ours, and addresses that lead elsewhere."""

from __future__ import annotations

import pytest

from tests.units.index_service.reader import Page, Reader


@pytest.fixture
def alice(site):
    site.user("alice")
    return Reader(site, "alice")


def token(reader):
    return reader.open("/sign-up" if reader.cookie("session") is None else "/account").forms["/language"]["csrf"]


FORMS = ["/sign-in", "/sign-out", "/sign-up", "/language", "/reset", "/prove", "/account/tokens", "/account/emails"]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("given", [{}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}])
def test_a_form_without_its_token_is_refused(alice, path, given):
    answer = alice.post(path, **given)
    assert answer.status_code == 403
    assert "reload the page" in Page(answer).text
    assert alice.open("/account").all("form", action="/sign-out")


def test_the_token_of_another_session_is_none(site, alice):
    site.user("bob")
    assert alice.post("/sign-out", csrf=token(Reader(site, "bob"))).status_code == 403
    assert alice.post("/sign-out", csrf=token(Reader(site))).status_code == 403
    assert alice.post("/sign-out", csrf=token(Reader(site, "alice"))).status_code == 403
    assert alice.post("/sign-out", csrf=token(alice)).status_code == 303


def test_before_signing_in_the_token_belongs_to_the_browser(site):
    one, other = Reader(site), Reader(site)
    assert token(one) != token(other)
    assert token(one) == token(one)
    assert one.post("/language", csrf=token(other), language="zh").status_code == 403


def test_the_browsers_name_cannot_be_made_up(site):
    reader = Reader(site)
    reader.client.set_cookie("wharfinger-visitor", "made-up")
    token(reader)
    assert reader.cookie("visitor") != "made-up"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_its_token(alice, headers):
    assert alice.post("/sign-out", headers, csrf=token(alice)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "https://images.example.com", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_form_from_here_is_taken(make_site, headers):
    site = make_site(site_url="https://images.example.com")
    site.user("alice")
    reader = Reader(site)
    page = Page(reader.client.get("/sign-in", base_url="https://localhost"))
    fields = {**page.forms["/sign-in"], "name": "alice", "password": "password-alice"}
    answer = reader.client.post("/sign-in", data=fields, headers=headers, base_url="https://localhost")
    assert (answer.status_code == 303) is (headers.get("Origin") != "http://localhost")
    if answer.status_code == 303:
        (cookie,) = [line for line in answer.headers.getlist("Set-Cookie") if "-session=" in line]
        assert cookie.startswith("__Host-wharfinger-session=")
        for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
            assert part in cookie
        assert "Domain" not in cookie


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("my_index:6100", "http://my_index:6100"),
        ("[::1]:6100", "http://[::1]:6100"),
        ("Index.example", "http://index.example"),
        ("index.example:80", "http://index.example"),
    ],
)
def test_a_form_is_taken_whatever_the_sites_host_is_called(site, host, origin):
    """By browsers that send an Origin and no Sec-Fetch-Site, before 2023."""
    reader = Reader(site)
    data = {"csrf": token(reader), "language": "zh"}
    headers = {"Host": host, "Cookie": f"wharfinger-visitor={reader.cookie('visitor')}"}
    client = site.app.test_client(use_cookies=False)
    assert client.post("/language", data=data, headers={**headers, "Origin": origin}).status_code == 303
    assert client.post("/language", data=data, headers={**headers, "Origin": f"{origin}1"}).status_code == 403
    assert client.post("/language", data=data, headers={**headers, "Host": "a b", "Origin": origin}).status_code == 403


def test_a_browsers_own_word_holds_where_a_proxy_hides_what_the_site_is_called(alice):
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://images.example.com"}
    assert alice.post("/sign-out", headers, csrf=token(alice)).status_code == 303


def test_a_form_that_is_too_large_is_a_page(alice):
    answer = alice.post("/account", csrf=token(alice), about="x" * (3 * 1024 * 1024))
    assert answer.status_code == 413
    assert answer.mimetype == "text/html"


ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/ok\r\nSet-Cookie: a=b",
    "///evil.example",
    "evil",
    "",
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_leads_to_another_site(site, path):
    site.user("alice")
    reader = Reader(site)
    form = reader.open("/sign-in").forms["/sign-in"]
    answer = reader.post("/sign-in", **{**form, "name": "alice", "password": "password-alice", "next": path})
    assert answer.status_code == 303
    assert answer.location == "/"


def test_signing_in_leads_on_to_where_one_wanted_to_be(site):
    site.user("alice")
    reader = Reader(site)
    assert reader.get("/account/tokens?a=b%26c").location == "/sign-in?next=/account/tokens?a%3Db%2526c"
    page = reader.open("/account/tokens?a=b%26c")
    reader.post("/sign-in", **{**page.forms["/sign-in"], "name": "alice", "password": "password-alice"})
    assert reader.answer.location == "/account/tokens?a=b%26c"


def test_the_json_of_a_page_never_leads_elsewhere_and_opens_no_window_for_a_password(site):
    answer = Reader(site).get("/api/v1/account")
    assert answer.status_code == 401
    assert answer.get_json() == {"error": "Requires authorization"}
    assert not answer.headers["WWW-Authenticate"].startswith("Basic")
