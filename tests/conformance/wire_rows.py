"""The rows of the v1 wire contract, §0 to §3 of the protocol: request → status, headers, body.

In a request `<name>` is filled in from the values of the run (`wire.Run`), and a body `@name` is that of an image.
Rows run from top to bottom: later ones build on what earlier ones pushed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.clients.wire import Answer


class Filled(Protocol):
    """What a matcher may ask of the run: values filled in, and bytes of its images."""

    values: dict[str, str]

    def fill(self, text: str) -> str: ...

    def bytes_of(self, name: str) -> bytes: ...


Matcher = Callable[[Filled, Answer], bool]


@dataclass(frozen=True)
class Row:
    """One row; `headers` are regular expressions for the whole value, None for a header that must not be there."""

    rule: str
    says: str
    ask: str
    status: int | tuple[int, ...]
    send: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    chunked: bool = False
    headers: dict[str, str | None] = field(default_factory=dict)
    answer: Matcher | None = None
    keep: dict[str, str] = field(default_factory=dict)
    """Values for later rows, by the response header they come from."""
    at: str = "registry"
    only: str = ""
    """`index` or `standalone`: set-ups this row is for; `library`: where the account may push there."""
    access: str = "write"


TOKEN_HEADERS = {
    "X-Docker-Token": r'(Token )?signature=[^",\s]+, ?repository="<full>", ?access=<access>',
    "X-Docker-Endpoints": r"[^/\s,]+(, ?[^/\s,]+)*",
    "WWW-Authenticate": r'Token signature=[^",\s]+, ?repository="<full>", ?access=<access>',
}
JSON_TYPE = {"Content-Type": r"application/json.*"}
PING = {"X-Docker-Registry-Version": r".+", "X-Docker-Registry-Standalone": r"<standalone>"}
BASIC = {"Authorization": "<basic>"}
WANTS_TOKEN = {"Authorization": "<basic>", "X-Docker-Token": "true"}
READ = {"Authorization": "Token <read>"}
WRITE = {"Authorization": "Token <write>"}
DELETE = {"Authorization": "Token <delete>"}
NO_V2 = {"Docker-Distribution-Api-Version": None}


# what an answer may be compared with


def exactly(body: bytes) -> Matcher:
    return lambda _, answer: answer.body == body


def of_image(name: str, part: slice = slice(None)) -> Matcher:
    return lambda run, answer: answer.body == run.bytes_of(name)[part]


def data(template: Any) -> Matcher:
    """JSON equal to this, values filled in."""
    return lambda run, answer: answer.json() == json.loads(run.fill(json.dumps(template)))


def error(text: str) -> Matcher:
    return lambda run, answer: answer.error() == text


def holds(test: Callable[[Any], bool]) -> Matcher:
    """JSON that passes a test."""
    return lambda _, answer: bool(test(answer.json()))


def nothing(_: Filled, answer: Answer) -> bool:
    return answer.body == b""


def lists_both(run: Filled, answer: Answer) -> bool:
    listed = answer.json()
    return isinstance(listed, list) and {run.values["base"], run.values["top"]} <= {entry["id"] for entry in listed}


def finds_repository(run: Filled, answer: Answer) -> bool:
    return run.values["full"] in [result["name"] for result in answer.json()["results"]]


def is_search(found: Any) -> bool:
    """The shape all clients decode (protocol §2.6)."""
    whole = isinstance(found["query"], str) and all(
        type(found[key]) is int for key in ("num_results", "num_pages", "page", "page_size")
    )
    return whole and all(_is_search_result(result) for result in found["results"])


def _is_search_result(result: dict[str, Any]) -> bool:
    flags = all(type(result[key]) is bool for key in ("is_official", "is_automated", "is_trusted"))
    return flags and type(result["star_count"]) is int and isinstance(result["name"], str) and "description" in result


def is_file_list(files: Any) -> bool:
    return all(len(entry) == 8 and isinstance(entry[0], str) and entry[1] in "flscbditLKSu" for entry in files)


def is_tag_description(found: Any) -> bool:
    keys = {"last_update", "docker_version", "docker_go_version", "arch", "os", "kernel"}
    return keys <= set(found) and type(found["last_update"]) is int


UNKNOWN_IN_V2 = holds(lambda body: [error["code"] for error in body["errors"]] == ["MANIFEST_UNKNOWN"])
"""Docker 1.9 panics if there is no list of errors, and goes on to v1 after this one."""

REPOSITORY = "/v1/repositories/<full>"
BASE, TOP = "/v1/images/<base>", "/v1/images/<top>"
ABSENT = "/v1/images/" + "0" * 64

_PING_ROWS = tuple(
    Row("0.1", f"{service} pings at {path}", f"GET {path}", 200, headers=PING | JSON_TYPE, at=service,
        answer=holds(lambda body: body in ({}, True)))
    for service in ("index", "registry") for path in ("/v1/_ping", "/_ping")
)  # fmt: skip

_V2_ROWS = tuple(
    Row("0.2", f"{service}: daemons find no v2", line, 404, headers=NO_V2, at=service, body=body, answer=answer,
        send={"User-Agent": "docker/1.9.1 go/go1.4.2 os/linux arch/amd64"})
    for service in ("index", "registry")
    for line, body, answer in (
        ("GET /v2/", None, UNKNOWN_IN_V2), ("GET /v2", None, None), ("HEAD /v2/acme/app/blobs/sha256:00", None, None),
        ("GET /v2/acme/app/manifests/latest", None, UNKNOWN_IN_V2), ("PUT /v2/a/b", "", UNKNOWN_IN_V2),
        ("POST /v2/acme/app/blobs/uploads/", "", UNKNOWN_IN_V2),
    )
) + tuple(
    Row("0.2", f"{service}: v2 names no version", line, status, headers=NO_V2, at=service, body=body)
    for service in ("index", "registry")
    for line, status, body in (
        ("GET /v2/", (200, 401), None), ("GET /v2/acme/app/manifests/latest", (401, 404), None),
        ("POST /v2/acme/app/blobs/uploads/", 405, ""),
    )
)  # fmt: skip

_REFUSAL_ROWS = tuple(
    Row("0.19", f"{service} has no HTML for {status}", line, status, at=service, send=send)
    for service, line, status, send in (
        ("index", "GET /v1/no-such-thing", 404, {}),
        ("index", "GET /v1/repositories/", 404, {}),
        ("index", "PATCH /v1/users/", 405, {}),
        ("index", "DELETE /v1/search", 405, {}),
        ("registry", "GET /v1/no-such-thing", 404, {}),
        ("registry", "GET /v1/images/", 404, {}),
        ("registry", "POST /v1/images/<base>/json", 405, {}),
        ("registry", "DELETE /v1/images/<base>/layer", 405, {}),
        ("index", "PUT /v1/repositories/<full>/", 413, {"Authorization": "<basic>", "Content-Length": "999999999"}),
    )
)

_USER_ROWS = (
    Row("0.15", "sign-up", "POST /v1/users/", 201, at="index", headers=JSON_TYPE, answer=exactly(b'"User Created"'),
        body='{"username":"<newcomer>","password":"long-enough-1","auth":"","email":"<newcomer>@example.com","x":1}'),
    Row("0.15", "a known name: these 34 bytes", "POST /v1/users/", 400, at="index", only="index",
        body='{"username":"<newcomer>","password":"long-enough-1","auth":"","email":"<newcomer>@example.com"}',
        answer=exactly(b'"Username or email already exists"'), headers={"Content-Length": "34"}),
    Row("2.2", "sign-up without a slash", "POST /v1/users", 400, at="index", only="index",
        body='{"username":"<newcomer>","password":"long-enough-1","email":"<newcomer>@example.com"}',
        answer=exactly(b'"Username or email already exists"')),
    Row("2.2", "sign-up with broken JSON", "POST /v1/users/", 400, at="index", body="{",
        answer=error("Error Decoding JSON")),
    Row("2.2", "sign-up with an array", "POST /v1/users/", 400, at="index", body="[]", only="index"),
    Row("0.15", "login", "GET /v1/users/", 200, at="index", send=BASIC, headers=JSON_TYPE, answer=exactly(b'"OK"')),
    Row("2.2", "login without a slash", "GET /v1/users", 200, at="index", send=BASIC),
    Row("0.15", "login with a wrong password", "GET /v1/users/", 401, at="index", only="index",
        send={"Authorization": "<wrong_basic>"}, headers={"WWW-Authenticate": r"Basic .*"}),
    Row("0.15", "login without credentials", "GET /v1/users/", 401, at="index", only="index",
        headers={"WWW-Authenticate": r"Basic .*"}),
    Row("2.2", "login with garbage for Basic", "GET /v1/users/", 401, at="index", only="index",
        send={"Authorization": "Basic !!!"}),
    Row("2.2", "a further address", "PUT /v1/users/<user>/", 204, at="index", send=BASIC,
        body='{"email":"<newcomer>-2@example.com"}', answer=nothing),
    Row("2.2", "somebody else's account", "PUT /v1/users/<newcomer>/", 403, at="index", send=BASIC, only="index",
        body='{"password":"another-one-1"}'),
    Row("2.2", "an account without a login", "PUT /v1/users/<user>/", 401, at="index", body="{}", only="index"),
)  # fmt: skip

_BEGIN_ROWS = (
    Row("0.5", "what is absent", f"GET {REPOSITORY}/images", 404, at="index", send=WANTS_TOKEN),
    Row("2.3", "a push without a login", f"PUT {REPOSITORY}/", 401, at="index", body="[]", only="index",
        headers={"WWW-Authenticate": r"Basic .*"}),
    Row("2.3", "a push with `Basic Og==`", f"PUT {REPOSITORY}/", 401, at="index", body="[]", only="index",
        send={"Authorization": "Basic Og=="}),
    Row("2.3", "a wrong password is no visitor", f"PUT {REPOSITORY}/", 401, at="index", body="[]", only="index",
        send={"Authorization": "<wrong_basic>"}),
    Row("2.3", "a push with broken JSON", f"PUT {REPOSITORY}/", 400, at="index", send=WANTS_TOKEN, body="[",
        answer=error("Error Decoding JSON")),
    Row("2.3", "a push of something that is no list", f"PUT {REPOSITORY}/", 400, at="index", send=WANTS_TOKEN,
        body='"x"'),
    Row("0.4", "a push begins", f"PUT {REPOSITORY}/", (200, 201), at="index", send=WANTS_TOKEN,
        body='[{"id":"<base>"},{"id":"<top>","Tag":"v1"}]', headers=TOKEN_HEADERS, keep={"write": "X-Docker-Token"}),
    Row("0.3", "the same without a slash", f"PUT {REPOSITORY}", (200, 201), at="index", send=WANTS_TOKEN,
        body='[{"id":"<base>"},{"id":"<top>","Tag":"v1"},{"id":"<tarsum>"},{"id":"<late>"}]', headers=TOKEN_HEADERS,
        keep={"write": "X-Docker-Token"}),
    Row("2.6", "nothing to find before a tag exists", "GET /v1/search?q=<name>", 200, at="index", send=BASIC,
        answer=holds(lambda found: found["results"] == [] and found["num_results"] == 0)),
)  # fmt: skip

_PUSH_ROWS = (
    Row("3.3", "no credentials", f"PUT {BASE}/json", 401, body="@base.json", only="index",
        answer=error("Requires authorization"), headers={"WWW-Authenticate": r".*Token.*"}),
    Row("3.3", "an empty token", f"PUT {BASE}/json", 401, body="@base.json", only="index",
        send={"Authorization": "Token "}),
    Row("3.3", "Basic is the index's", f"PUT {BASE}/json", 401, body="@base.json", only="index", send=BASIC),
    Row("0.17", "a tampered token", f"PUT {BASE}/json", 401, body="@base.json", only="index",
        send={"Authorization": "Token <tampered>"}),
    Row("1.7", "existence test of what is not there", f"GET {BASE}/json", 404, send=WRITE,
        answer=error("Image not found")),
    Row("1.7", "existence test without Authorization", f"GET {BASE}/json", (401, 404)),
    Row("3.3", "not JSON", f"PUT {BASE}/json", 400, send=WRITE, body="{", answer=error("Invalid JSON")),
    Row("3.3", "not an object", f"PUT {BASE}/json", 400, send=WRITE, body="[]", answer=error("Invalid JSON")),
    Row("3.3", "empty", f"PUT {BASE}/json", 400, send=WRITE, body="", answer=error("Invalid JSON")),
    Row("3.3", "without an id", f"PUT {BASE}/json", 400, send=WRITE, body='{"x":1}',
        answer=error("Missing key `id' in JSON")),
    Row("3.3", "with another id", f"PUT {BASE}/json", 400, send=WRITE, body='{"id":"<top>"}',
        answer=error("JSON data contains invalid id")),
    Row("3.3", "not of this repository", f"PUT {ABSENT}/json", 400, send=WRITE, body='{"id":"' + "0" * 64 + '"}',
        only="index",
        answer=error("This image does not belong to the repository")),
    Row("3.3", "an unknown parent", f"PUT {TOP}/json", 400, send=WRITE, body="@top.json",
        answer=error("Image depends on a non existing parent")),
    Row("3.1", "no id at all", "PUT /v1/images/not-an-id/json", 404, send=WRITE, body="{}",
        answer=error("Invalid image ID")),
    Row("3.4", "a layer before its JSON", f"PUT {BASE}/layer", 404, send=WRITE, body="@base.layer", chunked=True,
        answer=error("Image not found")),
    Row("3.5", "a checksum before the JSON", f"PUT {BASE}/checksum", 404,
        send=WRITE | {"X-Docker-Checksum-Payload": "<base.payload>"}, body="", answer=error("Image not found")),
    Row("0.9", "JSON", f"PUT {BASE}/json", 200, send=WRITE, body="@base.json"),
    Row("3.5", "a checksum before the layer", f"PUT {BASE}/checksum", 400,
        send=WRITE | {"X-Docker-Checksum-Payload": "<base.payload>"}, body=""),
    Row("3.9", "a tag on what is not complete", f"PUT {REPOSITORY}/tags/v1", (400, 404), send=WRITE, body='"<base>"'),
    Row("0.11", "a chunked layer", f"PUT {BASE}/layer", 200, send=WRITE, body="@base.layer", chunked=True),
    Row("3.1", "JSON of what is not complete", f"GET {BASE}/json", (400, 404), send=WRITE),
    Row("3.1", "layer of what is not complete", f"GET {BASE}/layer", (400, 404), send=WRITE),
    Row("3.5", "a wrong checksum", f"PUT {BASE}/checksum", 400,
        send=WRITE | {"X-Docker-Checksum-Payload": "sha256:" + "1" * 64},
        body="", answer=error("Checksum mismatch")),
    Row("3.3", "JSON again", f"PUT {BASE}/json", 200, send=WRITE, body="@base.json"),
    Row("0.11", "the layer again", f"PUT {BASE}/layer", 200, send=WRITE, body="@base.layer", chunked=True),
    Row("0.9", "a checksum, `Token Token`", f"PUT {BASE}/checksum", 200, body="",
        send={"Authorization": "Token Token <write>", "X-Docker-Checksum-Payload": "<base.payload>"}),
    Row("0.10", "JSON of what is complete", f"PUT {BASE}/json", 409, send=WRITE, body="@base.json",
        answer=exactly(b'{"error": "Image already exists"}')),
    Row("3.4", "layer of what is complete", f"PUT {BASE}/layer", (200, 409), send=WRITE, body="@base.layer",
        chunked=True),
    Row("3.5", "the same checksum again", f"PUT {BASE}/checksum", 200,
        send=WRITE | {"X-Docker-Checksum-Payload": "<base.payload>"}, body=""),
    Row("3.5", "another checksum afterwards", f"PUT {BASE}/checksum", (400, 409),
        send=WRITE | {"X-Docker-Checksum-Payload": "sha256:" + "2" * 64}, body=""),
    Row("5.1", "scheme in lower case", f"PUT {TOP}/json", 200, send={"Authorization": "token <write>"},
        body="@top.json"),
    Row("3.4", "a layer with Content-Length", f"PUT {TOP}/layer", 200, body="@top.layer",
        send=WRITE | {"Content-Type": "application/octet-stream"}),
    Row("0.17", "comma-joined tokens", f"PUT {TOP}/checksum", 200, body="",
        send={"Authorization": "Token <write>, <write>", "X-Docker-Checksum": "<top.tarsum>",
              "X-Docker-Checksum-Payload": "<top.payload>"}),
    Row("4.3", "tarsum alone: JSON", "PUT /v1/images/<tarsum>/json", 200, send=WRITE, body="@tarsum.json"),
    Row("4.3", "tarsum alone: layer", "PUT /v1/images/<tarsum>/layer", 200, send=WRITE, body="@tarsum.layer",
        chunked=True),
    Row("4.3", "tarsum alone: checksum", "PUT /v1/images/<tarsum>/checksum", 200, body="",
        send=WRITE | {"X-Docker-Checksum": "<tarsum.tarsum>"}),
    Row("3.5", "no checksum at all", "PUT /v1/images/<late>/checksum", (400, 404, 412), send=WRITE, body=""),
    Row("1.11", "tarsum before the layer: JSON", "PUT /v1/images/<late>/json", 200, send=WRITE, body="@late.json"),
    Row("1.11", "tarsum before the layer: tarsum", "PUT /v1/images/<late>/checksum", (200, 400), body="",
        send=WRITE | {"X-Docker-Checksum": "<late.tarsum>"}),
    Row("1.11", "tarsum before the layer: layer", "PUT /v1/images/<late>/layer", 200, send=WRITE, body="@late.layer"),
    Row("1.11", "tarsum before the layer: payload", "PUT /v1/images/<late>/checksum", 200, body="",
        send=WRITE | {"X-Docker-Checksum-Payload": "<late.payload>"}),
)  # fmt: skip

_TAG_ROWS = (
    Row("3.9", "no tags yet", f"GET {REPOSITORY}/tags", (200, 404), send=WRITE),
    Row("3.9", "a tag that is no string", f"PUT {REPOSITORY}/tags/v1", 400, send=WRITE, body='{"id":1}',
        answer=error("Invalid data")),
    Row("3.9", "a tag that is empty", f"PUT {REPOSITORY}/tags/v1", 400, send=WRITE, body='""',
        answer=error("Invalid data")),
    Row("3.9", "a tag on an unknown image", f"PUT {REPOSITORY}/tags/v1", 404, send=WRITE, body='"' + "0" * 64 + '"'),
    Row("0.8", "a tag on an ancestor", f"PUT {REPOSITORY}/tags/v1", (200, 201), send=WRITE, body='"<base>"'),
    Row("0.8", "a tag is overwritten", f"PUT {REPOSITORY}/tags/v1", (200, 201), send=WRITE, body='"<top>"'),
    Row("0.8", "a second tag", f"PUT {REPOSITORY}/tags/latest", (200, 201), send=WRITE, body='"<top>"'),
    Row("0.6", "a push ends", f"PUT {REPOSITORY}/images", 204, at="index", send=WANTS_TOKEN, body="[]", answer=nothing),
    Row("2.4", "a push ends with a list", f"PUT {REPOSITORY}/images", 204, at="index", send=WANTS_TOKEN, answer=nothing,
        body='[{"id":"<base>","checksum":"<base.tarsum>"}]'),
    Row("2.4", "a push ends with broken JSON", f"PUT {REPOSITORY}/images", 400, at="index", send=WANTS_TOKEN, body="["),
)  # fmt: skip

_LIST_ROWS = (
    Row("0.5", "the list, and a token", f"GET {REPOSITORY}/images", 200, at="index", send=WANTS_TOKEN, access="read",
        headers=TOKEN_HEADERS | JSON_TYPE, answer=lists_both, keep={"read": "X-Docker-Token"}),
    Row("2.4", "no token where none is asked for", f"GET {REPOSITORY}/images", 200, at="index", send=BASIC,
        only="index",
        headers={"X-Docker-Token": None}, answer=lists_both),
    Row("2.4", "a registry checks a token", f"GET {REPOSITORY}/images", 200, at="index", send=READ, only="index",
        headers={"X-Docker-Token": None}, answer=lists_both),
    Row("2.4", "a registry checks a tampered token", f"GET {REPOSITORY}/images", 401, at="index", only="index",
        send={"Authorization": "Token <tampered>"}),
    Row("2.7", "access to an image it lists", f"GET {REPOSITORY}/layer/<top>/access", 200, at="index", send=READ,
        only="index",
        answer=data({"access": True})),
    Row("2.7", "access to an image nobody lists", f"GET {REPOSITORY}/layer/" + "0" * 64 + "/access", 200, at="index",
        send=READ, only="index", answer=data({"access": False})),
    Row("2.5", "a good token", f"PUT {REPOSITORY}/auth", 200, at="index", send=READ, body="", answer=exactly(b'"OK"')),
    Row("2.5", "a tampered token", f"PUT {REPOSITORY}/auth", (401, 403), at="index", only="index", body="",
        send={"Authorization": "Token <tampered>"}),
    Row("2.4", "DELETE of the list does nothing", f"DELETE {REPOSITORY}/images", 204, at="index", send=BASIC,
        answer=nothing),
    Row("0.16", "search", "GET /v1/search?q=<name>", 200, at="index", send=BASIC, headers=JSON_TYPE,
        answer=holds(is_search)),
    Row("0.16", "search finds", "GET /v1/search?q=<name>&n=100&page=1", 200, at="index", send=BASIC,
        answer=finds_repository),
    Row("2.6", "search with a slash", "GET /v1/search/?q=<name>", 200, at="index", answer=finds_repository),
    Row("3.11", "search for everything", "GET /v1/search?q=&n=1", 200, at="index", send=BASIC,
        answer=holds(lambda found: is_search(found) and len(found["results"]) == 1 <= found["num_results"])),
    Row("3.11", "search without q", "GET /v1/search", 200, at="index", send=BASIC, answer=holds(is_search)),
    Row("2.6", "wildcards are letters", "GET /v1/search?q=%25<name>%25", 200, at="index", send=BASIC,
        answer=holds(lambda found: found["results"] == [])),
    Row("2.6", "a page past the end", "GET /v1/search?q=<name>&page=9999", 200, at="index", send=BASIC,
        answer=holds(lambda found: found["results"] == [])),
)  # fmt: skip

_IMAGE_ROWS = (
    Row("0.12", "JSON as pushed", f"GET {TOP}/json", 200, send=READ, answer=of_image("top.json"),
        headers=JSON_TYPE | {"X-Docker-Size": "<top.size>", "X-Docker-Checksum-Payload": "<top.payload>"}),
    Row("0.12", "JSON with a write token", f"GET {TOP}/json", 200, send=WRITE, answer=of_image("top.json")),
    Row("3.6", "HEAD of JSON", f"HEAD {TOP}/json", 200, send=READ, headers={"X-Docker-Size": "<top.size>"}),
    Row("0.14", "ancestry, self first", f"GET {TOP}/ancestry", 200, send=READ, headers=JSON_TYPE,
        answer=data(["<top>", "<base>"])),
    Row("0.14", "ancestry of a base", f"GET {BASE}/ancestry", 200, send=READ, answer=data(["<base>"])),
    Row("3.8", "files", f"GET {TOP}/files", 200, send=READ, answer=holds(is_file_list)),
    Row("3.8", "diff", f"GET {TOP}/diff", 200, send=READ,
        answer=holds(lambda diff: set(diff) == {"deleted", "changed", "created"})),
    Row("0.13", "layer", f"GET {TOP}/layer", 200, send=READ, answer=of_image("top.layer"),
        headers={"Content-Length": "<top.size>", "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream",
                 "ETag": r'"[^"]+"', "Content-Encoding": None}, keep={"etag": "ETag"}),
    Row("0.13", "HEAD of a layer", f"HEAD {TOP}/layer", 200, send=READ,
        headers={"Content-Length": "<top.size>", "Accept-Ranges": "bytes", "ETag": "<etag>"}),
    Row("0.13", "one byte past the end is clipped", f"GET {TOP}/layer", 206,
        send=READ | {"Range": "bytes=100-<top.size>"},
        answer=of_image("top.layer", slice(100, None)), headers={"Content-Range": r"bytes 100-\d+/<top.size>"}),
    Row("0.13", "all there was", f"GET {TOP}/layer", 416, send=READ | {"Range": "bytes=<top.size>-<top.size>"},
        answer=nothing,
        headers={"Content-Length": "0", "Content-Range": r"bytes \*/<top.size>"}),
    Row("3.7", "the first byte", f"GET {TOP}/layer", 206, send=READ | {"Range": "bytes=0-0"},
        answer=of_image("top.layer", slice(0, 1)), headers={"Content-Range": "bytes 0-0/<top.size>",
        "Content-Length": "1"}),
    Row("3.7", "an open range", f"GET {TOP}/layer", 206, send=READ | {"Range": "bytes=7-"},
        answer=of_image("top.layer", slice(7, None))),
    Row("3.7", "the last bytes", f"GET {TOP}/layer", 206, send=READ | {"Range": "bytes=-5"},
        answer=of_image("top.layer", slice(-5, None)), headers={"Content-Length": "5"}),
    Row("3.7", "several ranges: all of it", f"GET {TOP}/layer", 200, send=READ | {"Range": "bytes=0-1,4-5"},
        answer=of_image("top.layer")),
    Row("3.7", "a malformed range: all of it", f"GET {TOP}/layer", 200, send=READ | {"Range": "bytes=x-y"},
        answer=of_image("top.layer")),
    Row("3.7", "a range of these bytes", f"GET {TOP}/layer", 206,
        send=READ | {"Range": "bytes=1-2", "If-Range": "<etag>"},
        answer=of_image("top.layer", slice(1, 3))),
    Row("3.7", "a range of other bytes", f"GET {TOP}/layer", 200,
        send=READ | {"Range": "bytes=1-2", "If-Range": '"other"'},
        answer=of_image("top.layer")),
    Row("3.7", "HEAD of a range", f"HEAD {TOP}/layer", (200, 206), send=READ | {"Range": "bytes=0-9"}),
    Row("3.1", "not modified", f"GET {TOP}/layer", 304, send=READ | {"If-None-Match": "<etag>"}, answer=nothing),
    Row("3.1", "not modified since", f"GET {TOP}/json", 304, answer=nothing,
        send=READ | {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}),
    Row("3.1", "304 only of what exists", f"GET {ABSENT}/json", 404, answer=error("Image not found"),
        send=READ | {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}),
    Row("3.1", "304 only with permission", f"GET {TOP}/layer", 401, only="index", send={"If-None-Match": "<etag>"}),
    *(
        Row("3.6", f"{part} of what is absent", f"GET {ABSENT}/{part}", 404, send=READ, answer=error("Image not found"))
        for part in ("json", "layer", "ancestry", "files", "diff")
    ),
    *(
        Row("3.1", f"{part} of no id", f"GET /v1/images/XYZ/{part}", 404, send=READ, answer=error("Invalid image ID"))
        for part in ("json", "layer", "ancestry", "files", "diff")
    ),
    *(
        Row("3.1", f"{part} without credentials", f"GET {TOP}/{part}", 401, only="index",
            answer=error("Requires authorization"), headers={"WWW-Authenticate": r".*Token.*"})
        for part in ("json", "layer", "ancestry", "files", "diff")
    ),
)  # fmt: skip

_REPOSITORY_ROWS = (
    Row("0.7", "tags", f"GET {REPOSITORY}/tags", 200, send=READ, headers=JSON_TYPE,
        answer=data({"v1": "<top>", "latest": "<top>"})),
    Row("0.3", "tags with a slash", f"GET {REPOSITORY}/tags/", 200, send=READ,
        answer=data({"v1": "<top>", "latest": "<top>"})),
    Row("0.7", "one tag", f"GET {REPOSITORY}/tags/v1", 200, send=READ, answer=data("<top>")),
    Row("0.3", "one tag with a slash", f"GET {REPOSITORY}/tags/v1/", 200, send=READ, answer=data("<top>")),
    Row("3.9", "no such tag", f"GET {REPOSITORY}/tags/none", 404, send=READ, answer=error("Tag not found")),
    Row("3.9", "a tag described", f"GET {REPOSITORY}/tags/v1/json", 200, send=READ, answer=holds(is_tag_description)),
    Row("3.9", "latest described", f"GET {REPOSITORY}/json", 200, send=READ, answer=holds(is_tag_description)),
    Row("3.9", "properties", f"GET {REPOSITORY}/properties", 200, send=READ, answer=data({"access": "public"})),
    Row("3.9", "properties of another kind", f"PUT {REPOSITORY}/properties", 400, send=WRITE, body="[]",
        answer=error("Invalid data")),
    Row("5.4", "a read token does not write", f"PUT {REPOSITORY}/tags/v2", 401, send=READ, body='"<top>"',
        only="index"),
    Row("5.4", "a write token does not delete", f"DELETE {REPOSITORY}/tags/v1", 401, send=WRITE, only="index"),
    Row("5.3", "a token of one name opens no other", "GET /v1/repositories/<user>/another/tags", 401, send=READ,
        only="index"),
    Row("5.1", "a token that says more than was signed", f"PUT {REPOSITORY}/tags/v2", 401, body='"<top>"', only="index",
        send={"Authorization": "Token <promoted>"}),
)  # fmt: skip

_LIBRARY_ROWS = (
    Row("0.3", "a bare name: begin", "PUT /v1/repositories/<bare>/", (200, 201), at="index", send=WANTS_TOKEN,
        only="library",
        body='[{"id":"<base>","Tag":"v1"}]', keep={"bare_write": "X-Docker-Token"},
        headers={"X-Docker-Token": r'(Token )?signature=[^",\s]+, ?repository="library/<bare>", ?access=write'}),
    Row("0.3", "a bare name: tag", "PUT /v1/repositories/<bare>/tags/v1", (200, 201), only="library", body='"<base>"',
        send={"Authorization": "Token <bare_write>"}),
    Row("0.3", "read as library", "GET /v1/repositories/library/<bare>/tags/v1", 200, only="library",
        send={"Authorization": "Token <bare_write>"}, answer=data("<base>")),
    Row("0.3", "all tags as library", "GET /v1/repositories/library/<bare>/tags", 200, only="library",
        send={"Authorization": "Token <bare_write>"}, answer=data({"v1": "<base>"})),
    Row("0.3", "the list as library", "GET /v1/repositories/library/<bare>/images", 200, at="index", send=WANTS_TOKEN,
        only="library",
        headers={"X-Docker-Token": r'(Token )?signature=[^",\s]+, ?repository="library/<bare>", ?access=read'}),
    Row("0.6", "a bare name: end", "PUT /v1/repositories/library/<bare>/images", 204, at="index", send=BASIC, body="[]",
        only="library", answer=nothing),
)  # fmt: skip

_DEEP_ROWS = (
    Row("1.2", "many components: begin", "PUT /v1/repositories/<full>/tools/deep/", (200, 201), at="index",
        send=WANTS_TOKEN,
        body='[{"id":"<base>","Tag":"v1"}]', keep={"deep_write": "X-Docker-Token"},
        headers={"X-Docker-Token": r'(Token )?signature=[^",\s]+, ?repository="<full>/tools/deep", ?access=write'}),
    Row("1.2", "many components: tag", "PUT /v1/repositories/<full>/tools/deep/tags/v1", (200, 201), body='"<base>"',
        send={"Authorization": "Token <deep_write>"}),
    Row("1.2", "many components: read", "GET /v1/repositories/<full>/tools/deep/tags", 200,
        answer=data({"v1": "<base>"}),
        send={"Authorization": "Token <deep_write>"}),
    Row("1.2", "many components: end", "PUT /v1/repositories/<full>/tools/deep/images", 204, at="index", send=BASIC,
        body="[]"),
)  # fmt: skip

_DELETE_ROWS = (
    Row("2.8", "deleting without a login", f"DELETE {REPOSITORY}/", 401, at="index", only="index"),
    Row("2.8", "deleting begins", f"DELETE {REPOSITORY}/", 202, at="index", send=BASIC, only="index", access="delete",
        headers=TOKEN_HEADERS, keep={"delete": "X-Docker-Token"}),
    Row("3.9", "one tag is deleted", f"DELETE {REPOSITORY}/tags/v1", 200, send=DELETE),
    Row("3.9", "it is gone", f"GET {REPOSITORY}/tags/v1", 404, send=DELETE, answer=error("Tag not found")),
    Row("3.9", "it cannot be deleted twice", f"DELETE {REPOSITORY}/tags/v1", 404, send=DELETE,
        answer=error("Tag not found: v1")),
    Row("3.9", "the repository is deleted", f"DELETE {REPOSITORY}/", 200, send=DELETE),
    Row("3.9", "its tags are gone", f"GET {REPOSITORY}/tags", (401, 404), send=READ),
    Row("2.8", "the index is told", f"DELETE {REPOSITORY}/", 200, at="index", send=BASIC, only="index"),
    Row("2.8", "the index has forgotten", f"DELETE {REPOSITORY}/", 404, at="index", send=BASIC, only="index"),
    Row("2.8", "nothing is listed", f"GET {REPOSITORY}/images", 404, at="index", send=WANTS_TOKEN),
)  # fmt: skip

ROWS: tuple[Row, ...] = (
    *_PING_ROWS, *_V2_ROWS, *_REFUSAL_ROWS, *_USER_ROWS, *_BEGIN_ROWS, *_PUSH_ROWS, *_TAG_ROWS, *_LIST_ROWS,
    *_IMAGE_ROWS,
    *_REPOSITORY_ROWS, *_LIBRARY_ROWS, *_DEEP_ROWS, *_DELETE_ROWS,
)  # fmt: skip
