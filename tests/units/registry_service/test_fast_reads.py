"""The door before Flask: what it answers, what it leaves to Flask, and that a client cannot tell where it stands."""

from __future__ import annotations

import hashlib
import json

import pytest
from flask import Response
from werkzeug.test import Client

from common.names import ImageId
from registry_service.app import create_app
from registry_service.settings import RegistrySettings
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory

IMAGE = ImageId("c" * 64)
LAYER = bytes(range(256)) * 4
DOCUMENT = json.dumps({"id": IMAGE}).encode()
PARTS = ["json", "ancestry", "layer", "files", "diff"]


class Unwell(Memory):
    """A store with a defect of its own."""

    is_unwell = False

    def get(self, path):
        if self.is_unwell:
            raise ZeroDivisionError("secret detail")
        return super().get(path)


@pytest.fixture
def driver():
    return Unwell()


@pytest.fixture
def client(driver):
    return create_app(RegistrySettings(standalone=True), Guard(driver)).test_client()


@pytest.fixture
def filled(client):
    payload = hashlib.sha256(DOCUMENT + b"\n" + LAYER).hexdigest()
    assert client.put(f"/v1/images/{IMAGE}/json", data=DOCUMENT).status_code == 200
    assert client.put(f"/v1/images/{IMAGE}/layer", data=LAYER).status_code == 200
    sealed = client.put(f"/v1/images/{IMAGE}/checksum", headers={"X-Docker-Checksum-Payload": f"sha256:{payload}"})
    assert sealed.status_code == 200
    return client


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    ("part", "body"), [("json", DOCUMENT), ("ancestry", f'["{IMAGE}"]'.encode()), ("layer", LAYER)]
)
def test_what_is_read(filled, part, body, end):
    answer = filled.get(f"/v1/images/{IMAGE}/{part}{end}", headers={"X-Request-Id": "trip-0002"})
    assert (answer.status_code, answer.data) == (200, body)
    assert answer.headers["Content-Length"] == str(len(body))
    assert answer.headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000"
    assert answer.headers["X-Request-Id"] == "trip-0002"


def test_what_json_says_of_the_layer(filled):
    answer = filled.get(f"/v1/images/{IMAGE}/json")
    payload = hashlib.sha256(DOCUMENT + b"\n" + LAYER).hexdigest()
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Docker-Size"] == str(len(LAYER))
    assert answer.headers.getlist("X-Docker-Checksum-Payload") == [f"sha256:{payload}"]


@pytest.mark.parametrize("part", ["json", "ancestry", "layer"])
def test_a_head_has_the_headers_of_its_get_and_no_body(filled, part):
    whole, head = (filled.open(f"/v1/images/{IMAGE}/{part}", method=method) for method in ("GET", "HEAD"))
    assert (head.status_code, head.data) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("part", ["json", "ancestry", "layer"])
def test_who_has_it_already_is_told_so(filled, part):
    path = f"/v1/images/{IMAGE}/{part}"
    etag = filled.get(path).headers["ETag"]
    for condition in ({"If-None-Match": etag}, {"If-Modified-Since": "Mon, 02 Mar 2015 10:00:00 GMT"}):
        answer = filled.get(path, headers=condition)
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
        assert "Content-Type" not in answer.headers
    assert filled.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("part", PARTS)
def test_failures_are_what_flask_would_make_of_them(filled, driver, part):
    for absent in ("d" * 64, "no-id", "%C3%A4"):
        answer = filled.get(f"/v1/images/{absent}/{part}", headers={"X-Request-Id": "trip-0003"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")
        assert (list(answer.json), answer.headers["X-Request-Id"]) == (["error"], "trip-0003")


def test_a_surprise_tells_only_where_to_look(filled, driver, caplog):
    driver.is_unwell = True
    answer = filled.get(f"/v1/images/{'d' * 64}/json", headers={"X-Request-Id": "trip-0004"})
    assert answer.status_code == 404
    driver.put(f"images/{'d' * 64}/json", b"{}")
    answer = filled.get(f"/v1/images/{'d' * 64}/json", headers={"X-Request-Id": "trip-0004"})
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (500, "trip-0004")
    assert "trip-0004" in answer.json["error"]
    assert "secret detail" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_other_methods_are_told_of_these(filled):
    for part in PARTS:
        answer = filled.post(f"/v1/images/{IMAGE}/{part}")
        assert answer.status_code == 405
        assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "path", [f"images/{IMAGE}", f"images/{IMAGE}/json/x", f"images/a/{IMAGE}/json", "images//json"]
)
def test_whatever_is_no_image_goes_on(filled, path):
    answer = filled.get(f"/v1/{path}")
    assert (answer.status_code, answer.json) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("path", [f"/v1/images/{IMAGE}/json", "/v1/repositories/acme/app/tags"])
def test_a_cookie_that_is_no_text_is_no_grant(filled, path):
    raw = filled.open(path, environ_overrides={"HTTP_COOKIE": "grant=\xff\xfe; push=\xff"})
    assert raw.status_code == filled.get(path).status_code


@pytest.mark.parametrize("part", PARTS)
def test_flask_answers_the_route_as_the_fast_path_does(filled, part):
    """The routes that it has for the sake of other methods are real ones."""
    path = f"/v1/images/{IMAGE}/{part}"
    fast, behind = filled.get(path), Client(filled.application.wsgi_app._behind, Response).get(path)
    said = [{name: value for name, value in each.headers if name != "X-Request-Id"} for each in (fast, behind)]
    assert (behind.status_code, behind.data, said[1]) == (fast.status_code, fast.data, said[0])
