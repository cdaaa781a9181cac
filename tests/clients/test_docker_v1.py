"""The simulated daemon is as strict as a real one: a server that breaks the contract makes it give up at that step."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.clients.docker_v1 import Daemon, DaemonError, Refusal, Refused
from tests.clients.generations import GENERATIONS, NEWEST, V0_8, V0_10, V0_11, V1_0, V1_6, V1_7, V1_9, Generation
from tests.clients.images import Chain, make_chain
from tests.clients.wire import Target

CHAIN: Chain = make_chain(2)
BASE, TOP = CHAIN
TOKEN = 'signature=x,repository="a/b",access=write'

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Stub:
    """A server that answers as an honest one would, but for what a test changes; `changed` maps request lines."""

    changed: dict[str, Reply] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    port: int = 0

    def reply_to(self, line: str) -> Reply:
        return self.changed.get(line) or self._honest(line)

    def _honest(self, line: str) -> Reply:
        method, path = line.split()
        issued = {"X-Docker-Token": TOKEN, "X-Docker-Endpoints": f"127.0.0.1:{self.port}"}
        answers: dict[str, Any] = {
            "/v1/_ping": (200, {"X-Docker-Registry-Version": "1", "X-Docker-Registry-Standalone": "false"}, True),
            "/v1/repositories/a/b/": (200, issued, ""),
            "/v1/repositories/a/b/images": (204, {}, "") if method == "PUT" else (200, issued, [{"id": TOP.id}]),
            "/v1/repositories/a/b/tags": (200, {}, {"latest": TOP.id}),
            "/v1/repositories/a/b/tags/latest": (200, {}, TOP.id),
            f"/v1/images/{TOP.id}/ancestry": (200, {}, [TOP.id, BASE.id]),
            "/v1/search": (200, {}, {"query": "x", "num_results": 0, "results": []}),
        }
        if path.startswith("/v2"):
            return 404, {}, UNKNOWN
        if path.partition("?")[0] in answers:
            status, headers, body = answers[path.partition("?")[0]]
            return status, headers, json.dumps(body).encode()
        image = BASE if BASE.id in path else TOP
        if method == "PUT":
            return 200, {}, b"true"
        if path.endswith("/json"):
            return 200, {"X-Docker-Size": str(len(image.layer))}, image.json
        return 200, {"Accept-Ranges": "bytes"}, image.layer


@pytest.fixture
def stub() -> Iterator[Stub]:
    kept = Stub()

    class Handler(http.server.BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            line = f"{self.command} {self.path}"
            kept.asked.append(line)
            kept.authorizations.append(self.headers.get("Authorization"))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = kept.reply_to(line)
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = _answer

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()


def daemon(stub: Stub, generation: Generation) -> Daemon:
    return Daemon(generation, Target("http", "127.0.0.1", stub.port), "alice", "secret")


@pytest.mark.parametrize("generation", GENERATIONS, ids=str)
def test_an_honest_server_satisfies_every_generation(stub: Stub, generation: Generation) -> None:
    for image in CHAIN:
        stub.changed[f"GET /v1/images/{image.id}/json"] = (404, {}, b'{"error": "Image not found"}')
    assert daemon(stub, generation).push("a/b", CHAIN) == [BASE.id, TOP.id]
    stub.changed.clear()
    assert [image.id for image in daemon(stub, generation).pull("a/b")] == [TOP.id, BASE.id]
    assert daemon(stub, generation).search("x") == []


BEGIN, LIST, TAGS = "PUT /v1/repositories/a/b/", "GET /v1/repositories/a/b/images", "GET /v1/repositories/a/b/tags"
PUT_JSON, PUT_LAYER = f"PUT /v1/images/{BASE.id}/json", f"PUT /v1/images/{BASE.id}/layer"
GET_JSON, GET_LAYER = f"GET /v1/images/{BASE.id}/json", f"GET /v1/images/{BASE.id}/layer"
HOME = {"X-Docker-Endpoints": "127.0.0.1"}

UNKNOWN = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no v2"}]}'

PUSH_BREAKERS: dict[str, tuple[Generation, str, Reply, str]] = {
    "ping without a version": (V0_10, "GET /v1/_ping", (200, {}, b"{}"), "ping .* wants a version header"),
    "v2 that answers": (V1_6, "GET /v2/", (200, {}, b"{}"), "v2 .* wants 404"),
    "v2 that names itself": (
        V1_6, "GET /v2/", (404, {"Docker-Distribution-Api-Version": "registry/2.0"}, UNKNOWN), "wants no v2 header"
    ),
    "v2 that knows a name": (
        NEWEST, "POST /v2/a/b/blobs/uploads/", (404, {}, UNKNOWN.replace(b"MANIFEST", b"NAME")),
        "wants MANIFEST_UNKNOWN"
    ),
    "no token": (V1_6, BEGIN, (200, HOME, b""), "token .* wants X-Docker-Token"),
    "no endpoints": (V1_7, BEGIN, (200, {"X-Docker-Token": TOKEN}, b""), "wants X-Docker-Endpoints"),
    "endpoints with a scheme": (
        V0_8, BEGIN, (200, {"X-Docker-Token": TOKEN, "X-Docker-Endpoints": "http://x/"}, b""), "without scheme or path"
    ),
    "a redirected write": (V0_8, BEGIN, (301, {"Location": "/"}, b""), "redirect .* wants no redirect"),
    "202 for a push": (V0_8, BEGIN, (202, HOME, b""), "begin push .* wants 200 or 201"),
    "201 for JSON": (V0_8, PUT_JSON, (201, {}, b"true"), "json .* wants 200"),
    "another 409": (V0_8, PUT_JSON, (409, {}, b'{"error": "Image Already Exists"}'), "json .* wants 200"),
    "an error that is no string": (V0_8, PUT_LAYER, (400, {}, b'{"error": 1}'),
    "error .* wants a JSON object of strings"),
    "an HTML page": (V0_8, PUT_LAYER, (500, {}, b"<html>"), "error .* wants a JSON object of strings"),
    "200 for the last PUT": (V0_8, "PUT /v1/repositories/a/b/images", (200, {}, b"true"), "end push .* wants 204"),
}  # fmt: skip


@pytest.mark.parametrize(("generation", "line", "reply", "complaint"), PUSH_BREAKERS.values(), ids=PUSH_BREAKERS)
def test_a_push_ends_where_the_server_breaks_the_contract(
    stub: Stub, generation: Generation, line: str, reply: Reply, complaint: str
) -> None:
    for image in CHAIN:
        stub.changed[f"GET /v1/images/{image.id}/json"] = (404, {}, b'{"error": "Image not found"}')
    stub.changed[line] = reply
    with pytest.raises(DaemonError, match=complaint):
        daemon(stub, generation).push("a/b", CHAIN)


PULL_BREAKERS: dict[str, tuple[Generation, str, Reply, str]] = {
    "an object of images": (V0_8, LIST, (200, HOME | {"X-Docker-Token": TOKEN}, b"{}"), "an array of images"),
    "an array of tags": (V0_8, TAGS, (200, {}, b"[]"), "tags .* wants an object of strings"),
    "a map for one tag": (V1_9, f"{TAGS}/latest", (200, {}, b"{}"), "tags .* wants a JSON string"),
    "no size": (V0_10, GET_JSON, (200, {}, BASE.json), "json .* wants X-Docker-Size"),
    "a size that is none": (V1_6, GET_JSON, (200, {"X-Docker-Size": "x"}, BASE.json), "json .* wants X-Docker-Size"),
    "ancestry upside down": (
        V0_8, f"GET /v1/images/{TOP.id}/ancestry", (200, {}, json.dumps([BASE.id, TOP.id]).encode()), "itself first"
    ),
    "a packed layer": (V1_6, GET_LAYER, (200, {"Content-Encoding": "gzip"}, BASE.layer), "no Content-Encoding"),
    "HEAD unlike GET": (V1_0, GET_LAYER.replace("GET", "HEAD"), (200, {}, b"12"), "wants HEAD like GET"),
}  # fmt: skip


@pytest.mark.parametrize(("generation", "line", "reply", "complaint"), PULL_BREAKERS.values(), ids=PULL_BREAKERS)
def test_a_pull_ends_where_the_server_breaks_the_contract(
    stub: Stub, generation: Generation, line: str, reply: Reply, complaint: str
) -> None:
    stub.changed[line] = reply
    with pytest.raises(DaemonError, match=complaint):
        daemon(stub, generation).pull("a/b")


def test_later_daemons_put_up_with_more(stub: Stub) -> None:
    stub.changed["GET /v1/_ping"] = (200, {"X-Docker-Registry-Standalone": "false"}, b"{}")
    stub.changed[GET_JSON] = (200, {}, BASE.json)
    daemon(stub, V0_11).pull("a/b")
    stub.changed[BEGIN] = (200, {"X-Docker-Endpoints": f"127.0.0.1:{stub.port}"}, b"")
    daemon(stub, V1_7).push("a/b", CHAIN)


def test_what_is_there_already_is_not_sent_again(stub: Stub) -> None:
    exists = (409, {}, b'{"error": "Image already exists"}')
    for image in CHAIN:
        stub.changed[f"GET /v1/images/{image.id}/json"] = (401, {}, b'{"error": "Requires authorization"}')
        stub.changed[f"PUT /v1/images/{image.id}/json"] = exists
    assert daemon(stub, V0_8).push("a/b", CHAIN) == []


def test_a_refusal_the_test_named_is_told_from_a_failure(stub: Stub) -> None:
    stub.changed[BEGIN] = (403, {}, b'{"error": "not yours"}')
    with pytest.raises(Refused, match="begin push"):
        daemon(stub, NEWEST).push("a/b", CHAIN, refused=Refusal.NOT_ALLOWED)
    with pytest.raises(DaemonError):
        daemon(stub, NEWEST).push("a/b", CHAIN, refused=Refusal.NOT_LOGGED_IN)
    with pytest.raises(DaemonError):
        daemon(stub, NEWEST).push("a/b", CHAIN)


@pytest.mark.parametrize("generation", GENERATIONS, ids=str)
def test_credentials_are_those_of_the_generation(stub: Stub, generation: Generation) -> None:
    """Nobody logged in, plain HTTP: `Basic Og==` and tokens to 1.6, then nothing but the token (protocol §1.4)."""
    Daemon(generation, Target("http", "127.0.0.1", stub.port)).push("a/b", CHAIN)
    sent = dict(zip(stub.asked, stub.authorizations, strict=True))
    first, last = sent[BEGIN], sent["PUT /v1/repositories/a/b/images"]
    assert (first, last) == (("Basic Og==",) * 2 if generation.empty_basic else (None, f"Token {TOKEN}"))
    assert sent["PUT /v1/repositories/a/b/tags/latest"] == f"Token {TOKEN}"
