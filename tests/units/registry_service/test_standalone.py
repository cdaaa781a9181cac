"""The index's routes of a standalone registry: the endpoint that it announces, names of old stores, lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from common.names import ImageId, RepositoryName, Tag
from registry_service.app import create_app
from registry_service.settings import RegistrySettings
from registry_service.storage import paths
from registry_service.storage.driver import Stat
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


OLD_NAMES = [
    "team/app_",
    "team/_app",
    "team/my_-app",
    "team/a..b",
    "team/App",
    "team/v1.",
    "_team/app",
    "my___team/app",
]
OLD_TAGS = ["1+2", "-dash", ".x", "a b", "größe"]


@pytest.fixture
def old_store() -> Memory:
    """As docker-registry kept names and tags that Docker up to 1.7 makes, and an id of 2013."""
    driver = Memory()
    short, long = ImageId("0123456789abcdef"), ImageId("c" * 64)
    for image, ancestry in ((short, [short]), (long, [long, short])):
        driver.put(paths.image_json(image), json.dumps({"id": image}).encode())
        driver.put(paths.image_layer(image), b"layer")
        driver.put(paths.image_ancestry(image), json.dumps(ancestry).encode())
        driver.put(paths.image_checksum(image), b"[]")
    for name in [*OLD_NAMES, "team/app"]:
        for tag in [*OLD_TAGS, "latest"]:
            driver.put(paths.tag(RepositoryName.parse(name), Tag(tag)), short.encode())
    return driver


@pytest.mark.parametrize("name", OLD_NAMES)
def test_a_repository_that_is_there_goes_on_whatever_its_name(old_store: Memory, name: str) -> None:
    client = create_app(RegistrySettings(standalone=True), Guard(old_store)).test_client()
    path, image = f"/v1/repositories/{name}", json.dumps("c" * 64)
    assert client.put(f"{path}/", data="[]").status_code == 200
    assert client.put(f"{path}/tags/new", data=image).status_code == 200
    assert client.put(f"{path}/images", data="[]").status_code == 204
    assert json.loads(client.get(f"{path}/tags").data)["new"] == "c" * 64
    assert name in {result["name"] for result in json.loads(client.get("/v1/search?n=100").data)["results"]}
    assert client.delete(f"{path}/tags/new").status_code == 200
    assert client.delete(f"{path}/").status_code == 200
    assert client.put(f"{path}/", data="[]").status_code == 400


@pytest.mark.parametrize("tag", OLD_TAGS)
def test_a_tag_that_is_there_moves_whatever_its_name(old_store: Memory, tag: str) -> None:
    client = create_app(RegistrySettings(standalone=True), Guard(old_store)).test_client()
    path = f"/v1/repositories/team/app/tags/{quote(tag)}"
    assert client.put(path, data=json.dumps("c" * 64)).status_code == 200
    assert json.loads(client.get(path).data) == json.loads(client.get("/v1/repositories/team/app/tags").data)[tag]
    assert client.delete(path).status_code == 200
    assert client.put(path, data=json.dumps("c" * 64)).status_code == 400


@pytest.mark.parametrize("name", ["a/app", "x/y/z", "n" * 255 + "/app", f"team/{'a' * 64}"])
def test_new_names_follow_the_newest_grammar(client: FlaskClient, name: str) -> None:
    assert client.put(f"/v1/repositories/{name}/", data="[]").status_code == 200


class CountingMemory(Memory):
    """Counts what it is asked."""

    asked = 0

    def _count(self) -> None:
        self.asked += 1

    def list(self, path: str) -> Iterator[str]:
        self._count()
        return super().list(path)

    def get(self, path: str) -> bytes:
        self._count()
        return super().get(path)

    def stat(self, path: str) -> Stat:
        self._count()
        return super().stat(path)

    def exists(self, path: str) -> bool:
        self._count()
        return super().exists(path)


def test_a_list_without_pages_is_whole_and_asks_the_store_twice_a_repository() -> None:
    """Tools that move a registry's repositories elsewhere read one answer to `q=`, and take it for all."""
    driver = CountingMemory()
    for number in range(150):
        driver.put(f"repositories/acme/app{number}/tag_latest", b"c" * 64)
        driver.put(f"repositories/acme/app{number}/tag_other", b"c" * 64)
    driver.put("repositories/acme/app0/_private", b"")
    driver.put("repositories/acme/odd/tag_latest", b"no id")
    client = create_app(RegistrySettings(standalone=True), Guard(driver)).test_client()
    for query in ("", "?q=", "?n=&q="):
        driver.asked = 0
        found = json.loads(client.get(f"/v1/search{query}").data)
        assert (found["num_results"], found["num_pages"], found["page_size"]) == (149, 1, 149)
        assert len({result["name"] for result in found["results"]}) == 149
        assert driver.asked <= 2 * 151 + 2
    assert len(json.loads(client.get("/v1/search?q=&page=1").data)["results"]) == 25
    assert len(json.loads(client.get("/v1/search?q=app&n=1000").data)["results"]) == 100
    assert json.loads(client.get("/v1/search?q=none").data)["num_pages"] == 0
