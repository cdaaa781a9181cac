"""HTTP both services speak: failures become a status and a JSON object of strings, never a page."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from common import distribution, errors, headers, http


class TornStream(io.RawIOBase):
    """A body whose client is gone."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        raise ConnectionResetError


FAILURES = [
    (errors.Invalid("bad"), 400),
    (errors.Unauthenticated("who"), 401),
    (errors.Forbidden("no"), 403),
    (errors.NotFound("none"), 404),
    (errors.Conflict("late"), 409),
    (errors.Unmet("first"), 412),
    (errors.TooLarge("big"), 413),
    (errors.TooMany("slow down", 7), 429),
    (errors.Unavailable("down"), 503),
    (errors.OutOfSpace("full"), 507),
]


class TagNotFound(errors.NotFound):
    """A room's own kind of failure."""


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("wharf", static_folder=None)
    http.install(app, standalone=False)

    @app.get("/v1/fail/<int:number>")
    def fail(number: int) -> Response:
        raise FAILURES[number][0]

    @app.get("/v1/own")
    def own() -> Response:
        raise TagNotFound("Tag not found")

    @app.get("/v1/surprise")
    def surprise() -> Response:
        raise ZeroDivisionError("secret detail")

    @app.put("/v1/json")
    def put_json() -> Response:
        return http.reply(http.read_json(request))

    @app.put("/v1/body")
    def put_body() -> Response:
        return http.reply(len(http.read_body(request, 10)))

    return app.test_client()


def error_of(answer: TestResponse) -> str:
    document = json.loads(answer.data)
    assert list(document) == ["error"]
    assert isinstance(document["error"], str)
    assert answer.content_type == "application/json"
    return str(document["error"])


@pytest.mark.parametrize("number", range(len(FAILURES)))
def test_each_kind_of_failure_has_its_status(client: FlaskClient, number: int) -> None:
    failure, status = FAILURES[number]
    answer = client.get(f"/v1/fail/{number}")
    assert (answer.status_code, error_of(answer)) == (status, failure.message)


def test_every_kind_has_a_status() -> None:
    # The rooms' own kinds, where other tests have imported them, take the status of the kind they belong to.
    kinds = {kind for kind in errors.Failure.__subclasses__() if kind.__module__ == errors.__name__}
    assert {type(failure) for failure, _ in FAILURES} == kinds == set(http.STATUSES)


def test_a_room_s_own_failure_has_the_status_of_its_kind(client: FlaskClient) -> None:
    answer = client.get("/v1/own")
    assert (answer.status_code, error_of(answer)) == (404, "Tag not found")


def test_who_is_not_known_is_challenged(client: FlaskClient) -> None:
    assert client.get("/v1/fail/1").headers["WWW-Authenticate"] == 'Basic realm="auth required",Token'


def test_who_asked_too_often_is_told_when_to_come_back(client: FlaskClient) -> None:
    assert client.get("/v1/fail/7").headers["Retry-After"] == "7"


def test_a_surprise_tells_only_where_to_look(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/v1/surprise", headers={headers.REQUEST_ID: "trip-0001"})
    assert answer.status_code == 500
    assert "trip-0001" in error_of(answer)
    assert "secret detail" not in answer.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/none", 404), ("GET", "/", 404), ("PUT", "/v1/own", 405)]
)
def test_routing_s_own_refusals_are_json_too(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert error_of(answer)
    assert status != 405 or "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("standalone", [True, False])
@pytest.mark.parametrize("path", ["/_ping", "/v1/_ping", "/v1/_ping/"])
def test_ping(standalone: bool, path: str) -> None:
    app = Flask("wharf", static_folder=None)
    http.install(app, standalone=standalone)
    answer = app.test_client().get(path)
    assert (answer.status_code, json.loads(answer.data)) == (200, True)
    assert answer.headers["X-Docker-Registry-Version"]
    assert answer.headers["X-Docker-Registry-Standalone"] == ("true" if standalone else "false")


FORMS = [
    (errors.Invalid("bad"), 400, "UNKNOWN"),
    (distribution.NameInvalid("bad"), 400, "NAME_INVALID"),
    (distribution.DigestInvalid("bad"), 400, "DIGEST_INVALID"),
    (errors.Unauthenticated("who"), 401, "UNAUTHORIZED"),
    (errors.Forbidden("no"), 403, "DENIED"),
    (errors.NotFound("none"), 404, "NAME_UNKNOWN"),
    (distribution.ManifestUnknown("none"), 404, "MANIFEST_UNKNOWN"),
    (distribution.BlobUnknown("none"), 404, "BLOB_UNKNOWN"),
    (errors.TooMany("slow down", 7), 429, "TOOMANYREQUESTS"),
    (errors.Unavailable("down"), 503, "UNAVAILABLE"),
    (errors.OutOfSpace("full"), 507, "UNAVAILABLE"),
    (ZeroDivisionError("secret detail"), 500, "UNKNOWN"),
]


@pytest.mark.parametrize(("error", "status", "code"), FORMS)
def test_failures_below_v2_have_its_form(error: Exception, status: int, code: str) -> None:
    answer = http.failed(error, {"REQUEST_METHOD": "GET", "PATH_INFO": "/v2/acme/app/tags/list"})
    (said,) = json.loads(answer.get_data())["errors"]
    assert (answer.status_code, said["code"]) == (status, code)
    assert said["message"]
    assert "secret detail" not in said["message"]
    assert "Docker-Distribution-Api-Version" not in answer.headers


@pytest.mark.parametrize(
    ("path", "key"), [("/v2", "errors"), ("/v2/x", "errors"), ("/v20", "error"), ("/v1/x", "error")]
)
def test_where_that_form_ends(client: FlaskClient, path: str, key: str) -> None:
    assert list(json.loads(client.get(path).data)) == [key]


def test_who_lacks_a_token_is_told_where_to_get_one() -> None:
    failure = distribution.TokenRequired('Bearer realm="https://hub.example/v2/token",service="hub.example"')
    answer = http.failed(failure, {"REQUEST_METHOD": "GET", "PATH_INFO": "/v2/"})
    assert answer.headers["WWW-Authenticate"] == failure.challenge


@pytest.mark.parametrize("given", ["abcd", "A-Za-z0-9._-", "x" * 64])
def test_a_request_keeps_the_id_it_came_with(client: FlaskClient, given: str) -> None:
    assert client.get("/_ping", headers={headers.REQUEST_ID: given}).headers[headers.REQUEST_ID] == given


@pytest.mark.parametrize("given", ["", "abc", "x" * 65, "a b c d", "a\tb\tc", "größe"])
def test_a_strange_id_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.get("/_ping", headers={headers.REQUEST_ID: given})
    assert answer.headers[headers.REQUEST_ID] not in ("", given)


def test_ids_differ(client: FlaskClient) -> None:
    assert len({client.get("/_ping").headers[headers.REQUEST_ID] for _ in range(50)}) == 50


@pytest.mark.parametrize("kind", ["application/json", "text/html", "application/x-www-form-urlencoded", ""])
def test_json_is_read_whatever_it_calls_itself(client: FlaskClient, kind: str) -> None:
    assert client.put("/v1/json", data=b'{"a": [1]}', content_type=kind).json == {"a": [1]}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"a=1"])
def test_what_is_no_json(client: FlaskClient, body: bytes) -> None:
    answer = client.put("/v1/json", data=body)
    assert (answer.status_code, error_of(answer)) == (400, "Error Decoding JSON")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_type(client: FlaskClient, status: int) -> None:
    client.application.add_url_rule("/v1/bare", "bare", lambda: Response(status=status))
    assert "Content-Type" not in client.get("/v1/bare").headers


def test_answers_end_without_a_newline(client: FlaskClient) -> None:
    assert client.put("/v1/json", data=b'"x"').data == b'"x"'


def test_a_body_up_to_the_limit(client: FlaskClient) -> None:
    assert client.put("/v1/body", data=b"x" * 10).json == 10
    answer = client.put("/v1/body", data=b"x" * 11)
    assert (answer.status_code, error_of(answer)) == (413, "Request body is larger than 10 bytes")


def chunks() -> Iterator[bytes]:
    yield from [b"x" * 6] * 3


def test_a_body_of_unknown_length_is_counted(client: FlaskClient) -> None:
    environ = {"wsgi.input_terminated": True}
    assert client.put("/v1/body", input_stream=io.BytesIO(b"x" * 4), environ_overrides=environ).json == 4
    answer = client.put("/v1/body", input_stream=io.BytesIO(b"".join(chunks())), environ_overrides=environ)
    assert answer.status_code == 413


def test_a_body_shorter_than_announced(client: FlaskClient) -> None:
    environ = {"CONTENT_LENGTH": "9", "wsgi.input_terminated": True}
    answer = client.put("/v1/body", input_stream=io.BytesIO(b"1234"), environ_overrides=environ)
    assert (answer.status_code, error_of(answer)) == (400, "Request body ended early")


def test_a_client_that_is_gone(client: FlaskClient) -> None:
    environ = {"CONTENT_LENGTH": "9", "wsgi.input": io.BufferedReader(TornStream()), "wsgi.input_terminated": True}
    answer = client.put("/v1/body", environ_overrides=environ)
    assert (answer.status_code, error_of(answer)) == (400, "Request body ended early")


@pytest.mark.parametrize(("text", "value"), [(None, 5), ("", 5), ("1", 1), ("25", 25), ("999999999", 999999999)])
def test_numbers_of_a_query(text: str | None, value: int) -> None:
    assert http.positive(text, 5) == value


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "²", "9" * 10])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(errors.Invalid, match="not a number"):
        http.positive(text, 5)
