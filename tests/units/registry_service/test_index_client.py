"""The questions to the index, asked of a real server that answers well, badly, slowly or not at all."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.statements import StatementKey, write_keys
from registry_service.index_client import (
    CONNECTIONS,
    MAX_ANSWER_BYTES,
    PATIENCE,
    RETRY_SECONDS,
    IndexBusy,
    IndexClient,
    IndexUnreachable,
    Standing,
)

ACME = RepositoryName("acme", "a/b")
IMAGE = ImageId("a" * 64)
AUTHORIZATION = 'Token signature=s,repository="acme/a/b",access=read'


class ScriptedIndex(ThreadingHTTPServer):
    """Answers every request with `status` and `body`, after `delay` seconds, and keeps what it was asked."""

    daemon_threads = True
    status, body, delay = 200, b"[]", 0.0
    closes_after_answer = False
    stuck = 0
    """So many questions, from the first on, are not answered before `delay` has passed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ScriptedHandler)
        self.asked: list[tuple[str, str, str | None, bytes]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class ScriptedHandler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    server: ScriptedIndex

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
        if not self.server.stuck or len(self.server.asked) <= self.server.stuck:
            time.sleep(self.server.delay)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)
        # Closed without a word, as a server does whose keep-alive time is over.
        self.close_connection = self.server.closes_after_answer

    do_GET = do_PUT = do_DELETE = answer

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def index():
    with ScriptedIndex() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(index):
    return IndexClient(index.url, 2.0)


def test_the_callers_authorization_travels_unchanged(index, client):
    entries = [{"id": IMAGE, "checksum": "x"}]
    entries += [{"id": digit * 64, "held": held} for digit, held in (("b", "shared"), ("c", "apart"), ("d", "lent"))]
    index.body = json.dumps(entries).encode()
    assert client.images(ACME, AUTHORIZATION) == {
        IMAGE: Standing.ANNOUNCED,
        "b" * 64: Standing.SHARED,
        "c" * 64: Standing.APART,
        "d" * 64: Standing.LENT,
    }
    assert index.asked == [("GET", "/v1/repositories/acme/a/b/images", AUTHORIZATION, b"")]


def test_keys_are_asked_for_with_the_token_that_they_are_for(index, client):
    """The index answers what bears a token before logins."""
    index.body = json.dumps(write_keys([StatementKey("k" * 32).public], 12.5)).encode()
    assert client.token_keys(AUTHORIZATION)[1] == 12.5
    assert index.asked == [("GET", "/v1/token_keys", AUTHORIZATION, b"")]


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"{}"), (401, b"{}"), (200, b"[]"), (200, b'{"keys": ["00"], "now": 1}'), (500, b"")]
)
def test_an_index_that_tells_no_keys_is_unavailable(index, client, status, body):
    index.status, index.body = status, body
    with pytest.raises(Unavailable):
        client.token_keys(AUTHORIZATION)


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_any_other_answer_is_a_bad_token(index, client, status):
    index.status = status
    with pytest.raises(Unauthenticated):
        client.images(ACME, AUTHORIZATION)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_an_index_in_trouble_is_unavailable(index, client, status):
    index.status = status
    for question in (client.images, client.consume_delete):
        with pytest.raises(Unavailable):
            question(ACME, AUTHORIZATION)


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"a": 1}', b'["x"]', b"[{}]", b"null", b"7", b'[{"id": "a", "held": "x"}]', b"[" * 200_000]
)
def test_an_answer_that_is_no_list_opens_nothing(index, client, body):
    index.body = body
    with pytest.raises(Unavailable):
        client.images(ACME, AUTHORIZATION)


@pytest.mark.parametrize(
    ("body", "readable"),
    [(b'{"access": true}', True), (b'{"access": false}', False), (b'{"access": "true"}', False), (b"true", False)],
)
def test_only_a_plain_yes_opens_an_image(index, client, body, readable):
    index.body = body
    assert client.may_read(ACME, IMAGE, AUTHORIZATION) is readable
    assert index.asked[0][1] == f"/v1/repositories/acme/a/b/layer/{IMAGE}/access"


def test_a_slow_index_is_unavailable(index):
    index.delay = 1.5
    with pytest.raises(Unavailable):
        IndexClient(index.url, 0.1).images(ACME, AUTHORIZATION)


def test_an_index_that_is_gone_is_unavailable(index):
    unused = ScriptedIndex()
    unused.server_close()
    with pytest.raises(Unavailable):
        IndexClient(unused.url, 0.5).images(ACME, AUTHORIZATION)
    assert IndexClient(unused.url, 0.5).is_alive() is False


def test_connections_are_kept_and_a_closed_one_is_replaced(index, client):
    client.images(ACME, AUTHORIZATION)
    client.images(ACME, AUTHORIZATION)
    assert index.connections == 1
    index.closes_after_answer = True
    for _ in range(4):
        client.images(ACME, AUTHORIZATION)
    assert len(index.asked) == 6


def test_an_endless_answer_is_cut(index, client):
    index.body = b" " * (MAX_ANSWER_BYTES + 2)
    with pytest.raises(Unavailable):
        client.images(ACME, AUTHORIZATION)


def test_tags_are_asked_about_with_their_image(index, client):
    client.set_tag(ACME, Tag("v1"), IMAGE, AUTHORIZATION)
    client.delete_tag(ACME, Tag("a?b"), AUTHORIZATION)
    assert index.asked == [
        ("PUT", "/v1/repositories/acme/a/b/tags/v1", AUTHORIZATION, json.dumps(IMAGE).encode()),
        ("DELETE", "/v1/repositories/acme/a/b/tags/a%3Fb", AUTHORIZATION, b""),
    ]


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, Unauthenticated),
        (409, Invalid),
        (429, Unavailable),
        (500, Unavailable),
    ],
)
def test_a_refused_tag_is_not_an_index_that_cannot_be_reached(index, client, status, refusal):
    index.status = status
    for ask in (lambda: client.set_tag(ACME, Tag("v1"), IMAGE, AUTHORIZATION),
                lambda: client.delete_tag(ACME, Tag("v1"), AUTHORIZATION)):  # fmt: skip
        with pytest.raises(refusal) as raised:
            ask()
        assert not isinstance(raised.value, IndexUnreachable)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_does_not_reach_the_index_is_told_apart(index, client, status):
    index.status = status
    with pytest.raises(IndexUnreachable):
        client.set_tag(ACME, Tag("v1"), IMAGE, AUTHORIZATION)


def test_ping(index, client):
    assert client.is_alive() is True
    index.status = 503
    assert client.is_alive() is False


def ask_together(client, number):
    """What each of so many callers at once got, in the order in which they came."""

    def ask(place):
        try:
            return client.images(RepositoryName("acme", f"app{place}"), AUTHORIZATION)
        except Unavailable as failure:
            return failure

    with ThreadPoolExecutor(number) as pool:
        asked = []
        for place in range(number):
            asked.append(pool.submit(ask, place))
            while arrived(client, asked) <= place:
                time.sleep(0.0005)
        return [each.result() for each in asked]


def arrived(client, asked):
    """How many have been answered, have their turn or wait for it; one that goes on meanwhile is missed, not counted
    twice."""
    answered = sum(each.done() for each in asked)
    with_turn = CONNECTIONS - client.turns._free
    return answered + with_turn + len(client.turns._queue)


def test_many_who_ask_at_once_share_few_connections_in_the_order_they_came(index):
    """The sum of their waits is many times the timeout, which bounds one request."""
    index.delay = 0.05
    answers = ask_together(IndexClient(index.url, 0.5), 150)
    assert answers == [{}] * 150
    assert index.connections <= CONNECTIONS
    places = [int(path.split("/")[4].removeprefix("app")) for _, path, _, _ in index.asked]
    assert max(abs(place - turn) for turn, place in enumerate(places)) <= 2 * CONNECTIONS


def test_a_question_that_is_stuck_is_put_again(index):
    index.stuck, index.delay = 3, 10.0
    client = IndexClient(index.url, 1.5)
    assert ask_together(client, 20) == [{}] * 20
    assert len(index.asked) == 23


@pytest.mark.parametrize("change", ["set_tag", "consume_delete"])
def test_what_changes_something_is_not_sent_twice(index, change):
    index.stuck, index.delay = 1, 10.0
    given = {"set_tag": (Tag("v1"), IMAGE, AUTHORIZATION), "consume_delete": (AUTHORIZATION,)}[change]
    with pytest.raises(IndexUnreachable):
        getattr(IndexClient(index.url, 1.0), change)(ACME, *given)
    assert len(index.asked) == 1


def test_who_would_wait_too_long_is_told_at_once_when_to_come_again(index):
    index.delay = 0.2
    client = IndexClient(index.url, 0.5)
    began = time.monotonic()
    answers = ask_together(client, 250)
    took = time.monotonic() - began
    refused = [answer for answer in answers if answer != {}]
    assert refused
    assert len(answers) - len(refused) >= PATIENCE * CONNECTIONS / 2
    assert {type(answer) for answer in refused} == {IndexBusy}
    assert all(answer.retry_after >= RETRY_SECONDS for answer in refused)
    # Nobody waits for much longer than is allowed, and not one after the other.
    assert took < 5 * PATIENCE * 0.5


def test_where_one_process_cannot_be_reached_the_next_is_asked(index):
    """And again it, until it cannot be reached either."""
    gone = ScriptedIndex()
    gone.server_close()
    client = IndexClient(f"{gone.url},{index.url},{gone.url}", 5.0)
    for _ in range(2):
        assert client.images(ACME, AUTHORIZATION) == {}
    assert index.connections == 1
    index.shutdown()
    index.server_close()
    with pytest.raises(IndexUnreachable):
        IndexClient(f"{gone.url},{gone.url}", 5.0).images(ACME, AUTHORIZATION)
