"""`wharfinger-registry image`: what is told of an image, and how a poisoned or broken one is removed and replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.storage import paths
from registry_service.storage.filesystem import Filesystem
from tests.units.registry_service import commands
from tests.units.registry_service.graph.store import Image, Store

OWNER, STRANGER = RepositoryName("owner", "app"), RepositoryName("stranger", "app")
BASE = Image("base")
CHILD = Image("child", BASE)
TROJAN = replace(BASE, files={"./file": b"trojan"})


def image(root: Path, *words: str) -> Result:
    return commands.run(root, "image", *words)


def push(store: Store, repository: RepositoryName, *images: Image) -> None:
    store.push_to(repository, *images)
    store.tags.set(repository, Tag("latest"), images[-1].id, Agent())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The stranger was first with another layer."""
    store = Store(Filesystem(tmp_path))
    push(store, STRANGER, TROJAN)
    push(store, OWNER, BASE, CHILD)
    return store


def test_an_image_is_shown_with_all_that_refers_to_it(store: Store, tmp_path: Path) -> None:
    push(store, STRANGER, replace(CHILD, parent=TROJAN))
    done = image(tmp_path, "show", BASE.id, "--json")
    told = json.loads(done.stdout)
    assert told["size"] == len(TROJAN.layer)
    assert told["checksums"] == [TROJAN.payload]
    assert told["children"] == [CHILD.id]
    assert told["references"] == [
        {"repository": "owner/app", "tags": ["latest"], "is_marked": True, "is_apart": True},
        {"repository": "stranger/app", "tags": ["latest"], "is_marked": True, "is_apart": False},
    ]
    said = image(tmp_path, "show", BASE.id).stdout
    assert "held by        owner/app: latest, an image of its own\n" in said


def test_a_tag_is_shown_that_reaches_the_image_through_one_kept_apart(store: Store, tmp_path: Path) -> None:
    assert not store.images.is_complete(CHILD.id)
    told = json.loads(image(tmp_path, "show", BASE.id, "--json").stdout)
    assert [one["tags"] for one in told["references"] if one["repository"] == "owner/app"] == [["latest"]]


def test_a_removed_image_is_gone_and_a_push_brings_it_back(store: Store, tmp_path: Path) -> None:
    assert image(tmp_path, "remove", BASE.id, "--dry-run").exit_code == 0
    assert image(tmp_path, "remove", BASE.id).exit_code == 1, "nobody said yes"
    assert store.images.is_complete(BASE.id)
    assert image(tmp_path, "remove", BASE.id, "--yes").stdout.endswith("Removed.\n")
    assert not store.images.is_complete(BASE.id)
    push(store, STRANGER, BASE)
    assert store.holds(BASE)


def test_the_image_that_a_repository_keeps_apart_is_removed_alone(store: Store, tmp_path: Path) -> None:
    assert image(tmp_path, "remove", CHILD.id, "--apart", "owner/app", "--yes").exit_code == 0
    assert not store.driver.exists(f"{paths.apart_images(OWNER)}/{CHILD.id}")
    assert store.driver.exists(f"{paths.apart_images(OWNER)}/{BASE.id}")
    push(store, OWNER, CHILD)
    found = store.holdings.find(OWNER, CHILD.id)
    assert found is not None
    assert store.layer_of(found) == CHILD.layer


@pytest.mark.parametrize("way", ["from", "files"])
def test_a_poisoned_image_is_replaced_for_all_who_hold_it(store: Store, tmp_path: Path, way: str) -> None:
    words = ["--from", "owner/app"]
    if way == "files":
        (tmp_path / "json").write_bytes(BASE.json)
        (tmp_path / "layer").write_bytes(BASE.layer)
        words = ["--description", str(tmp_path / "json"), "--layer", str(tmp_path / "layer")]
    assert image(tmp_path, "replace", BASE.id, *words, "--dry-run").exit_code == 0
    store.images.forget(BASE.id)
    assert store.layer_of(BASE.id) == TROJAN.layer
    assert image(tmp_path, "replace", BASE.id, *words, "--yes").stdout.endswith("Replaced.\n")
    assert store.holds(BASE)
    assert not store.driver.exists(paths.UPLOADS) or not list(store.driver.list(paths.UPLOADS))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["show", "xyz"], "Invalid image ID"),
        (["remove", "e" * 64, "--yes"], "Image not found"),
        (["replace", BASE.id, "--yes"], "Give --from, or --description and --layer."),
        (["replace", BASE.id, "--from", "nobody/app", "--yes"], "Image not found"),
        (["remove", BASE.id, "--apart", "a/b/../c", "--yes"], "Invalid repository name"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(store: Store, tmp_path: Path, words: list[str], complaint: str) -> None:
    done = image(tmp_path, *words)
    assert done.exit_code != 0
    assert complaint in done.stderr


def test_an_image_is_not_replaced_by_one_of_another_parent(store: Store, tmp_path: Path) -> None:
    push(store, STRANGER, replace(CHILD, parent=TROJAN))
    (tmp_path / "json").write_bytes(json.dumps({"id": CHILD.id}).encode())
    (tmp_path / "layer").write_bytes(CHILD.layer)
    words = ["--description", str(tmp_path / "json"), "--layer", str(tmp_path / "layer"), "--yes"]
    assert "another parent" in image(tmp_path, "replace", CHILD.id, *words).stderr
