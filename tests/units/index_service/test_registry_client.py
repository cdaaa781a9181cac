"""What the index believes of a registry: bounded, well-formed answers from its own address, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from common.errors import NotFound, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access, Token, read_bearer_header
from index_service import registry_client
from index_service.registry_client import (
    Ancestry,
    Manifest,
    RegistryClient,
    RegistryFailed,
    RegistryRefused,
    StillTranslating,
    Translation,
)
from tests.servers.process import free_port

NAME = RepositoryName("alice", "app")
TOKEN = Token("s1gned", NAME, Access.READ)
IMAGE = ImageId("a" * 64)


class Scripted(ThreadingHTTPServer):
    """Answers as `script` says: status, headers, body; and notes what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.sleeping = Event()


class Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        status, headers, answer = self.server.script
        if status == 0:
            self.server.sleeping.wait()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as made:
        Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.sleeping.set()
        made.shutdown()


@pytest.fixture
def client() -> RegistryClient:
    return RegistryClient({}, 2.0)


def endpoint(server: Scripted) -> str:
    return f"127.0.0.1:{server.server_port}"


def test_it_asks_with_its_token_and_its_own_name(server, client):
    server.script = (200, {"X-Docker-Size": "123"}, b'{"id": "x"}')
    told = client.describe(endpoint(server), TOKEN, IMAGE)
    assert (told.json, told.size) == (b'{"id": "x"}', 123)
    ((method, path, headers, _),) = server.asked
    assert (method, path) == ("GET", f"/v1/images/{IMAGE}/json")
    assert headers["Authorization"] == f"Token {TOKEN}"
    assert headers["User-Agent"] == registry_client.AGENT


def test_an_endpoint_may_be_reached_elsewhere(server):
    server.script = (200, {}, b"{}")
    client = RegistryClient({"registry.example.com:443": f"http://{endpoint(server)}"}, 2.0)
    assert client.tags("registry.example.com:443", TOKEN, NAME) == {}


@pytest.mark.parametrize("size", ["", "-1", "many", "1e3", "9" * 40, "１２"])
def test_a_size_that_is_none_is_nothing(server, client, size):
    server.script = (200, {"X-Docker-Size": size.encode().decode("latin-1")}, b"{}")
    assert client.describe(endpoint(server), TOKEN, IMAGE).size == 0


def test_a_size_nothing_has_is_bounded(server, client):
    server.script = (200, {"X-Docker-Size": "9" * 18}, b"{}")
    assert client.describe(endpoint(server), TOKEN, IMAGE).size == registry_client.MAX_SIZE


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (404, NotFound),
        (400, NotFound),
        (401, RegistryRefused),
        (403, RegistryRefused),
        (429, RegistryFailed),
        (500, RegistryFailed),
        (503, RegistryFailed),
        (204, RegistryFailed),
        (301, RegistryFailed),
        (302, RegistryFailed),
        (307, RegistryFailed),
    ],
)
def test_every_other_status_is_a_failure_with_a_name(server, client, status, failure):
    server.script = (status, {"Location": f"http://{endpoint(server)}/elsewhere"}, b"")
    questions = (
        lambda: client.describe(endpoint(server), TOKEN, IMAGE),
        lambda: client.tags(endpoint(server), TOKEN, NAME),
        lambda: client.delete_tag(endpoint(server), TOKEN, NAME, Tag("x")),
        lambda: client.delete_repository(endpoint(server), TOKEN, NAME),
    )
    for question in questions:
        with pytest.raises(failure):
            question()
    assert not any(path == "/elsewhere" for _, path, _, _ in server.asked)
    assert issubclass(RegistryFailed, Unavailable)


def test_only_tags_of_images_are_told(server, client):
    told = {"ok": IMAGE, "": IMAGE, "a/b": IMAGE, "x": "nonsense", "y": 7, "\u202e": IMAGE, "n": None, "..": IMAGE}
    server.script = (200, {}, json.dumps(told).encode())
    assert client.tags(endpoint(server), TOKEN, NAME) == {"ok": IMAGE}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"true"])
def test_what_is_no_list_of_tags_is_refused(server, client, body):
    server.script = (200, {}, body)
    with pytest.raises(RegistryFailed):
        client.tags(endpoint(server), TOKEN, NAME)


def test_an_ancestry_is_a_list_of_images(server, client):
    server.script = (200, {}, json.dumps([IMAGE, "x", 5, "b" * 64]).encode())
    assert client.ancestry(endpoint(server), TOKEN, IMAGE) == Ancestry([IMAGE, "b" * 64])
    server.script = (200, {}, b"{}")
    with pytest.raises(RegistryFailed):
        client.ancestry(endpoint(server), TOKEN, IMAGE)


@pytest.mark.parametrize(("told", "meant"), [("1", 1), ("0", 0), ("-1", 0), ("x", 0), ("9" * 40, 0)])
def test_an_ancestry_tells_how_many_of_its_images_are_kept_apart(server, client, told, meant):
    server.script = (200, {"X-Wharfinger-Apart": told}, json.dumps([IMAGE, "b" * 64]).encode())
    assert client.ancestry(endpoint(server), TOKEN, IMAGE).apart == meant


@pytest.mark.parametrize(("told", "meant"), [("a" * 32, "a" * 32), ("a" * 31, None), ("*", None), ("-", None)])
def test_an_ancestry_tells_in_which_store_it_is(server, client, told, meant):
    server.script = (200, {"X-Wharfinger-Store": told}, json.dumps([IMAGE]).encode())
    assert client.ancestry(endpoint(server), TOKEN, IMAGE).store == meant


def test_the_checksums_of_an_image_are_those_that_can_be_some(server, client):
    good = "sha256:" + "a" * 64
    server.script = (200, {"X-Docker-Checksum-Payload": good.upper().replace("SHA", "sha")}, b"{}")
    assert client.describe(endpoint(server), TOKEN, IMAGE).checksums == (good,)
    server.script = (200, {"X-Docker-Checksum-Payload": "<script>"}, b"{}")
    assert client.describe(endpoint(server), TOKEN, IMAGE).checksums == ()


def test_more_than_can_be_true_is_not_read(server, client):
    server.script = (200, {}, b"x" * (registry_client.MAX_JSON_BYTES + 1))
    with pytest.raises(RegistryFailed, match="says more than can be true"):
        client.describe(endpoint(server), TOKEN, IMAGE)


def test_a_registry_that_says_nothing_is_not_waited_for(server):
    server.script = (0, {}, b"")
    with pytest.raises(RegistryFailed, match="cannot be reached"):
        RegistryClient({}, 0.1).tags(endpoint(server), TOKEN, NAME)


def test_a_registry_that_is_not_there_is_a_failure(client):
    with pytest.raises(RegistryFailed, match="cannot be reached"):
        client.tags(f"127.0.0.1:{free_port()}", TOKEN, NAME)
    assert not client.is_alive(f"127.0.0.1:{free_port()}")


def test_a_tag_is_set_and_deleted_by_name(server, client):
    assert client.is_alive(endpoint(server))
    client.set_tag(endpoint(server), [TOKEN], NAME, Tag("a?b"), IMAGE)
    client.delete_tag(endpoint(server), TOKEN, NAME, Tag("a%b"))
    client.delete_repository(endpoint(server), TOKEN, NAME)
    assert [(method, path, body) for method, path, _, body in server.asked][1:] == [
        ("PUT", "/v1/repositories/alice/app/tags/a%3Fb", json.dumps(IMAGE).encode()),
        ("DELETE", "/v1/repositories/alice/app/tags/a%25b", b""),
        ("DELETE", "/v1/repositories/alice/app/", b""),
    ]


GOOD = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{'ab' * 32}", "size": 500}


def test_what_an_image_is_by_v2(server, client):
    server.script = (200, {}, json.dumps({"manifests": [GOOD], "size": 7000}).encode())
    told = client.translation(endpoint(server), TOKEN, IMAGE)
    assert told == Translation((Manifest(GOOD["mediaType"], GOOD["digest"], 500),), 7000)
    ((_, path, headers, _),) = server.asked
    assert path == f"/v2/alice/app/_wharfinger/images/{IMAGE}"
    assert read_bearer_header(headers["Authorization"]) == [TOKEN]
    server.script = (200, {}, b'{"problem": "no layer"}')
    assert client.translation(endpoint(server), TOKEN, IMAGE) == Translation(problem="no layer")


@pytest.mark.parametrize(
    ("status", "failure"),
    [(202, StillTranslating), (404, NotFound), (401, RegistryRefused), (403, RegistryRefused), (503, RegistryFailed)],
)
def test_no_translation(server, client, status, failure):
    server.script = (status, {}, b"{}")
    with pytest.raises(failure):
        client.translation(endpoint(server), TOKEN, IMAGE)


@pytest.mark.parametrize(
    "told",
    [
        [],
        {},
        {"problem": ""},
        {"problem": 5},
        {"manifests": [], "size": 1},
        {"manifests": [GOOD]},
        {"manifests": [GOOD], "size": -1},
        {"manifests": [GOOD], "size": True},
        {"manifests": [GOOD], "size": 2**60},
        {"manifests": [GOOD, {}], "size": 1},
        {"manifests": ["x"], "size": 1},
        {"manifests": {"x": GOOD}, "size": 1},
        {"manifests": [{**GOOD, "digest": "sha256:0"}], "size": 1},
        {"manifests": [{**GOOD, "digest": f"sha256:{'0' * 64}\n"}], "size": 1},
        {"manifests": [{**GOOD, "mediaType": "<b>"}], "size": 1},
        {"manifests": [{**GOOD, "size": "1"}], "size": 1},
    ],
)
def test_manifests_that_are_none(server, client, told):
    server.script = (200, {}, json.dumps(told).encode())
    with pytest.raises(RegistryFailed, match="manifests that are none"):
        client.translation(endpoint(server), TOKEN, IMAGE)
