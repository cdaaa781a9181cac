"""What browsers are told about responses and cookies of the registry, and what no path may bring about."""

from __future__ import annotations

from wsgiref.types import WSGIEnvironment

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from registry_service.api.fast_reads import PARTS
from registry_service.api.request_context import GRANT_COOKIE, cookie_header
from registry_service.app import create_app
from registry_service.settings import RegistrySettings
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.units.registry_service.test_delivery import IMAGE, push

HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def app() -> Flask:
    app = create_app(RegistrySettings(standalone=True, trusted_proxies=1), Guard(Memory()))
    push(app.test_client())
    return app


@pytest.mark.parametrize(
    "line",
    [
        *(
            "GET /",
            "GET /v1/_ping",
            "GET /v2/",
            "GET /v1/users",
            "PUT /v1/users/a",
            "GET /v1/nowhere",
            "POST /v1/_ping",
        ),
        *(f"GET /v1/images/{IMAGE}/{part}" for part in PARTS),
        *(f"GET /v1/images/{'b' * 64}/{part}" for part in PARTS),
        *(f"DELETE /v1/images/{IMAGE}/json", f"HEAD /v1/images/{IMAGE}/layer", "PUT /v1/repositories/a/b/"),
    ],
)
def test_no_response_is_sniffed(app: Flask, line: str) -> None:
    method, path = line.split()
    answer = app.test_client().open(path, method=method, data=b"[]" if method == "PUT" else None)
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]


def test_the_push_cookie(app: Flask) -> None:
    for headers, secure in (({}, set()), (HTTPS, {"Secure"})):
        answer = app.test_client().put("/v1/repositories/acme/app/", data="[]", headers=headers)
        (line,) = answer.headers.getlist("Set-Cookie")
        assert line.startswith("push=")
        assert set(line.split("; ")[1:]) == {"Path=/v1/", "HttpOnly", "SameSite=Strict"} | secure


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_grant_cookie(scheme: str) -> None:
    name, line = cookie_header({"wsgi.url_scheme": scheme}, GRANT_COOKIE, "abc")
    assert (name, line.partition(";")[0]) == ("Set-Cookie", "grant=abc")
    assert line.endswith("; Secure") is (scheme == "https")


def asked(path: str) -> WSGIEnvironment:
    """As gunicorn passes a path on; werkzeug's builder would take `//` for the beginning of a host."""
    return {**EnvironBuilder().get_environ(), "PATH_INFO": path, "RAW_URI": path}


@pytest.mark.parametrize("prefix", ["", "/", "//"])
def test_an_unknown_image_is_not_found_however_many_slashes_lead_to_it(app: Flask, prefix: str) -> None:
    for part in PARTS:
        body, status, _ = run_wsgi_app(app, asked(f"{prefix}/v1/images/{'b' * 64}/{part}"))
        assert (status, b"".join(body)) == ("404 NOT FOUND", b'{"error": "Image not found"}')


def test_every_rule_has_a_view(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} <= app.view_functions.keys()
