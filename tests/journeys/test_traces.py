"""What real daemons were recorded to send, sent again to live processes: every answer must let the daemon go on."""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.docker_v1 import KNOWN_USER, Daemon
from tests.clients.generations import NEWEST
from tests.clients.images import TRAILER, Chain, Image, make_tar, pack
from tests.clients.wire import Answer, Header, Target, ask
from tests.servers.setups import ALICE, SetUp

TRACES = Path(__file__).with_name("traces")
CLIENTS = ("docker-0.9.1", "docker-1.6.2", "docker-1.12.6")
WRONG_PASSWORD = "wrongpass"

_INDEX_ROUTE = re.compile(r"\S+ (/v2/|/v1/_ping|/v1/users|/v1/search|/v1/repositories/.+/(images)?( |$))")


@dataclass
class Replay:
    """One client's recorded requests against one set-up, with values of today filled in."""

    trace: dict[str, Any]
    setup: SetUp
    repository: str
    chain: Chain
    values: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    registry: Target | None = None

    def __post_init__(self) -> None:
        self.values = {
            "repository": self.repository,
            "user": ALICE.name,
            "password": ALICE.password,
            "wrong_password": WRONG_PASSWORD,
            "basic": _basic(ALICE.password),
            "wrong_basic": _basic(WRONG_PASSWORD),
            **{f"id{number}": image.id for number, image in enumerate(self.chain)},
        }

    def play(self, scenario: str, action: str) -> None:
        """Send every request of one recorded command."""
        self.cookies.clear()
        for number, step in enumerate(self.trace["scenarios"][scenario][action]):
            answer = self._send(step)
            where = f"{self.trace['client']} {scenario} {action}, step {number}: {step['ask']}\ngot {answer}"
            self._compare(step, answer, where)

    def _send(self, step: dict[str, Any]) -> Answer:
        line = self._fill(step["ask"])
        image = next((one for one in self.chain if one.id in line), None)
        body, chunks = self._body(step, image)
        target = self.setup.index if _INDEX_ROUTE.match(line) else (self.registry or self.setup.registry)
        self.values |= {"host": target.netloc, "registry": target.at((self.registry or target).netloc).url}
        self.values["length"] = str(len(body or b""))
        self._describe(image)
        headers = [self._header(text) for text in self.trace["heads"][step["head"]]]
        answer = ask(target, line, [header for header in headers if header is not None], body, chunks)
        self._remember(answer)
        return answer

    def _body(self, step: dict[str, Any], image: Image | None) -> tuple[bytes | None, tuple[bytes, ...] | None]:
        kind = step.get("body")
        if kind == "layer" and image:
            return None, image.chunks
        if kind == "json" and image:
            return image.json, None
        return (None if kind is None else self._fill(kind).encode()), None

    def _describe(self, image: Image | None) -> None:
        if image is None:
            return
        half = len(image.layer) // 2
        self.values |= {
            "tarsum": image.tarsum,
            "payload": image.payload,
            "wrong_payload": image.wrong_payload,
            "size": str(len(image.layer)),
            "half": str(half),
            "rest": str(len(image.layer) - half),
        }

    def _header(self, text: str) -> Header | None:
        name, _, value = text.partition(": ")
        if name == "Cookie" and not self.cookies:
            return None
        self.values["cookies"] = "; ".join(f"{key}={content}" for key, content in self.cookies.items())
        return name, self._fill(value)

    def _fill(self, text: str) -> str:
        return re.sub(r"\{\{(\w+)\}\}", lambda match: self.values[match[1]], text)

    def _remember(self, answer: Answer) -> None:
        for line in answer.headers_named("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        if token := answer.header("X-Docker-Token"):
            self.values["token"] = token.removeprefix("Token ")
        if endpoint := answer.header("X-Docker-Endpoints"):
            self.registry = self.setup.index.at(endpoint)

    def _compare(self, step: dict[str, Any], answer: Answer, where: str) -> None:
        if step.get("answer") == "known user":
            # A standalone registry has no accounts: everybody is new, and that lets the login go on too.
            known = (answer.status, answer.body) == (400, KNOWN_USER)
            assert known or (self.setup.standalone and answer.status == 201), where
            return
        wanted = step["want"]
        assert answer.status in (wanted if isinstance(wanted, list) else [wanted]), where
        for name, value in step.get("headers", {}).items():
            got = answer.header(name)
            assert (got is not None) if value == "*" else (got == (value and self._fill(value))), f"{where}\n{name}"
        if "answer" in step:
            self._compare_body(step, answer, where)
        if answer.status >= 400:
            answer.error()

    def _compare_body(self, step: dict[str, Any], answer: Answer, where: str) -> None:
        image = next((one for one in self.chain if one.id in answer.asked), self.chain[-1])
        half, ids = len(image.layer) // 2, [one.id for one in self.chain]
        kind = step["answer"]
        if kind in ("json", "layer", "first half", "second half"):
            expected = {
                "json": image.json,
                "layer": image.layer,
                "first half": image.layer,
                "second half": image.layer[half:],
            }
            assert answer.body == expected[kind], where
        elif kind == "images":
            assert {entry["id"] for entry in answer.json()} == set(ids), where
        elif kind == "tags":
            assert ids[-1] in answer.json().values(), where
        elif kind == "tag":
            assert answer.json() == ids[-1], where
        elif kind == "ancestry":
            assert answer.json() == ids[::-1], where
        else:
            found = answer.json()
            assert type(found["num_results"]) is int, where
            assert self.repository in [result["name"] for result in found["results"]], where


def _basic(password: str) -> str:
    return base64.b64encode(f"{ALICE.name}:{password}".encode()).decode()


def make_replay(client: str, setup: SetUp, repository: str) -> Replay:
    """The images of the recording with fresh ids and layers; 0.9.1 left the tar's trailer away."""
    trace = json.loads((TRACES / f"{client}.json").read_text(encoding="utf-8"))
    chain: list[Image] = []
    ids = [secrets.token_hex(32) for _ in trace["images"]]
    for number, template in enumerate(trace["images"]):
        document = re.sub(r"\{\{id(\d)\}\}", lambda match: ids[int(match[1])], template).encode()
        tar = make_tar({"srv/data": secrets.token_bytes(20000)})
        sent = tar.removesuffix(TRAILER) if client == "docker-0.9.1" else tar
        parent = ids[number - 1] if number else None
        chain.append(Image(ids[number], parent, document, tar, pack(sent, "gzip")))
    return Replay(trace, setup, repository, tuple(chain))


@pytest.mark.parametrize(
    ("scenario", "setup"),
    [
        ("http-index", "split-http"),
        ("http-index", "one-host-http"),
        ("tls-index", "split-tls"),
        ("tls-index", "one-host-tls"),
        ("tls-standalone", "standalone-tls"),
    ],
    indirect=["setup"],
)
@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_commands_in_a_row(client: str, scenario: str, setup: SetUp) -> None:
    # The recorded search asks for `acme`.
    replay = make_replay(client, setup, setup.fresh_name("acme"))
    for action in replay.trace["scenarios"][scenario]:
        # Without accounts there is no wrong password.
        if not (setup.standalone and action == "login-bad"):
            replay.play(scenario, action)


@pytest.mark.parametrize("setup", ["standalone-http"], indirect=True)
@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_push_and_pull_of_a_name_without_a_namespace(client: str, setup: SetUp) -> None:
    replay = make_replay(client, setup, f"nons-{secrets.token_hex(4)}")
    replay.play("nons", "push")
    replay.play("nons", "pull")


@pytest.mark.parametrize("setup", ["standalone-http"], indirect=True)
@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_pull_that_was_cut_half_way(client: str, setup: SetUp) -> None:
    """1.6.2 and 1.12.6 go on from the byte they had, asking for one byte too many."""
    replay = make_replay(client, setup, setup.fresh_name("brk"))
    Daemon(NEWEST, setup.index).push(replay.repository, replay.chain, "one")
    replay.play("broken-ranges", "pull")
