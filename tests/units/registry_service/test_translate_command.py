"""`wharfinger-registry translate`: what it computes ahead, what it tells, and that it may be run again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.oci import bulk
from registry_service.storage.filesystem import Filesystem
from tests.units.registry_service import commands
from tests.units.registry_service.graph.store import Image
from tests.units.registry_service.oci.store import TAR, Made, OciStore, inflated
from tests.units.registry_service.oci.test_lookup import push

APP, OLD = RepositoryName("acme", "app"), RepositoryName("acme", "Old")
BASE = Made("base", stored=TAR)
TOP = Made("top", BASE)
BROKEN = Made("broken", BASE, stored=b"no layer")


def translate(root: Path, *words: str) -> Result:
    return commands.run(root, "translate", *words)


def told(done: Result) -> dict[str, Any]:
    return {f"{one['repository']}:{one['tag']}": one for one in json.loads(done.stdout)}


@pytest.fixture
def store(tmp_path: Path) -> OciStore:
    store = OciStore(Filesystem(tmp_path))
    push(store, APP, BASE, TOP)
    push(store, OLD, BASE, tag="1.0")
    return store


def test_repositories_are_translated_once(store: OciStore, tmp_path: Path) -> None:
    done = translate(tmp_path, "--all")
    assert done.exit_code == 0
    assert "2 tags translated, 0 known before" in done.stdout
    assert store.records.image(TOP.id) is not None
    before = store.everything()
    assert "2 tags translated, 2 known before" in translate(tmp_path, "--all").stdout
    assert store.everything() == before


def test_only_what_is_named(store: OciStore, tmp_path: Path) -> None:
    assert "1 tags translated" in translate(tmp_path, "acme/app", "--workers", "1").stdout
    assert store.records.image(BASE.id) is None


def test_report_for_programs(store: OciStore, tmp_path: Path) -> None:
    reports = told(translate(tmp_path, "--all", "--json"))
    translated = store.translations.of(TOP.id)
    assert reports["acme/app:latest"] == {
        "repository": "acme/app",
        "tag": "latest",
        "image": TOP.id,
        "outcome": "translated",
        "digest": translated.schema2.digest,
        "problem": None,
        "notes": [],
    }
    assert reports["acme/Old:1.0"]["notes"] == ["today's clients refuse the name of the repository"]


def test_dry_run_tells_the_same_and_stores_nothing(store: OciStore, tmp_path: Path) -> None:
    push(store, APP, Made("mended", BASE, stored=gzip.compress(TAR) + b"junk"), tag="mended")
    push(store, APP, BROKEN, tag="broken")
    push(store, APP, Made("inflated", BASE, stored=inflated(gzip.compress)), tag="inflated")
    before = store.everything()
    dry = translate(tmp_path, "--all", "--json", "--dry-run")
    assert store.everything() == before
    assert dry.exit_code == 1
    assert "can be offered unpacked only" in told(dry)["acme/app:inflated"]["problem"]
    assert told(dry) == told(translate(tmp_path, "--all", "--json"))
    assert store.everything() > before


def test_what_cannot_be_translated_is_told_in_words(store: OciStore, tmp_path: Path) -> None:
    push(store, APP, BROKEN, tag="broken")
    store.tags.set(APP, Tag("gone"), Image("gone").id, Agent())
    store.tags.set(APP, Tag("+odd"), TOP.id, Agent())
    done = translate(tmp_path, "acme/app")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "acme/app:+odd: today's clients refuse the name of the tag",
        f"acme/app:broken: The layer of image {BROKEN.id} cannot be unpacked: Layer format not supported",
        "acme/app:gone: Image not found",
        "2 tags translated, 0 known before",
    ]
    assert "2 of 4 tags cannot be translated" in done.stderr
    assert "3 of 3 images" in done.stderr


def test_more_layers_than_docker_takes(store: OciStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bulk.MOST_LAYERS == 125
    monkeypatch.setattr(bulk, "MOST_LAYERS", 1)
    done = translate(tmp_path, "acme/app")
    assert done.exit_code == 0
    assert "acme/app:latest: Docker refuses more than 1 layers, and these are 2" in done.stdout


@pytest.mark.parametrize("words", [[], ["--all", "acme/app"]])
def test_either_all_or_some(store: OciStore, tmp_path: Path, words: list[str]) -> None:
    done = translate(tmp_path, *words)
    assert done.exit_code == 2
    assert "Give repositories, or --all." in done.stderr


def test_unknown_repository(store: OciStore, tmp_path: Path) -> None:
    done = translate(tmp_path, "acme/app", "acme/other")
    assert done.exit_code == 1
    assert "Repository not found" in done.stderr
    assert store.records.image(TOP.id) is None
