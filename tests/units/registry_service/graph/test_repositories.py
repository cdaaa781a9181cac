"""Repositories of a registry that stands alone (protocol §2.4, §3.9)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.graph.errors import RepositoryNotFound
from registry_service.storage import paths
from registry_service.storage.filesystem import Filesystem
from tests.conformance.drivers_contract import together
from tests.units.registry_service.graph.store import Image, Store, image_id

NAME = RepositoryName.parse("acme/busybox")
NESTED = RepositoryName.parse("acme/busy/box")
BASE = Image("base")
A, B, C = (image_id(name) for name in "abc")


def test_absence(store: Store) -> None:
    for ask in (
        store.repositories.require,
        store.repositories.delete,
        store.repositories.is_private,
        lambda name: store.repositories.set_private(name, private=True),
    ):
        with pytest.raises(RepositoryNotFound, match="Repository not found"):
            ask(NAME)
    with pytest.raises(RepositoryNotFound, match="images not found"):
        store.repositories.images(NAME)
    assert store.everything() == set()


def test_images_are_added_and_never_taken_off(store: Store) -> None:
    store.repositories.add_images(NAME, [{"id": A, "Tag": "latest"}, {"id": B}, {"id": A, "Tag": "other"}])
    assert store.repositories.images(NAME) == [{"id": A}, {"id": B}]
    store.repositories.add_images(NAME, [])
    store.repositories.add_images(NAME, [{"id": C}, {"id": B, "checksum": "sha256:first"}])
    store.repositories.add_images(NAME, [{"id": B, "checksum": "sha256:second"}])
    assert {entry["id"]: entry.get("checksum") for entry in store.repositories.images(NAME)} == {
        A: None,
        B: "sha256:second",
        C: None,
    }
    store.repositories.add_images(NAME, [{"id": B}])
    assert {"id": B, "checksum": "sha256:second"} in store.repositories.images(NAME)
    store.repositories.require(NAME)
    assert store.everything() == {paths.index_images(NAME)}


def test_concurrent_additions_are_all_there(store: Store) -> None:
    together(8, lambda number: store.repositories.add_images(NAME, [{"id": image_id(str(number))}]))
    assert {entry["id"] for entry in store.repositories.images(NAME)} == {image_id(str(number)) for number in range(8)}
    assert store.everything() == {paths.index_images(NAME)}


def test_a_container_killed_in_a_change_bars_no_push(tmp_path: Path) -> None:
    """One that is started again has its host name and its process numbers, and a process namespace of its own."""
    source = (
        "import os, pathlib, signal, sys\n"
        "from registry_service.graph.leases import Leases\n"
        "from registry_service.storage.filesystem import Filesystem\n"
        "assert Leases(Filesystem(pathlib.Path(sys.argv[1]))).acquire(sys.argv[2], 'a change')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    claim = paths.index_images_claim(NAME)
    subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", *as_root, sys.executable, "-c", source, tmp_path, claim]
    )
    assert (tmp_path / claim).exists()
    store = Store(Filesystem(tmp_path))
    store.repositories.add_images(NAME, [{"id": A}])
    assert store.repositories.images(NAME) == [{"id": A}]
    assert not (tmp_path / claim).exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff", b'[7, {"id": 7}, {}, "x"]', b"[][]"])
def test_broken_list_is_an_empty_one(store: Store, content: bytes) -> None:
    store.driver.put(paths.index_images(NAME), content)
    assert store.repositories.images(NAME) == []
    store.repositories.add_images(NAME, [{"id": A}])
    assert store.repositories.images(NAME) == [{"id": A}]


def test_private(store: Store) -> None:
    store.repositories.add_images(NAME, [{"id": A}])
    assert not store.repositories.is_private(NAME)
    for private in (True, True, False, False):
        store.repositories.set_private(NAME, private)
        assert store.repositories.is_private(NAME) is private
        assert store.driver.exists(paths.private(NAME)) is private


def test_delete(store: Store) -> None:
    store.add(BASE)
    for name in (NAME, NESTED):
        store.tags.set(name, Tag("latest"), BASE.id, Agent())
    store.repositories.delete(NAME)
    with pytest.raises(RepositoryNotFound):
        store.repositories.delete(NAME)
    assert not store.tags.exists(NAME)
    assert store.tags.all(NESTED) == {"latest": BASE.id}
    assert store.holds(BASE)
    store.tags.set(NAME, Tag("latest"), BASE.id, Agent())
    assert store.tags.all(NAME) == {"latest": BASE.id}


def test_search_finds_public_repositories_with_a_tag(store: Store) -> None:
    store.add(BASE)
    for name in ("acme/busybox", "busybox", "acme/hidden", "other/thing"):
        store.tags.set(RepositoryName.parse(name), Tag("latest"), BASE.id, Agent())
    store.repositories.add_images(RepositoryName.parse("acme/announced"), [{"id": A}])
    store.repositories.set_private(RepositoryName.parse("acme/hidden"), private=True)
    assert [str(name) for name in store.repositories.search("")] == ["acme/busybox", "library/busybox", "other/thing"]
    assert [str(name) for name in store.repositories.search("BUSY")] == ["acme/busybox", "library/busybox"]
    assert store.repositories.search("%") == []


def test_search_in_an_empty_store(store: Store) -> None:
    assert store.repositories.search("") == []
