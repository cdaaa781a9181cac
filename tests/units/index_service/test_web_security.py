"""What a site says of its security: to browsers, and to those who find a hole in it."""

from __future__ import annotations

import pytest

from index_service.web.views.security import VALID

PATHS = ["/", "/nowhere", "/v1/_ping", "/v1/nowhere", "/api/v1/explore", "/static/style.css", "/v2/"]

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("site_url", "expected"), [("https://images.example.com", "max-age=31536000"), ("http://images.example.com", None)]
)
def test_a_site_with_https_is_reached_in_no_other_way(make_site, site_url, expected):
    client = make_site(site_url=site_url).app.test_client()
    for path in PATHS:
        assert client.get(path).headers.get("Strict-Transport-Security") == expected, path


def test_no_response_is_sniffed(site):
    for path in PATHS:
        answer = site.app.test_client().get(path)
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"], path


def test_every_rule_has_a_view(site):
    assert {rule.endpoint for rule in site.app.url_map.iter_rules()} <= site.app.view_functions.keys()


def test_more_slashes_lead_nowhere_else(site):
    client = site.app.test_client()
    for path in (f"/v1/images/{'b' * 64}/json", "/v1/nowhere", "/nowhere", "/r/no/such"):
        for prefix in ("", "/", "///"):
            answer = client.get("/", environ_overrides={"PATH_INFO": prefix + path, "RAW_URI": prefix + path})
            assert answer.status_code == 404, (prefix, path)


def test_a_contact_is_named_if_there_is_one(make_site):
    site = make_site(security_contact="mailto:security@example.com", site_url="https://images.example.com")
    answer = site.app.test_client().get("/.well-known/security.txt")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields["Contact"] == "mailto:security@example.com"
    assert fields["Canonical"] == "https://images.example.com/.well-known/security.txt"
    assert fields["Expires"] == f"{site.clock() + VALID:%Y-%m-%dT%H:%M:%SZ}"
    assert make_site().app.test_client().get("/.well-known/security.txt").status_code == 404
