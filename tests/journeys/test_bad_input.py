"""Bad input of every kind: a clear JSON error, nothing stored, nobody let in."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.images import Image, make_chain, make_image
from tests.clients.wire import Answer, Connection, Target, call
from tests.journeys.test_generations import same_bytes
from tests.servers.process import eventually, free_port
from tests.servers.services import Account, Service, index_command, running, sign_up, start_index, start_registry
from tests.servers.setups import ALICE, MALLORY, SetUp

MANY = 300
DEEP = 200_000
TRANSLATED = re.compile(r"(^|/)(_oci_|_digests(/|$))")

either_setup = pytest.mark.parametrize("setup", ["split-http", "standalone-http"], indirect=True)


@dataclass(frozen=True)
class Pusher:
    """Somebody in the middle of a push: a write token, and an image the repository lists."""

    setup: SetUp
    name: str
    image: Image
    token: dict[str, str]

    @property
    def registry(self) -> Target:
        return self.setup.registry

    def put(self, path: str, body: bytes | None = b"", **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.registry, f"PUT {path}", self.token | given, body)

    def begin(self) -> None:
        assert self.put(f"/v1/images/{self.image.id}/json", self.image.json).status == 200

    def complete(self, image: Image) -> None:
        path = f"/v1/images/{image.id}"
        assert self.put(f"{path}/json", image.json).status == 200
        assert self.put(f"{path}/layer", image.layer).status == 200
        assert self.put(f"{path}/checksum", b"", X_Docker_Checksum_Payload=image.payload).status == 200


@pytest.fixture
def pusher(setup: SetUp) -> Pusher:
    return make_pusher(setup, make_image())


def make_pusher(setup: SetUp, *images: Image) -> Pusher:
    name, daemon = setup.fresh_name("bad"), Daemon(NEWEST, setup.index, ALICE.name, ALICE.password)
    headers = {"Authorization": daemon.basic, "X-Docker-Token": "true"}
    entries = json.dumps([{"id": image.id} for image in images]).encode()
    answer = call(setup.index, f"PUT /v1/repositories/{name}/", headers, entries)
    return Pusher(setup, name, images[0], {"Authorization": f"Token {answer.header('X-Docker-Token')}"})


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file of a store with its content, every folder; but for what the index has translated after pushes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if not TRANSLATED.search(str(path.relative_to(folder)))
    }


def visible(folder: Path) -> dict[str, bytes | None]:
    """What anybody but the uploader could ever see of a store."""
    return {path: content for path, content in tree(folder).items() if not path.startswith("_")}


def staged(pusher: Pusher) -> set[str]:
    """Names of the contents staged for the pusher's image."""
    folder = pusher.setup.registry_service.store / "_uploads" / pusher.image.id
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def nothing_stored(pusher: Pusher) -> Iterator[None]:
    """The store looks after the test as it did before."""
    before = tree(pusher.setup.registry_service.store)
    yield
    assert tree(pusher.setup.registry_service.store) == before


@pytest.fixture
def begun(pusher: Pusher) -> Iterator[Pusher]:
    """A push whose JSON is staged; nothing else of it may be seen after the test."""
    before = visible(pusher.setup.registry_service.store)
    pusher.begin()
    yield pusher
    assert visible(pusher.setup.registry_service.store) == before


def refused(answer: Answer, *statuses: int) -> str:
    """The message of a refusal: one line a person can act on, and never a trace of the machine."""
    assert answer.status in statuses, answer
    assert (answer.header("Content-Type") or "").startswith("application/json"), answer
    message = answer.error()
    assert 0 < len(message) < 300
    assert "Traceback" not in message
    assert "/" + "tmp" not in message
    return message


BAD_JSON = {
    "cut short": b'{"id": "',
    "no JSON": b"id=1",
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "nothing": b"",
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "NUL": b'{"id": "\x00"}',
    "UTF-16": '{"id": "<id>"}'.encode("utf-16"),
    "a mark of byte order": b'\xef\xbb\xbf{"id": "<id>"}',
    "NaN": b'{"id": "<id>", "x": NaN}',
    "something behind it": b'{"id": "<id>"} {}',
    "deep arrays": b'{"id": "<id>", "x": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a giant number": b'{"id": "<id>", "x": ' + b"9" * 5000 + b"}x",
}


@either_setup
@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_malformed_image_json(pusher: Pusher, nothing_stored: None, body: bytes) -> None:
    """What a daemon's strict parser would choke on must not be stored for it."""
    sent = body.replace(b"<id>", pusher.image.id.encode())
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        sent = f'{{"id": "{pusher.image.id}"}}'.encode("utf-16")
    message = refused(pusher.put(f"/v1/images/{pusher.image.id}/json", sent), 400)
    assert message in ("Invalid JSON", "Error Decoding JSON", "JSON data contains invalid id")


@either_setup
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "announced"])
def test_huge_image_json(pusher: Pusher, nothing_stored: None, chunked: bool) -> None:
    path = f"PUT /v1/images/{pusher.image.id}/json"
    body = json.dumps({"id": pusher.image.id, "x": "y" * 5 * 1024 * 1024}).encode()
    if chunked:
        answer = call(pusher.registry, path, pusher.token, chunks=[body[: 1 << 20]] * 5)
    else:
        answer = call(pusher.registry, path, pusher.token | {"Content-Length": str(len(body))})
    refused(answer, 413)


BAD_IDS = {
    "dots": "..",
    "encoded dots": "%2e%2e",
    "dots and slashes": "..%2f..%2f..%2fetc",
    "dots behind an id": "0" * 62 + "..",
    "NUL": "0" * 63 + "%00",
    "newline": "0" * 64 + "%0a",
    "300 digits": "a" * MANY,
    "upper case": "A" * 64,
    "63 digits": "a" * 63,
    "letters": "g" * 64,
    "not ASCII": "%e0%a5%a7" * 64,
    "blank": "%20",
}


@either_setup
@pytest.mark.parametrize("image_id", BAD_IDS.values(), ids=BAD_IDS)
def test_ids_that_are_none(pusher: Pusher, nothing_stored: None, image_id: str) -> None:
    for line in (
        f"PUT /v1/images/{image_id}/json",
        f"PUT /v1/images/{image_id}/layer",
        f"GET /v1/images/{image_id}/layer",
    ):
        refused(call(pusher.registry, line, pusher.token, pusher.image.json), 400, 404)


@either_setup
def test_ids_inside_the_json(pusher: Pusher, nothing_stored: None) -> None:
    for image_id in ("..", "../" * 20, "a" * MANY, "A" * 64, 7, None, ["x"], {"x": 1}, True, "\x00" * 64):
        document = json.dumps({"id": image_id}).encode()
        refused(pusher.put(f"/v1/images/{pusher.image.id}/json", document), 400)


@either_setup
def test_parents_that_cannot_be(pusher: Pusher, nothing_stored: None) -> None:
    absent = secrets.token_hex(32)
    for parent in (absent, pusher.image.id, "..", "../../x", "%2e%2e", "a\x00b", "a" * MANY, 7, ["x"], {"a": 1}, True):
        document = json.dumps({"id": pusher.image.id, "parent": parent}).encode()
        refused(pusher.put(f"/v1/images/{pusher.image.id}/json", document), 400, 404)


@either_setup
def test_a_parent_that_is_not_complete(setup: SetUp) -> None:
    base, top = chain = make_chain(2)
    pusher = make_pusher(setup, *chain)
    assert pusher.put(f"/v1/images/{base.id}/json", base.json).status == 200
    before = tree(setup.registry_service.store)
    refused(pusher.put(f"/v1/images/{top.id}/json", top.json), 400)
    assert tree(setup.registry_service.store) == before


@either_setup
def test_steps_before_the_first(pusher: Pusher, nothing_stored: None) -> None:
    image, path = pusher.image, f"/v1/images/{pusher.image.id}"
    assert refused(pusher.put(f"{path}/layer", image.layer), 404) == "Image not found"
    refused(pusher.put(f"{path}/checksum", b"", X_Docker_Checksum_Payload=image.payload), 404)


@either_setup
def test_steps_out_of_order(begun: Pusher) -> None:
    pusher, image, path = begun, begun.image, f"/v1/images/{begun.image.id}"
    refused(pusher.put(f"{path}/checksum", b"", X_Docker_Checksum_Payload=image.payload), 400)
    refused(pusher.put(f"/v1/repositories/{pusher.name}/tags/latest", json.dumps(image.id).encode()), 400, 404)
    assert pusher.put(f"{path}/layer", image.layer).status == 200
    refused(call(pusher.registry, f"GET {path}/json", pusher.token), 400, 404)


BAD_CHECKSUMS = {
    "none": {},
    "empty": {"X_Docker_Checksum_Payload": ""},
    "of other bytes": {"X_Docker_Checksum_Payload": "sha256:" + "0" * 64},
    "without algorithm": {"X_Docker_Checksum_Payload": "0" * 64},
    "of an unknown algorithm": {"X_Docker_Checksum_Payload": "rot13:" + "0" * 64},
    "no checksum": {"X_Docker_Checksum_Payload": "../../etc/passwd"},
    "long": {"X_Docker_Checksum_Payload": "sha256:" + "0" * 5000},
    "a wrong tarsum": {"X_Docker_Checksum": "tarsum+sha256:" + "0" * 64},
}


@either_setup
@pytest.mark.parametrize("headers", BAD_CHECKSUMS.values(), ids=BAD_CHECKSUMS)
def test_checksums_that_do_not_fit(begun: Pusher, headers: dict[str, str]) -> None:
    path = f"/v1/images/{begun.image.id}"
    assert begun.put(f"{path}/layer", begun.image.layer).status == 200
    refused(begun.put(f"{path}/checksum", b"", **headers), 400, 412)
    refused(call(begun.registry, f"GET {path}/json", begun.token), 400, 404)


@either_setup
def test_a_right_payload_without_agent_wins_over_a_wrong_tarsum(setup: SetUp) -> None:
    """The payload covers every byte; the tarsum is then not looked at (protocol §4.3)."""
    pusher = make_pusher(setup, make_image())
    pusher.begin()
    path = f"/v1/images/{pusher.image.id}"
    assert pusher.put(f"{path}/layer", pusher.image.layer).status == 200
    wrong = {"X_Docker_Checksum": "tarsum+sha256:" + "0" * 64, "X_Docker_Checksum_Payload": pusher.image.payload}
    assert pusher.put(f"{path}/checksum", b"", **wrong).status == 200


@either_setup
def test_a_wrong_payload_is_not_saved_by_a_right_tarsum(begun: Pusher) -> None:
    """Except from Docker 0.9 and older, which knew no better. The layer is dropped: the daemon has to send it again."""
    pusher = begun
    path = f"/v1/images/{pusher.image.id}"
    assert pusher.put(f"{path}/layer", pusher.image.layer).status == 200
    sums = {"X_Docker_Checksum": pusher.image.tarsum, "X_Docker_Checksum_Payload": pusher.image.wrong_payload}
    refused(pusher.put(f"{path}/checksum", b"", **sums, User_Agent="docker/1.6.2 go/go1.3.3"), 400)
    assert staged(pusher) == {"json"}


BAD_TAGS = {
    "dots": "..",
    "one dot": ".",
    "encoded dots": "%2e%2e",
    "dots and slashes": "..%2f..%2fetc",
    "NUL": "a%00b",
    "newline": "a%0ab",
    "300 letters": "a" * MANY,
    "129 letters": "a" * 129,
    "a dash first": "-a",
    "a dot first": ".a",
    "blank": "a%20b",
    "not ASCII": "%e2%82%ac",
    "a colon": "a:b",
}


@either_setup
@pytest.mark.parametrize("tag", BAD_TAGS.values(), ids=BAD_TAGS)
def test_tags_that_are_none(setup: SetUp, tag: str) -> None:
    pusher = make_pusher(setup, image := make_image())
    pusher.complete(image)
    before = tree(setup.registry_service.store)
    refused(pusher.put(f"/v1/repositories/{pusher.name}/tags/{tag}", json.dumps(image.id).encode()), 400, 404, 405)
    assert tree(setup.registry_service.store) == before


@either_setup
def test_tag_bodies_that_are_no_id(pusher: Pusher, nothing_stored: None) -> None:
    bodies = (
        b"",
        b"{",
        b"{}",
        b"[]",
        b"7",
        b"null",
        b'""',
        b'"../../x"',
        b'"%2e%2e"',
        b'"' + b"a" * MANY + b'"',
        b'"a\\u0000"',
    )
    for body in bodies:
        refused(pusher.put(f"/v1/repositories/{pusher.name}/tags/latest", body), 400, 404)
    absent = json.dumps(secrets.token_hex(32)).encode()
    refused(pusher.put(f"/v1/repositories/{pusher.name}/tags/latest", absent), 404)


BAD_NAMES = {
    "dots": "alice/..",
    "encoded dots": "alice/%2e%2e",
    "dots inside": "alice/../../etc",
    "NUL": "alice/a%00b",
    "newline": "alice/a%0ab",
    "300 letters": "alice/" + "a" * MANY,
    "upper case": "alice/Upper",
    "blank": "alice/a%20b",
    "not ASCII": "alice/%e2%82%ac",
    "a double slash": "alice//b",
    "an image id": "a" * 64,
    "a comma and quote": "alice/a%22,access=write",
}


@either_setup
@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_names_nobody_may_make(pusher: Pusher, nothing_stored: None, name: str) -> None:
    basic = Daemon(NEWEST, pusher.setup.index, ALICE.name, ALICE.password).basic
    headers = {"Authorization": basic, "X-Docker-Token": "true"}
    refused(call(pusher.setup.index, f"PUT /v1/repositories/{name}/", headers, b"[]"), 400, 403, 404, 405)
    body = json.dumps(pusher.image.id).encode()
    refused(pusher.put(f"/v1/repositories/{name}/tags/latest", body), 400, 401, 404, 405)


@either_setup
@pytest.mark.parametrize("body", [b"{", b"7", b'"x"', b'[{"id": "../x"}]', b'[{"id": 7}]', b"[7]", b"[" * DEEP, b""])
def test_lists_that_are_none(pusher: Pusher, nothing_stored: None, body: bytes) -> None:
    basic = Daemon(NEWEST, pusher.setup.index, ALICE.name, ALICE.password).basic
    for line in (f"PUT /v1/repositories/{pusher.name}/", f"PUT /v1/repositories/{pusher.name}/images"):
        refused(call(pusher.setup.index, line, {"Authorization": basic}, body), 400, 404)


@either_setup
def test_content_types_neither_help_nor_hinder(setup: SetUp) -> None:
    """Clients send none, or a form's: the body alone decides."""
    for kind in ("text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "garbage", ""):
        pusher = make_pusher(setup, make_image())
        before, path = tree(setup.registry_service.store), f"/v1/images/{pusher.image.id}"
        refused(pusher.put(f"{path}/json", b"id=1&x=2", Content_Type=kind), 400)
        assert tree(setup.registry_service.store) == before
        assert pusher.put(f"{path}/json", pusher.image.json, Content_Type=kind).status == 200
        assert pusher.put(f"{path}/layer", pusher.image.layer, Content_Type=kind).status == 200
        checksum = {"X_Docker_Checksum_Payload": pusher.image.payload, "Content_Type": kind}
        assert pusher.put(f"{path}/checksum", b"", **checksum).status == 200
        tag = f"/v1/repositories/{pusher.name}/tags/latest"
        assert pusher.put(tag, json.dumps(pusher.image.id).encode(), Content_Type=kind).status == 200


# the body and its frame


@either_setup
def test_json_shorter_than_announced(pusher: Pusher, nothing_stored: None) -> None:
    send_short(pusher, "json", pusher.image.json)


@either_setup
def test_a_layer_shorter_than_announced(begun: Pusher) -> None:
    send_short(begun, "layer", begun.image.layer)
    assert staged(begun) == {"json"}


def send_short(pusher: Pusher, part: str, body: bytes) -> None:
    """Announce one byte more than comes."""
    with Connection(pusher.registry) as connection:
        sent = [("Host", pusher.registry.netloc), ("Content-Length", str(len(body) + 1)), *pusher.token.items()]
        connection.send_head(f"PUT /v1/images/{pusher.image.id}/{part} HTTP/1.1", sent)
        connection.send(body)
        connection.half_close()
        refused(connection.read_answer(), 400)
    refused(call(pusher.registry, f"GET /v1/images/{pusher.image.id}/json", pusher.token), 404)


@either_setup
@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 40, "5, 6"])
def test_content_lengths_that_are_none(pusher: Pusher, nothing_stored: None, length: str) -> None:
    path = f"PUT /v1/images/{pusher.image.id}/json"
    refused(call(pusher.registry, path, pusher.token | {"Content-Length": length}), 400, 413)


@either_setup
def test_chunks_that_are_none(begun: Pusher) -> None:
    pusher = begun
    for garbage in (b"zz\r\nabc\r\n0\r\n\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n", b"FFFFFFFFFFFFFFFFFF\r\n"):
        with Connection(pusher.registry) as connection:
            sent = [("Host", pusher.registry.netloc), ("Transfer-Encoding", "chunked"), *pusher.token.items()]
            connection.send_head(f"PUT /v1/images/{pusher.image.id}/layer HTTP/1.1", sent)
            connection.send(garbage)
            connection.half_close()
            refused(connection.read_answer(), 400)
        assert staged(pusher) == {"json"}


@either_setup
@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/images/\x00/json HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/_ping HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /v1/_ping HTTP/1.1\r\nHost : x\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
        b"GET /v1/" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["NUL", "version", "blank in a header", "no request", "long line", "long header", "two frames"],
)
def test_requests_that_are_none(pusher: Pusher, nothing_stored: None, head: bytes) -> None:
    """Refused before any application sees them, and still without HTML."""
    for target in (pusher.setup.index, pusher.registry):
        with Connection(target) as connection:
            connection.send(head)
            answer = connection.read_answer()
        assert 400 <= answer.status < 506
        assert answer.error()


@either_setup
def test_a_client_that_vanishes_in_the_middle_of_a_layer(begun: Pusher) -> None:
    pusher = begun
    for framing in (("Content-Length", str(len(pusher.image.layer))), ("Transfer-Encoding", "chunked")):
        connection = Connection(pusher.registry)
        sent = [("Host", pusher.registry.netloc), framing, *pusher.token.items()]
        connection.send_head(f"PUT /v1/images/{pusher.image.id}/layer HTTP/1.1", sent)
        if framing[1] == "chunked":
            connection.send_chunk(pusher.image.layer[:1000])
        else:
            connection.send(pusher.image.layer[:1000])
        connection.vanish()
    refused(call(pusher.registry, f"GET /v1/images/{pusher.image.id}/layer", pusher.token), 404)
    checksum = {"X_Docker_Checksum_Payload": pusher.image.payload}
    refused(pusher.put(f"/v1/images/{pusher.image.id}/checksum", b"", **checksum), 400)
    eventually(lambda: staged(pusher) == {"json"}, lambda: f"still staged: {staged(pusher)}")


@either_setup
def test_an_empty_layer_is_none(begun: Pusher) -> None:
    """Even an empty tar has 1024 bytes (protocol §3.7): zero bytes are a transfer that failed."""
    pusher, path = begun, f"/v1/images/{begun.image.id}"
    refused(pusher.put(f"{path}/layer", b""), 400)
    assert staged(pusher) == {"json"}
    refused(pusher.put(f"{path}/checksum", b"", X_Docker_Checksum_Payload=pusher.image.payload), 400)


# tokens and passwords


def foreign_tokens(split: SetUp, pusher: Pusher) -> dict[str, str]:
    good = pusher.token["Authorization"].removeprefix("Token ")
    signature = good.partition(",")[0].removeprefix("signature=")
    other = make_pusher(split, make_image()).token["Authorization"].removeprefix("Token ")
    return {
        "another letter": good.replace(signature, signature[:-1] + ("A" if signature[-1] != "A" else "B")),
        "a shorter signature": good.replace(signature, signature[:-4]),
        "no signature": f'repository="{pusher.name}",access=write',
        "an empty signature": f'signature=,repository="{pusher.name}",access=write',
        "another name": good.replace(pusher.name, f"{MALLORY.name}/own"),
        "another access": good.replace("access=write", "access=delete"),
        "no such access": good.replace("access=write", "access=admin"),
        "of another repository": other,
        "its signature, our name": f'{other.partition(",")[0]},repository="{pusher.name}",access=write',
        "garbage": "x" * 5000,
        "SQL": f'signature=\' OR 1=1 --,repository="{pusher.name}",access=write',
    }


@pytest.mark.parametrize("setup", ["split-http"], indirect=True)
def test_tampered_and_foreign_tokens(pusher: Pusher, nothing_stored: None) -> None:
    path = f"/v1/images/{pusher.image.id}"
    for what, token in foreign_tokens(pusher.setup, pusher).items():
        headers = {"Authorization": f"Token {token}"}
        expected = (400, 401) if what == "of another repository" else (401,)
        message = refused(call(pusher.registry, f"PUT {path}/json", headers, pusher.image.json), *expected)
        assert token not in message, what
        refused(call(pusher.registry, f"GET /v1/repositories/{pusher.name}/tags", headers), 401)
        tag = f"PUT /v1/repositories/{pusher.name}/tags/latest"
        refused(call(pusher.registry, tag, headers, json.dumps(pusher.image.id).encode()), 401)
        listing = f"PUT /v1/repositories/{pusher.name}/images"
        refused(call(pusher.setup.index, listing, headers, b"[]"), 401)


def test_a_token_of_another_index_and_one_that_is_over(tmp_path: Path, split: SetUp) -> None:
    port = free_port()
    index = start_index(tmp_path / "index", [f"127.0.0.1:{port}"], token_seconds="1")
    registry = start_registry(tmp_path / "registry", index.url, port, grant_seconds="0")
    with running(index, registry):
        sign_up(index.target, ALICE)
        setup = SetUp("short-lived", index.target, registry.target, registry, index)
        pusher = make_pusher(setup, make_image())
        foreign = make_pusher(split, pusher.image)
        path = f"PUT /v1/images/{pusher.image.id}/json"
        refused(call(registry.target, path, foreign.token, pusher.image.json), 401)
        renamed = foreign.token["Authorization"].replace(foreign.name, pusher.name)
        refused(call(registry.target, path, {"Authorization": renamed}, pusher.image.json), 401)
        eventually(
            lambda: call(registry.target, path, pusher.token, pusher.image.json).status == 401,
            lambda: "an expired token still works",
        )
        refused(call(registry.target, path, pusher.token, pusher.image.json), 401)


LIMIT = 4


@pytest.fixture(scope="module")
def strict_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An index that makes no accounts by itself and soon has enough of wrong passwords."""
    folder = tmp_path_factory.mktemp("strict")
    rates = {"login_rate": f"{LIMIT}/hour", "address_rate": "1000/hour"}
    index = start_index(folder, ["127.0.0.1:1"], sign_up="admin", credential_seconds="0", **rates)
    yield index
    index.process.stop()


def basic(account: Account) -> dict[str, str]:
    return {"Authorization": Daemon(NEWEST, Target("http", "", 0), account.name, account.password).basic}


def without_moment(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    changing = ("Date", "X-Request-Id", "Retry-After")
    return answer.status, answer.body, {name: value for name, value in answer.headers if name not in changing}


@pytest.mark.parametrize("way", ["login", "sign-up", "images", "search"])
def test_wrong_passwords_tell_nothing_and_are_limited(strict_index: Service, way: str) -> None:
    """A name that exists and one that does not are answered alike, try after try, until both are 429."""
    names = [make_account(strict_index).name, f"nobody{secrets.token_hex(4)}"]
    answers = [[try_password(strict_index, way, name) for _ in range(LIMIT + 1)] for name in names]
    known, unknown = [[without_moment(answer) for answer in row] for row in answers]
    assert known == unknown
    assert [status for status, _, _ in known] == [401] * LIMIT + [429]
    for answer in answers[0]:
        assert answer.error()
    assert int(answers[0][-1].header("Retry-After") or "0") > 0


def make_account(index: Service) -> Account:
    account = Account(f"known{secrets.token_hex(4)}")
    index_command(index.environ, "create-user", "--password-stdin", account.name, typed=account.password)
    return account


def try_password(index: Service, way: str, name: str) -> Answer:
    wrong = Account(name, "not-the-password")
    if way == "sign-up":
        body = json.dumps({"username": name, "password": wrong.password, "email": "x@example.com"}).encode()
        return call(index.target, "POST /v1/users/", body=body)
    lines = {"login": "/v1/users/", "images": "/v1/repositories/x/y/images", "search": "/v1/search?q=x"}
    return call(index.target, f"GET {lines[way]}", basic(wrong))


def test_limits_of_one_name_do_not_touch_another(strict_index: Service) -> None:
    victim, other = make_account(strict_index), make_account(strict_index)
    for _ in range(LIMIT + 1):
        last = try_password(strict_index, "login", victim.name)
    assert last.status == 429
    assert call(strict_index.target, "GET /v1/users/", basic(other)).status == 200


def test_old_daemons_log_in_where_sign_up_is_shut(strict_index: Service) -> None:
    """POST with the right password gets the 34 bytes, and the login goes on (protocol §2.2)."""
    account = make_account(strict_index)
    Daemon(NEWEST, strict_index.target, account.name, account.password).login()
    body = json.dumps({"username": account.name, "password": account.password, "email": "x@example.com"}).encode()
    answer = call(strict_index.target, "POST /v1/users/", body=body)
    assert (answer.status, answer.body) == (400, b'"Username or email already exists"')


@pytest.mark.parametrize("setup", ["split-http"], indirect=True)
@pytest.mark.parametrize("who", [None, MALLORY], ids=["nobody", "somebody else"])
def test_a_private_name_looks_like_none(setup: SetUp, who: Account | None) -> None:
    assert setup.index_service is not None
    name, chain = setup.fresh_name("private"), make_chain(1)
    owner = Daemon(NEWEST, setup.index, ALICE.name, ALICE.password)
    owner.push(name, chain)
    index_command(setup.index_service.environ, "set-access", name, "private")
    absent = setup.fresh_name("private")
    for line in ("GET {}/images", "PUT {}/", "PUT {}/images", "DELETE {}/", "DELETE {}/images", "PUT {}/auth"):
        answers = [
            call(
                setup.index,
                line.format(f"/v1/repositories/{one}"),
                {"X-Docker-Token": "true", **(basic(who) if who else {})},
                b"[]" if line.startswith("PUT") else None,
            )
            for one in (name, absent)
        ]
        assert without_moment(answers[0]) == without_moment(answers[1]), line
        assert answers[0].status in (401, 403, 404), line
    same_bytes(owner.pull(name), chain)


@pytest.mark.parametrize(
    "account",
    [
        {"username": "a", "password": "long-enough-1", "email": "a@example.com"},
        {"username": "UPPER", "password": "long-enough-1", "email": "a@example.com"},
        {"username": "../etc", "password": "long-enough-1", "email": "a@example.com"},
        {"username": "a" * MANY, "password": "long-enough-1", "email": "a@example.com"},
        {"username": "nul\x00nul", "password": "long-enough-1", "email": "a@example.com"},
        {"username": "library", "password": "long-enough-1", "email": "a@example.com"},
        {"username": "shorty", "password": "1234", "email": "a@example.com"},
        {"username": "nomail", "password": "long-enough-1", "email": "no address"},
        {"username": "huge", "password": "p" * 100_000, "email": "a@example.com"},
        {"username": 7, "password": [], "email": {}},
        {},
    ],
    ids=str,
)
def test_accounts_nobody_may_make(split: SetUp, account: dict[str, object]) -> None:
    answer = call(split.index, "POST /v1/users/", body=json.dumps(account).encode())
    refused(answer, 400)
