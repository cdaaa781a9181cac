"""`wharfinger-registry export URL` into Debian's docker-registry (distribution 2.8.2): what went, by the digests that
Skopeo reads there; again, cut and killed; with a login and with tokens."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.storage.filesystem import Filesystem
from tests.clients.today import Skopeo
from tests.clients.wire import Target, call
from tests.servers.distribution import HARBOUR, Tokens, demanding_login, running
from tests.servers.process import eventually
from tests.servers.proxies import CuttingProxy
from tests.servers.services import ROOT, environ_for
from tests.units.registry_service.graph.store import tar
from tests.units.registry_service.oci.store import TAR, Made, OciStore, gunzip_strictly
from tests.units.registry_service.oci.test_lookup import push

APP, WEB, OLD = RepositoryName("acme", "app"), RepositoryName("library", "web"), RepositoryName("Acme", "Old")
BASE = Made("base", stored=TAR)
MENDED = Made("mended", BASE, stored=gzip.compress(TAR) + b"junk")
LARGE = Made("large", BASE, stored=gzip.compress(tar({"./file": secrets.token_bytes(2**20)}), 1))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with running(tmp_path_factory.mktemp("distribution")) as started:
        yield started


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> OciStore:
    return OciStore(Filesystem(root))


def command(root: Path, *words: str, **environ: str) -> tuple[list[str], dict[str, str]]:
    settings = environ_for("registry", {"standalone": "true", "storage_path": str(root)})
    program = [sys.executable, "-m", "registry_service.cli", "export", *words]
    return program, {**settings, "HOME": str(root.parent), **environ}


def export(root: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    program, settings = command(root, *words, **environ)
    return subprocess.run(program, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60)


def reports(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {f"{one['repository']}:{one['tag']}": one for one in json.loads(done.stdout)}


def test_everything_arrives_by_the_same_digests(target: Target, store: OciStore, root: Path) -> None:
    push(store, APP, BASE, MENDED, tag="1.0")
    push(store, WEB, BASE, Made("web", BASE))
    push(store, OLD, BASE, tag="Old")
    url = f"{target.url}/first"
    done = export(root, url, "--all", "--json", "--workers", "1")
    assert done.returncode == 0, done.stderr
    found = reports(done)
    skopeo = Skopeo(root.parent)
    for tag, name in (("acme/app:1.0", "acme/app"), ("library/web:latest", "web"), ("Acme/Old:Old", "acme/old")):
        report = found[tag]
        there = f"first/{name}:{report['tag']}"
        assert report["target"] == f"{target.netloc}/{there}"
        translated = store.translations.of(report["image"])
        assert report["digest"] == translated.schema2.digest
        # Skopeo compares every digest on the way.
        pulled = skopeo.pull(target, f"first/{name}@{report['digest']}")
        assert pulled == skopeo.pull(target, there)
        assert pulled.config == translated.config_digest
        assert list(pulled.tars) == [
            gunzip_strictly(content) if content.startswith(b"\x1f\x8b") else content
            for content in (store.blob(blob.image) for blob in translated.layers)
        ]
    assert f"it is {target.netloc}/first/web:latest there" in found["library/web:latest"]["notes"]
    assert f"it is {target.netloc}/first/acme/old:Old there" in found["Acme/Old:Old"]["notes"]
    # The base went once; the other repositories had it mounted.
    blobs = [found[tag]["sent"]["blobs"] for tag in sorted(found)]
    assert sum(one["mounted"] for one in blobs) == 2
    assert sum(one["sent"] for one in blobs) == 6
    again = reports(export(root, url, "--all", "--json"))
    assert all(one["sent"]["was_there"] and one["sent"]["sent_bytes"] == 0 for one in again.values())


def test_another_run_sends_what_is_new(target: Target, store: OciStore, root: Path) -> None:
    url = f"{target.url}/grown"
    push(store, APP, BASE)
    assert "1 tags exported" in export(root, url, "--all").stdout
    top = Made("top", BASE)
    push(store, APP, top)
    done = export(root, url, "--all")
    config = len(store.translations.of(top.id).config)
    assert f"0 tags were there before; 2 blobs ({config + len(top.layer)} bytes) sent, 0 mounted" in done.stdout
    assert Skopeo(root.parent).tags(target, "grown/acme/app") == ["latest"]


def test_what_cannot_go_is_told_and_the_rest_goes(target: Target, store: OciStore, root: Path) -> None:
    push(store, APP, BASE, tag="good")
    push(store, APP, Made("broken", stored=b"no layer"), tag="broken")
    store.tags.set(APP, Tag("+odd"), BASE.id, Agent())
    for name in ("A", "a"):
        push(store, RepositoryName("two", name), BASE)
    done = export(root, f"{target.url}/odd", "--all", "--json")
    assert done.returncode == 1
    assert "3 of 5 tags cannot be exported" in done.stderr
    problems = {tag: one["problem"] for tag, one in reports(done).items() if one["problem"]}
    assert problems.pop("acme/app:broken").endswith("cannot be unpacked: Layer format not supported")
    assert problems == {
        "acme/app:+odd": "today's registries refuse the name of the tag",
        "two/A:latest": "today's registries refuse the name of the repository, and another has it in lower case",
    }
    assert Skopeo(root.parent).tags(target, "odd/acme/app") == ["good"]


def test_damaged_layer_does_not_arrive(target: Target, store: OciStore, root: Path) -> None:
    """It was whole when it was translated, and the disk has changed a byte since."""
    push(store, APP, BASE)
    store.translations.of(BASE.id)
    layer = store.driver.local_path(f"images/{BASE.id}/layer")
    assert layer is not None
    before = layer.stat()
    layer.write_bytes(b"\xff" + layer.read_bytes()[1:])
    os.utime(layer, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = export(root, f"{target.url}/damaged", "--all")
    assert done.returncode == 1
    assert "the layer is damaged" in done.stdout


def test_upload_that_is_cut_is_made_again(target: Target, store: OciStore, root: Path) -> None:
    push(store, APP, BASE, LARGE)
    with CuttingProxy(target) as proxy:
        proxy.arm(1500)
        done = export(root, f"{proxy.target.url}/cut", "--all")
        assert proxy.cuts == 1
    assert done.returncode == 0, done.stdout + done.stderr
    assert Skopeo(root.parent).pull(target, "cut/acme/app").tars == (TAR, gunzip_strictly(LARGE.stored))


def test_run_after_a_killed_one_goes_on(target: Target, store: OciStore, root: Path) -> None:
    """Killed as soon as something has arrived."""
    layers = [gzip.compress(tar({"./a": secrets.token_bytes(2**18)}), 1) for _ in range(8)]
    for number, layer in enumerate(layers):
        push(store, APP, Made(f"top {number}", stored=layer), tag=f"t{number}")
    skopeo = Skopeo(root.parent)
    program, settings = command(root, f"{target.url}/killed", "--all", "--workers", "1")
    with subprocess.Popen(program, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        eventually(lambda: bool(tags_at(target, "killed/acme/app")), lambda: "nothing arrives")
        os.kill(child.pid, signal.SIGKILL)
    arrived = tags_at(target, "killed/acme/app")
    found = reports(export(root, f"{target.url}/killed", "--all", "--json"))
    assert {one["tag"] for one in found.values() if one["sent"]["was_there"]} >= set(arrived)
    for number, layer in enumerate(layers):
        assert skopeo.pull(target, f"killed/acme/app:t{number}").tars == (gunzip_strictly(layer),)
    assert all(one["sent"]["sent_bytes"] == 0 for one in found.values() if one["sent"]["was_there"])


def tags_at(target: Target, name: str) -> list[str]:
    answer = call(target, f"GET /v2/{name}/tags/list")
    return sorted(answer.json()["tags"]) if answer.status == 200 else []


SECRET = {"WHARFINGER_EXPORT_USER": HARBOUR.name, "WHARFINGER_EXPORT_PASSWORD": HARBOUR.password}


def test_login(store: OciStore, root: Path, tmp_path: Path) -> None:
    """By the environment, and by the file that Skopeo writes."""
    push(store, APP, BASE)
    with running(tmp_path / "target", auth=demanding_login(tmp_path)) as target:
        nobody = export(root, target.url, "--all")
        assert nobody.returncode == 1
        assert nobody.stderr == f"Error: {target.netloc} demands a login\n"
        wrong = export(root, target.url, "--all", **{**SECRET, "WHARFINGER_EXPORT_PASSWORD": "wrong"})
        assert f"{target.netloc} answers 401 (UNAUTHORIZED: authentication required)" in wrong.stderr
        assert export(root, target.url, "--all", **SECRET).returncode == 0
        kept = {"XDG_RUNTIME_DIR": str(tmp_path)}
        login = ["skopeo", "login", "--tls-verify=false", "-u", HARBOUR.name, "--password-stdin", target.netloc]
        environ = {**os.environ, **kept}
        subprocess.run(login, env=environ, input=HARBOUR.password, text=True, check=True, capture_output=True)
        again = export(root, target.url, "--all", **kept)
        assert "1 tags were there before" in again.stdout, again.stderr
        same_digests(store, target, root)


def test_tokens(store: OciStore, root: Path, tmp_path: Path) -> None:
    push(store, APP, BASE)
    push(store, WEB, BASE)
    tokens = Tokens(tmp_path / "tokens")
    with running(tmp_path / "target", auth=tokens.section) as target:
        refused = export(root, target.url, "--all")
        assert f"{target.netloc} answers 401 where it issues tokens" in refused.stderr
        done = export(root, target.url, "--all", "--workers", "1", **SECRET)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 mounted" in done.stdout
        assert any("scope=repository%3Aacme%2Fapp%3Apull%2Cpush" in asked for asked in tokens.asked)
        same_digests(store, target, root)
    tokens.close()
    for said in (done.stdout, done.stderr, *tokens.asked):
        assert HARBOUR.password not in said


def same_digests(store: OciStore, target: Target, folder: Path) -> None:
    pulled = Skopeo(folder.parent, HARBOUR).pull(target, "acme/app")
    assert pulled.config == store.translations.of(BASE.id).config_digest
