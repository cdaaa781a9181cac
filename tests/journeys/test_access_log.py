"""Access logs of both services: who asked for what, found again in the other service's, rotated, without a secret."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import NEWEST
from tests.clients.images import make_chain
from tests.clients.wire import Connection, call
from tests.servers.process import ServerFailed, eventually, free_port
from tests.servers.services import Account, Service, running, sign_up, start_index, start_registry

ALICE = Account("alice")
Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Site:
    index: Service
    registry: Service

    def lines(self, name: str) -> Lines:
        service = getattr(self, name)
        text = (service.folder / "access.log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def wait_for(self, name: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The line is written after the client has its answer."""
        eventually(lambda: any(map(fits, self.lines(name))), lambda: f"no such line: {self.lines(name)[-5:]}", 20)
        return next(line for line in self.lines(name) if fits(line))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("logs"), free_port()
    of_index, of_registry = folder / "index", folder / "registry"
    for each in (of_index, of_registry):
        each.mkdir()
    index = start_index(
        of_index, [f"127.0.0.1:{port}"], workers="2", access_log="json", access_log_file=str(of_index / "access.log")
    )
    registry = start_registry(
        of_registry, index.url, port, access_log="json", access_log_file=str(of_registry / "access.log")
    )
    with running(registry, index):
        sign_up(index.target, ALICE)
        yield Site(index, registry)


def test_a_pull_is_told_at_both_services_under_one_token(site: Site) -> None:
    chain = make_chain(2)
    Daemon(NEWEST, site.index.target, ALICE.name, ALICE.password).push("alice/told", chain)
    Daemon(NEWEST, site.index.target, ALICE.name, ALICE.password).pull("alice/told")
    top = chain[-1]
    layer = site.wait_for(
        "registry", lambda line: line.get("method") == "GET" and line.get("path") == f"/v1/images/{top.id}/layer"
    )
    assert layer["route"] == "/v1/images/<image_id>/layer"
    assert (layer["status"], layer["bytes"], layer["repository"]) == (200, len(top.layer), "alice/told")
    assert layer["service"] == "registry"
    assert layer["address"] == "127.0.0.1"
    assert layer["agent"].startswith("docker/")
    assert 0 < layer["seconds"] < 60
    checked = site.wait_for("index", lambda line: line.get("token") == layer["token"])
    assert (checked["account"], checked["repository"]) == ("alice", "alice/told")
    asking = site.wait_for("registry", lambda line: line.get("upstream", {}).get("index", 0) > 0)
    # The registry's question bears the id of the request that it is about.
    assert site.wait_for("index", lambda line: line.get("id") == asking["id"])["status"] == 200
    uploaded = site.wait_for(
        "registry", lambda line: line.get("method") == "PUT" and line.get("path") == f"/v1/images/{top.id}/layer"
    )
    assert uploaded.get("received", len(top.layer)) == len(top.layer)


def test_a_person_and_an_access_token_are_told_apart(site: Site) -> None:
    basic = base64.b64encode(f"alice:{ALICE.password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    body = json.dumps({"name": "ci", "pattern": "alice/*"}).encode()
    made = call(site.index.target, "POST /api/v1/account/tokens", headers, body)
    assert made.status == 201, made
    secret = re.search(rb"whp_[\w-]+", made.body)
    assert secret is not None
    call(site.index.target, "GET /api/v1/account?by=token", {"Authorization": f"Bearer {secret[0].decode()}"})
    by_token = site.wait_for("index", lambda line: line.get("access_token") is not None)
    assert by_token["account"] == "alice"
    assert secret[0].decode() not in (site.index.folder / "access.log").read_text(encoding="utf-8")
    by_password = site.wait_for("index", lambda line: line.get("route") == "/api/v1/account/tokens")
    assert by_password["account"] == "alice"
    assert "access_token" not in by_password


TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_trace_goes_on_at_the_other_service(site: Site) -> None:
    sent = {
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
        "Authorization": f'Token signature={"x" * 40},repository="alice/traced",access=read',
    }
    assert call(site.registry.target, "GET /v1/repositories/alice/traced/tags", sent).status == 401
    here = site.wait_for("registry", lambda line: line.get("trace_id") == TRACE)
    there = site.wait_for("index", lambda line: line.get("trace_id") == TRACE)
    assert here["id"] == there["id"]
    assert len({here["span_id"], there["span_id"], "b7ad6b7169203331"}) == 3


@pytest.mark.parametrize("sent", ["00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 500, f"00-{TRACE}-{'0' * 16}-01"])
def test_what_is_no_trace_is_none(site: Site, sent: str) -> None:
    id_ = f"untraced-{secrets.token_hex(4)}"
    call(site.registry.target, "GET /v1/_ping", {"traceparent": sent, "X-Request-Id": id_})
    assert "trace_id" not in site.wait_for("registry", lambda line: line.get("id") == id_)


def test_no_secret_gets_into_it_and_no_line_is_forged(site: Site) -> None:
    for service in (site.index, site.registry):
        secret = secrets.token_hex(20)
        basic = base64.b64encode(f"alice:{secret}".encode()).decode()
        for line in (
            f"GET /reset/{secret}",
            f"GET //confirm//{secret}",
            f"GET /v2/token?token={secret}",
            f"GET /v1/_ping?access_token={secret}&password={secret}",
            f"GET /v1/repositories/whp_{secret}/images",
            f"GET /v1/repositories/alice/Bearer%20{secret}/tags",
            f"GET /v1/images/signature={secret}/json",
            "GET /x%22%0a{%22id%22:%22forged%22}",
        ):
            call(service.target, line, {"Authorization": f"Basic {basic}", "User-Agent": f"Bearer {secret}"})
        for raw in (
            f"GET /v1/_ping HTTP/1.1\r\nHost: x\r\nAuthorization Basic {basic}\r\n\r\n",
            f"{secret}\r\n\r\n",
            f"GET /{secret} HTTP/1.1\r\nHost: x\r\n{secret}\r\n\r\n",
            f"{secret} /reset/{secret}\r\n\r\n",
        ):
            with Connection(service.target) as connection:
                connection.send(raw.encode())
                assert connection.read_answer().status in (400, 501)
        name = service.process.name
        site.wait_for(name, lambda line: str(line.get("path", "")).startswith("/x"))
        # Of what was no request nothing is told but that it came.
        nothing = site.wait_for(name, lambda line: "path" not in line and line["status"] == 400)
        assert set(nothing) == {"time", "service", "address", "status", "bytes", "seconds"}
        text = (service.folder / "access.log").read_text(encoding="utf-8")
        assert secret not in text
        assert basic not in text
        assert not [line for line in site.lines(name) if line.get("id") == "forged"]


@pytest.mark.parametrize("name", ["index", "registry"])
def test_a_rotated_file_is_left_at_the_signal(site: Site, name: str) -> None:
    """Whatever requests are under way, no line is lost, and each is in one of both files."""
    service = getattr(site, name)
    log, old = service.folder / "access.log", service.folder / "access.log.1"
    ids = [f"turn-{secrets.token_hex(4)}" for _ in range(200)]
    for number, id_ in enumerate(ids):
        if number == 100:
            log.rename(old)
            os.kill(service.process.pid, signal.SIGUSR1)
        assert call(service.target, "GET /v1/_ping", {"X-Request-Id": id_}).status == 200
    eventually(log.exists, lambda: "no new file")

    def told() -> list[str]:
        return re.findall(r"turn-\w+", old.read_text(encoding="utf-8") + log.read_text(encoding="utf-8"))

    eventually(lambda: sorted(told()) == sorted(ids), lambda: f"{len(told())} lines")
    eventually(lambda: ids[-1] in log.read_text(encoding="utf-8"), lambda: "still the old one")


def test_the_common_format_and_none(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    registry = start_registry(tmp_path / "common", None, access_log="common", access_log_file=str(log))
    with running(registry):
        call(registry.target, "GET /v1/repositories/x/%22y%20z/tags?secret=1")
        form = (
            r"127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
            r'"GET /v1/repositories/x/%22y%20z/tags HTTP/1\.1" 40\d \d+'
        )
        eventually(lambda: re.search(form, log.read_text(encoding="utf-8")) is not None, lambda: log.read_text("utf-8"))
    registry = start_registry(tmp_path / "off", None)
    with running(registry):
        call(registry.target, "GET /v1/_ping?unheard-of")
        assert "_ping" not in registry.process.log.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_to_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=r"the access log cannot be written to /nowhere/access\.log"):
        start_registry(tmp_path, None, access_log="json", access_log_file="/nowhere/access.log")
