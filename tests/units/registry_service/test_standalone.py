"""The index's routes of a standalone registry: the endpoint that it announces."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from registry_service.app import create_app
from registry_service.settings import RegistrySettings
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory


def client_of(**settings: object) -> FlaskClient:
    return create_app(RegistrySettings(standalone=True, hosts=("*",), **settings), Guard(Memory())).test_client()


@pytest.fixture
def client() -> FlaskClient:
    return client_of()


def begin_push(client: FlaskClient, **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put("/v1/repositories/acme/app/", data="[]", headers=sent)


@pytest.mark.parametrize(
    "host",
    [
        *("docker_registry:5000", "project_registry_1", "_", "registry.example", "registry:80", "Registry:5000"),
        *("127.0.0.1:5000", "[::1]:5000", "[2001:db8::1]", "a-b.c_d.:65535"),
    ],
)
def test_the_endpoint_is_the_host_that_the_client_named(client: FlaskClient, host: str) -> None:
    for answer in (
        begin_push(client, Host=host),
        client.get("/v1/repositories/acme/app/images", headers={"Host": host}),
        begin_push(client_of(trusted_proxies=1), Host="inside:5000", X_Forwarded_Host=host),
    ):
        assert answer.status_code == 200
        assert answer.headers.getlist("X-Docker-Endpoints") == [host]


@pytest.mark.parametrize("host", ["", "a b", "a,b", "a/b", "user@host", "[::1", "host:port", "h\xf6st", "a?b", 'a"b'])
def test_no_endpoint_is_made_of_a_host_that_is_none(client: FlaskClient, host: str) -> None:
    answer = begin_push(client, Host=host)
    assert answer.status_code == 400
    assert json.loads(answer.data) == {
        "error": "Invalid Host header: it has to name the registry, as host or host:port"
    }


def test_a_configured_endpoint_needs_no_host() -> None:
    answer = begin_push(client_of(endpoints=("registry.example:5000",)), Host="a b")
    assert answer.headers.getlist("X-Docker-Endpoints") == ["registry.example:5000"]
