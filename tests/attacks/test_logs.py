"""What a client sends ends no line of a log, and no secret gets into one."""

from __future__ import annotations

import base64
import secrets
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.clients.wire import Connection, call
from tests.servers.process import free_port
from tests.servers.services import Service, start_registry
from tests.servers.setups import SetUp

FORGED = "2026-01-01 00:00:00,000 INFO registry [forged] all is well"


@pytest.fixture(scope="module")
def orphan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A registry whose index is down."""
    registry = start_registry(tmp_path_factory.mktemp("orphan"), f"http://127.0.0.1:{free_port()}", log_level="debug")
    yield registry
    registry.process.stop()


def test_a_client_writes_no_line_of_its_own(orphan: Service) -> None:
    text = "".join(f"%{byte:02x}" for byte in f"x\r\n{FORGED}\n\x1b[2J\u2028{FORGED}".encode())
    token = {"Authorization": f'Token signature={"s" * 40},repository="a/b",access=write'}
    for line in (f"GET /v1/images/{text}/json", f"PUT /v1/images/{text}/checksum"):
        assert call(orphan.target, line, token, b"" if line.startswith("PUT") else None).status == 503
    log = orphan.process.log.read_text(encoding="utf-8")
    assert "forged" in log
    assert not [line for line in log.splitlines() if line.startswith(FORGED)]
    assert "\x1b" not in log


def test_no_secret_is_written(orphan: Service) -> None:
    """Neither by the registry nor by gunicorn, which complains of requests that are none."""
    secret = secrets.token_hex(20)
    basic = base64.b64encode(f"alice:{secret}".encode()).decode()
    for authorization in (
        f'Token signature={secret},repository="a/b",access=read',
        f"Basic {basic}",
        f"Token {secret}",
    ):
        call(orphan.target, "GET /v1/repositories/a/b/tags", {"Authorization": authorization})
        with Connection(orphan.target) as connection:
            connection.send(b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\nAuthorization %s\r\n\r\n" % authorization.encode())
            assert connection.read_answer().status == 400
    log = orphan.process.log.read_text(encoding="utf-8")
    assert secret not in log
    assert basic not in log


MALFORMED = (
    "Authorization Bearer whp_%s",
    "Authorization Bearer %s: x",
    "Authorization\x0b: Basic %s",
    "Cookie wharfinger-session=%s",
    "X-CSRF-Token %s",
    " %s",
    "%s",
    "%s /reset/%s",
)


def test_a_daemon_that_tries_tls_is_told_and_makes_no_line_in_the_log(split: SetUp) -> None:
    """Docker does at each ping. Its handshake is random: it holds an end of a line or none."""
    for service in (split.index_service, split.registry_service):
        assert service is not None
        before = service.process.log.read_text(encoding="utf-8")
        for handshake in (b"\x16\x03\x01\x02\x00" + bytes(300), b"\x16\x03\x01\x00\x07\n\r\n\r\nx"):
            with Connection(service.target) as connection:
                connection.send(handshake)
                answer = connection.read_answer()
                assert (answer.status, answer.error()) == (400, "This port speaks plain HTTP, not TLS")
        address = service.target.host, service.target.port
        with socket.create_connection(address) as plain, pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        assert service.process.log.read_text(encoding="utf-8") == before


def test_of_a_request_that_is_none_nothing_is_written(split: SetUp) -> None:
    """Whatever it was meant to be."""
    for service in (split.index_service, split.registry_service):
        assert service is not None
        secret = secrets.token_hex(20)
        for line in [line.replace("%s", secret) for line in MALFORMED]:
            for request in (f"GET /v1/_ping HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n", f"{line}\r\n\r\n"):
                with Connection(service.target) as connection:
                    connection.send(request.encode())
                    assert connection.read_answer().status == 400
        for path in (f"/reset/{secret}", f"//reset//{secret}", f"/reset?token={secret}"):
            call(service.target, f"GET {path}")
        assert "Invalid request from" in service.process.log.read_text(encoding="utf-8")
        assert secret not in service.process.log.read_text(encoding="utf-8")
