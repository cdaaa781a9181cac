"""`wharfinger-registry export`: a folder in which every tool of today finds the images of a store, whole."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from common.agents import Agent
from common.errors import Invalid, Unavailable
from common.names import RepositoryName, Tag
from registry_service.cli import main
from registry_service.oci.bulk import BulkTranslation, Outcome
from registry_service.oci.digests import Digest
from registry_service.oci.export import Export
from registry_service.oci.layout import Layout, is_reference
from registry_service.oci.translation import Translations
from registry_service.storage import paths
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.paths import ApartImageId
from tests.units.registry_service import commands
from tests.units.registry_service.graph.store import in_blocks, tar
from tests.units.registry_service.oci.store import TAR, Made, OciStore, gunzip_strictly
from tests.units.registry_service.oci.test_lookup import push

APP, WEB = RepositoryName("acme", "app"), RepositoryName("library", "web")
BASE = Made("base", stored=TAR)
MENDED = Made("mended", BASE, stored=gzip.compress(TAR) + b"junk")
TOP = Made("top", MENDED, stored=lzma.compress(TAR))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    root.mkdir()
    store = OciStore(Filesystem(root))
    push(store, APP, BASE, MENDED, TOP, tag="1.0")
    push(store, WEB, Made("web"))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def export(root: Path, folder: Path, *words: str) -> Result:
    return commands.run(root, "export", f"oci:{folder}", *words)


def blob(folder: Path, descriptor: dict[str, Any]) -> bytes:
    content = (folder / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
    assert descriptor["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert descriptor["size"] == len(content)
    return content


def images(folder: Path) -> dict[str, list[bytes]]:
    """The tars of each image's layers by the image's name, read as strictly as the specification allows."""
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_bytes())
    assert (index["schemaVersion"], index["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")
    found: dict[str, list[bytes]] = {}
    for descriptor in index["manifests"]:
        assert descriptor["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        manifest = json.loads(blob(folder, descriptor))
        config = json.loads(blob(folder, manifest["config"]))
        tars = [
            gunzip_strictly(blob(folder, layer)) if layer["mediaType"].endswith("+gzip") else blob(folder, layer)
            for layer in manifest["layers"]
        ]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in tars]
        name = descriptor["annotations"]["org.opencontainers.image.ref.name"]
        assert name not in found
        found[name] = tars
    return found


def test_everything_is_there(root: Path, folder: Path) -> None:
    done = export(root, folder, "--all")
    assert done.exit_code == 0
    assert "2 tags exported" in done.stdout
    assert images(folder) == {"acme/app:1.0": [TAR] * 3, "library/web:latest": [tar({"./file": b"content"})]}
    assert sorted(path.name for path in folder.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_layers_are_linked(root: Path, folder: Path) -> None:
    export(root, folder, "acme/app")
    driver = Filesystem(root)
    written = next(name for name in driver.list(paths.image(MENDED.id)) if name.startswith("_oci_layer."))
    for path in (paths.image_layer(BASE.id), f"{paths.image(MENDED.id)}/{written}"):
        stored = driver.local_path(path)
        assert stored is not None
        assert stored.stat().st_nlink == 2


def test_another_export_adds_and_renames(root: Path, folder: Path) -> None:
    export(root, folder, "acme/app")
    push(OciStore(Filesystem(root)), APP, Made("newer"), tag="1.0")
    assert export(root, folder, "--all").exit_code == 0
    tars = [tar({"./file": b"content"})]
    assert images(folder) == {"acme/app:1.0": tars, "library/web:latest": tars}


def test_goes_on_where_it_was(root: Path, folder: Path) -> None:
    export(root, folder, "--all")
    whole = {path: path.stat().st_mtime_ns for path in (folder / "blobs/sha256").iterdir()}
    lost = sorted(whole)[0]
    lost.unlink()
    (folder / "index.json").unlink()
    (folder / "abc.part").write_bytes(b"half")
    assert export(root, folder, "--all").exit_code == 0
    assert len(images(folder)) == 2
    assert {path: path.stat().st_mtime_ns for path in whole if path != lost} == {
        path: at for path, at in whole.items() if path != lost
    }
    assert not (folder / "abc.part").exists()


def test_what_is_kept_apart_is_exported_as_its_repository_has_it(root: Path, folder: Path) -> None:
    store = OciStore(Filesystem(root))
    own = Made("base", stored=tar({"./own": b"content"}))
    push(store, WEB, own, tag="own")
    assert store.images.is_complete(ApartImageId(own.id, WEB))
    export(root, folder, "library/web")
    assert images(folder)["library/web:own"] == [own.stored]


def test_what_cannot_go_is_told(root: Path, folder: Path) -> None:
    store = OciStore(Filesystem(root))
    push(store, APP, Made("broken", stored=b"no layer"), tag="broken")
    store.tags.set(APP, Tag("+odd"), BASE.id, Agent())
    done = export(root, folder, "acme/app", "--json")
    assert done.exit_code == 1
    assert "2 of 3 tags cannot be exported" in done.stderr
    problems = {one["tag"]: one["problem"] for one in json.loads(done.stdout)}
    assert problems["+odd"] == "this is no name in an OCI image layout"
    assert "cannot be unpacked" in problems["broken"]
    assert problems["1.0"] is None
    assert list(images(folder)) == ["acme/app:1.0"]


def test_what_has_come_is_named_though_the_store_loses_it(root: Path, folder: Path) -> None:
    """An export takes hours, and somebody deletes the image meanwhile."""
    driver = Filesystem(root)
    store = OciStore(driver)
    translations = Translations(driver, store.images, store.records, check_seconds=0)
    bulk = BulkTranslation(translations, store.records, store.tags, store.holdings)

    def lose(done: int, of: int) -> None:
        if done == of:
            driver.delete(paths.image_layer(BASE.id))

    reports = Export(Layout(folder), store.images, translations, bulk).run([APP, WEB], 1, lose)
    assert [report.outcome for report in reports] == [Outcome.TRANSLATED] * 2
    assert images(folder) == {"acme/app:1.0": [TAR] * 3, "library/web:latest": [tar({"./file": b"content"})]}


def test_damaged_layer_is_not_exported(root: Path, folder: Path) -> None:
    """It was whole when it was translated, and the disk has changed a byte since."""
    export(root, folder.with_name("before"), "acme/app")
    layer = Filesystem(root).local_path(paths.image_layer(BASE.id))
    assert layer is not None
    before = layer.stat()
    layer.write_bytes(b"\xff" + layer.read_bytes()[1:])
    os.utime(layer, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = export(root, folder, "acme/app")
    assert done.exit_code == 1
    assert f"What should be {Digest.of(TAR)} came to" in done.stdout
    assert images(folder) == {}


def test_folder_of_something_else_is_left_alone(root: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "precious").write_bytes(b"")
    done = export(root, folder, "--all")
    assert done.exit_code == 1
    assert "has something in it that is no OCI image layout" in done.stderr
    assert list(folder.iterdir()) == [folder / "precious"]


def test_folder_that_cannot_be_written_to(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = export(root, tmp_path / "file" / "layout", "--all")
    assert done.exit_code == 1
    assert "cannot be written: File exists" in done.stderr


@pytest.mark.parametrize("target", ["layout", "oci:", "docker://host/name", "https:"])
def test_other_targets(target: str) -> None:
    done = CliRunner().invoke(main, ["export", target, "--all"])
    assert done.exit_code == 2
    assert "Give the target as oci:FOLDER or https://HOST" in done.stderr


def test_copies_are_verified(folder: Path) -> None:
    layout = Layout(folder)
    layout.copy(Digest.of(TAR), in_blocks(TAR))
    assert layout.has(Digest.of(TAR), len(TAR))
    with pytest.raises(Unavailable, match="damaged"):
        layout.copy(Digest.of(b"other"), in_blocks(TAR))
    assert not layout.has(Digest.of(b"other"), len(TAR))
    assert not list(folder.glob("*.part"))


def test_no_link_to_what_is_not_there(folder: Path, tmp_path: Path) -> None:
    assert not Layout(folder).link(Digest.of(b"x"), tmp_path / "absent")


def test_broken_index_is_not_overwritten(folder: Path) -> None:
    layout = Layout(folder)
    (folder / "index.json").write_bytes(b"[]")
    with pytest.raises(Invalid, match="no index of an OCI image layout"):
        layout.name({})


@pytest.mark.parametrize(
    ("text", "is_one"), [("a/b:1.0", True), ("a/b--c:x_y", True), ("a/b:+x", False), ("a/:x", False)]
)
def test_names_in_a_layout(text: str, is_one: bool) -> None:
    assert is_reference(text) == is_one
