"""Which hosts a registry without accounts is reached by, so that no web page reaches it by its own."""

from __future__ import annotations

import socket

import pytest

from registry_service.app import create_app
from registry_service.settings import RegistrySettings
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.units.registry_service.test_delivery import IMAGE, Buffered, push

REFUSED = "evil.example is not a host of this registry; if it is, add it to WHARFINGER_REGISTRY_HOSTS"


def client_of(**settings):
    app = create_app(RegistrySettings(**{"standalone": True, **settings}), Guard(Memory()))
    app.test_client_class = Buffered
    return app.test_client()


@pytest.mark.parametrize(
    "line", ["GET /v1/_ping", "GET /", f"GET /v1/images/{IMAGE}/layer", "GET /v1/search", "PUT /v1/repositories/a/b/"]
)
def test_a_page_that_rebinds_its_name_gets_nothing(line):
    client = client_of()
    push(client)
    method, path = line.split()
    for host in ("evil.example", "evil.example:5001", "EVIL.example.:80", "a!b.evil.example", "a*~.evil.example:80"):
        answer = client.open(path, method=method, data=b"[]" if method == "PUT" else None, headers={"Host": host})
        assert answer.status_code == 403
        assert answer.json["error"].endswith(REFUSED)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:5001", "192.0.2.7:80", "[::1]:5001", "[2001:db8::1]", "[::ffff:127.0.0.1]:5001"),
        *("localhost", "LOCALHOST:5001", "images.localhost:5001", "registry:5000", "docker_registry", "", "a b"),
        *(socket.gethostname(), "registry.example", "Registry.Example.:5000", "other.example", "other.example:81"),
    ],
)
def test_its_own_hosts_are_allowed(host):
    client = client_of(endpoints=("registry.example:5000",), hosts=("other.example",))
    assert client.get("/v1/_ping", headers={"Host": host}).status_code == 200


def test_any_host_is_allowed_if_the_operator_says_so_or_tokens_protect():
    for client in (
        client_of(hosts=("*",)),
        client_of(standalone=False, index_url="http://127.0.0.1:1", secret_keys=("k" * 32,)),
    ):
        assert client.get("/v1/_ping", headers={"Host": "evil.example"}).status_code == 200


def test_behind_a_proxy_the_host_is_the_one_that_it_passes_on():
    client = client_of(trusted_proxies=1)
    for host, status in (("evil.example", 403), ("localhost", 200)):
        headers = {"Host": "127.0.0.1:5001", "X-Forwarded-Host": host}
        assert client.get("/v1/_ping", headers=headers).status_code == status
