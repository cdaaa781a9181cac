"""Real processes that translate one store: killed at every step, and several at once."""

from __future__ import annotations

import bz2
import gzip
import shutil
import signal
from pathlib import Path

import pytest

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.oci.records import Kind
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.forked import Forked
from tests.units.registry_service.oci import translate_child
from tests.units.registry_service.oci.store import TAR, Made, OciStore, gunzip_strictly

NEVER = 0
REPOSITORY = RepositoryName("acme", "app")
BASE = Made("base", stored=gzip.compress(TAR) + b"junk")
TOP = Made("top", BASE, stored=bz2.compress(TAR))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    root.mkdir()
    store = OciStore(Filesystem(root))
    store.add(BASE, TOP)
    store.tags.set(REPOSITORY, Tag("latest"), TOP.id, Agent())
    return root


def translate(root: Path, kill_at: int) -> Forked:
    return Forked(translate_child.main, str(root), str(kill_at), TOP.id)


def store_at(root: Path) -> OciStore:
    return OciStore(Guard(Filesystem(root)))


def demand_sound(root: Path) -> None:
    """Whatever is recorded is true, and everything that is named can be had."""
    store = store_at(root)
    for image in (BASE, TOP):
        record = store.records.layer(image.id)
        if record is not None:
            blob = store.blob(image.id)
            assert (gunzip_strictly(blob) if record.is_gzip else blob) == TAR
            assert next(store.lookup.find(REPOSITORY, record.digest)).kind is Kind.LAYER
    translated = store.translations.of(TOP.id)
    for digest in (translated.config_digest, translated.schema2.digest, translated.oci.digest):
        named = next(store.lookup.find(REPOSITORY, digest))
        assert store.translations.content(named, digest) is not None


def test_killed_at_every_step(root: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(root, whole)
    said, _ = translate(whole, NEVER).communicate()
    steps, digest = said.split()
    assert int(steps) > 10
    for kill_at in range(1, int(steps) + 1):
        killed = tmp_path / str(kill_at)
        shutil.copytree(root, killed)
        process = translate(killed, kill_at)
        process.communicate()
        assert process.wait() == -signal.SIGKILL
        demand_sound(killed)
        assert store_at(killed).translations.of(TOP.id).oci.digest == digest
        assert contents(killed) == contents(whole)


def contents(root: Path) -> dict[str, bytes]:
    store = store_at(root)
    return {path: store.driver.get(path) for path in store.everything()}


def test_several_at_once_agree(root: Path) -> None:
    processes = [translate(root, NEVER) for _ in range(6)]
    said = {process.communicate()[0].split()[1] for process in processes}
    assert said == {store_at(root).translations.of(TOP.id).oci.digest}
    demand_sound(root)
