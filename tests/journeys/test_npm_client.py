"""A client nobody here wrote, npm's docker-registry-client, pulls what a daemon pushed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.docker_v1 import Daemon
from tests.clients.generations import V1_6
from tests.clients.images import Chain, make_chain
from tests.servers.npm import install
from tests.servers.process import require
from tests.servers.setups import ALICE, SetUp

FOLDER = Path(__file__).with_name("npm")

# The client sends its token only to the host and port it knows as the index: an index and a registry on two
# ports are out of its reach, whoever serves them.
ONE_ENDPOINT = ["one-host-http", "one-host-tls", "standalone-http", "standalone-tls"]
one_endpoint = pytest.mark.parametrize("setup", ONE_ENDPOINT, indirect=True)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    install(FOLDER)


def run(script: str, **task: object) -> dict[str, Any]:
    """One script's answer."""
    command = [require("node", "nodejs"), str(FOLDER / script), json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def address(setup: SetUp) -> dict[str, object]:
    return {"scheme": setup.index.scheme, "insecure": setup.index.scheme == "https"}


def push(setup: SetUp, name: str, chain: Chain) -> None:
    Daemon(V1_6, setup.index, ALICE.name, ALICE.password).push(name, chain, "one")


@one_endpoint
@pytest.mark.parametrize("account", [{}, {"username": ALICE.name, "password": ALICE.password}], ids=["nobody", "alice"])
def test_it_reads_images_tags_ancestry_json_and_layers(setup: SetUp, account: dict[str, str]) -> None:
    name, chain = setup.fresh_name("npm"), make_chain(3)
    push(setup, name, chain)
    term = name.partition("/")[2]
    got = run("pull.js", name=f"{setup.index.netloc}/{name}", tag="one", term=term, **address(setup), **account)
    assert got["ping"] is True
    assert {entry["id"] for entry in got["images"]} == {image.id for image in chain}
    assert got["tags"] == {"one": chain[-1].id}
    assert got["imgId"] == chain[-1].id
    assert got["ancestry"] == [image.id for image in reversed(chain)]
    for image in chain:
        assert got["jsons"][image.id]["id"] == image.id
        digest = hashlib.sha256(image.layer).hexdigest()
        assert got["layers"][image.id] == {"size": len(image.layer), "sha256": digest}
    assert [result["name"] for result in got["found"]["results"]] == [name]


@one_endpoint
def test_it_is_told_what_does_not_exist(setup: SetUp) -> None:
    name = f"{setup.index.netloc}/{setup.fresh_name('absent')}"
    assert run("pull.js", name=name, tag="one", **address(setup)) == {"failed": 404}


@pytest.mark.parametrize("setup", ["split-http", "one-host-http", "one-host-tls"], indirect=True)
def test_it_logs_in(setup: SetUp) -> None:
    index = {"indexName": setup.index.url, "insecure": True, "email": f"{ALICE.name}@example.com"}
    good = run("login.js", username=ALICE.name, password=ALICE.password, **index)
    assert good == {"status": "Login Succeeded"}
    bad = run("login.js", username=ALICE.name, password="not-the-password", **index)
    assert bad == {"failed": "Wrong login/password, please try again"}


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert lock["packages"]["node_modules/docker-registry-client"]["version"] == "3.4.0"
