"""`wharfinger-registry import`: what it stores of saved images, and that it stores nothing of what is wrong."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from common.names import ImageId, RepositoryName, Tag
from registry_service.cli import main
from registry_service.graph import unpack
from registry_service.graph.condemned import Intents
from registry_service.graph.holdings import RepositoryHolder
from registry_service.oci import docker_archive
from registry_service.oci.chain import derive
from registry_service.oci.digests import Digest
from registry_service.oci.importing import Import
from registry_service.oci.saved_layout import read_layout
from registry_service.storage.filesystem import Filesystem
from tests.units.registry_service import commands
from tests.units.registry_service.graph.store import Image, tar
from tests.units.registry_service.oci.store import TAR, OciStore
from tests.units.registry_service.oci.test_lookup import push

APP = RepositoryName("acme", "app")
TOP = tar({"./top": b"content"})
LAYERS = (gzip.compress(TAR, mtime=0), TOP)
REF = "org.opencontainers.image.ref.name"


def config_of(*tars: bytes, **members: Any) -> bytes:
    diff_ids = [Digest.of(each) for each in tars]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs, **members}).encode()


CONFIG = config_of(TAR, TOP)


class Folder:
    """An OCI image layout, as right or wrong as a test wants it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.manifests: list[dict[str, Any]] = []

    def blob(self, content: bytes, **members: Any) -> dict[str, Any]:
        digest = Digest.of(content)
        self.at(digest).write_bytes(content)
        return {"digest": digest, "size": len(content), **members}

    def at(self, digest: str) -> Path:
        return self.path / "blobs/sha256" / digest.removeprefix("sha256:")

    def image(self, config: bytes = CONFIG, layers: tuple[bytes, ...] = LAYERS, **members: Any) -> dict[str, Any]:
        manifest = {"config": self.blob(config), "layers": [self.blob(each) for each in layers], **members}
        return self.blob(json.dumps(manifest).encode())

    def name(self, descriptor: dict[str, Any], name: str | None = "1.0") -> None:
        self.manifests.append({**descriptor, "annotations": {REF: name}} if name else descriptor)
        self.index(json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode())

    def index(self, content: bytes) -> None:
        (self.path / "index.json").write_bytes(content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> OciStore:
    return OciStore(Filesystem(root))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "layout")


def archive(path: Path, members: dict[str, bytes | str]) -> Path:
    """A docker-archive; what is a text is a symbolic link to it."""
    with tarfile.open(path, "w") as written:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                written.addfile(entry)
            else:
                entry.size = len(content)
                written.addfile(entry, io.BytesIO(content))
    return path


def saved(config: str = "c.json", layers: tuple[str, ...] = ("1/layer.tar", "2/layer.tar"), *tags: str) -> bytes:
    return json.dumps([{"Config": config, "RepoTags": list(tags) or None, "Layers": layers}]).encode()


WHOLE: dict[str, bytes | str] = {
    "c.json": CONFIG,
    "1/layer.tar": TAR,
    "2/layer.tar": TOP,
    "manifest.json": saved(),
}


def bring(root: Path, source: str, name: str = "acme/app:1.0") -> Result:
    return commands.run(root, "import", source, name)


def require_imported(store: OciStore, repository: RepositoryName, tag: str, layers: tuple[bytes, ...]) -> None:
    """The images are those that the config comes to, and today's clients get the config as it was."""
    chain = derive(CONFIG)
    top = store.tags.get(repository, Tag(tag))
    assert top == chain[-1].id
    assert store.images.ancestry(top) == [each.id for each in reversed(chain)]
    for image, layer in zip(chain, layers, strict=True):
        assert store.images.json(image.id) == image.json
        with store.images.open_layer(store.images.layer(image.id)) as reader:
            assert b"".join(reader) == layer
    translated = store.translations.of(top)
    assert translated.config == CONFIG
    assert [blob.digest for blob in translated.layers] == [Digest.of(layer) for layer in layers]


def squat(store: OciStore) -> None:
    """Whoever knows the files of a base knows its id, and may have pushed something else under it."""

    class Squatter(Image):
        @property
        def id(self) -> ImageId:
            return derive(CONFIG)[0].id

    push(store, RepositoryName("mallory", "app"), Squatter("squatter"))


def test_layout(root: Path, store: OciStore, folder: Folder) -> None:
    folder.name(folder.image())
    done = bring(root, f"oci:{folder.path}")
    top = derive(CONFIG)[-1].id
    assert done.stdout == f"acme/app:1.0 is image {top}: 2 layers stored, 0 known before\n"
    require_imported(store, APP, "1.0", LAYERS)
    listed = store.repositories.images(APP)
    assert [each["id"] for each in listed] == [each.id for each in reversed(derive(CONFIG))]
    assert all(each["checksum"].startswith("sha256:") for each in listed)
    assert "0 layers stored, 2 known before" in bring(root, f"oci:{folder.path}:1.0", "acme/other").stdout
    require_imported(store, RepositoryName("acme", "other"), "latest", LAYERS)


def test_archive(root: Path, store: OciStore, tmp_path: Path) -> None:
    """Skopeo and Docker link layers that come again."""
    file = archive(tmp_path / "a.tar", {**WHOLE, "2/layer.tar": "../3/layer.tar", "./3/layer.tar": TOP})
    assert bring(root, f"docker-archive:{file}").exit_code == 0
    require_imported(store, APP, "1.0", (TAR, TOP))


def test_base_is_stored_once(root: Path, store: OciStore, folder: Folder) -> None:
    folder.name(folder.image())
    folder.name(folder.image(config_of(TAR, TAR), (LAYERS[0], LAYERS[0])), "other")
    bring(root, f"oci:{folder.path}:1.0")
    folder.at(Digest.of(LAYERS[0])).unlink()
    done = bring(root, f"oci:{folder.path}:other", "acme/app:other")
    assert "No such file" in done.stderr
    folder.blob(LAYERS[0])
    assert "1 layers stored, 1 known before" in bring(root, f"oci:{folder.path}:other", "acme/app:other").stdout


def test_one_platform_of_several(root: Path, store: OciStore, folder: Folder) -> None:
    def for_(architecture: str, os_: str = "linux") -> dict[str, Any]:
        return {"platform": {"os": os_, "architecture": architecture}}

    image, other = folder.image(), folder.image(config_of(TOP), (TOP,))
    listed = [{**other, **for_("arm64")}, {**image, **for_("amd64")}, {**other, **for_("unknown", "unknown")}]
    inner = folder.blob(json.dumps({"manifests": listed}).encode())
    folder.name(folder.blob(json.dumps({"manifests": [inner]}).encode()), None)
    assert bring(root, f"oci:{folder.path}").exit_code == 0
    require_imported(store, APP, "1.0", LAYERS)
    folder.manifests = []
    folder.name(folder.blob(json.dumps({"manifests": [listed[0], listed[0]]}).encode()))
    assert "none of them is linux/amd64" in bring(root, f"oci:{folder.path}").stderr


def test_image_without_layers(root: Path, store: OciStore, folder: Folder) -> None:
    config = config_of()
    folder.name(folder.image(config, ()))
    assert bring(root, f"oci:{folder.path}").exit_code == 0
    translated = store.translations.of(store.tags.get(APP, Tag("1.0")))
    assert (translated.config, translated.layers) == (config, ())


def test_image_of_such_an_id_that_is_another(root: Path, store: OciStore, folder: Folder) -> None:
    squat(store)
    folder.name(folder.image())
    assert "2 layers stored" in bring(root, f"oci:{folder.path}").stdout
    top = store.tags.get(APP, Tag("1.0"))
    assert {top, *store.images.ancestry(top)}.isdisjoint(each.id for each in derive(CONFIG))
    assert store.translations.of(top).config == CONFIG
    assert "0 layers stored, 2 known before" in bring(root, f"oci:{folder.path}").stdout


def test_repository_behind_an_index_keeps_its_own_apart(store: OciStore, folder: Folder) -> None:
    squat(store)
    folder.name(folder.image())
    intents = Intents(store.driver)
    importing = Import(store.push, store.images, store.holdings, store.tags, intents, store.translations, None)
    importing.run(read_layout(folder.path, ""), APP, Tag("1.0"), RepositoryHolder(store.holdings, APP))
    held = store.holdings.find(APP, derive(CONFIG)[-1].id)
    assert held is not None
    assert store.translations.of(held).config == CONFIG


def a_symbolic_link(folder: Folder) -> None:
    blob = folder.at(Digest.of(TOP))
    blob.rename(folder.path.parent / "secret")
    blob.symlink_to(folder.path.parent / "secret")


def a_linked_folder(folder: Folder) -> None:
    (folder.path / "blobs").rename(folder.path.parent / "blobs")
    (folder.path / "blobs").symlink_to(folder.path.parent / "blobs")


def a_pipe(folder: Folder) -> None:
    folder.at(Digest.of(TOP)).unlink()
    os.mkfifo(folder.at(Digest.of(TOP)))


def a_damaged_layer(folder: Folder) -> None:
    folder.at(Digest.of(TOP)).write_bytes(tar({"./top": b"another"}))


def a_damaged_config(folder: Folder) -> None:
    folder.at(Digest.of(CONFIG)).write_bytes(config_of(TAR, TOP, author="Mallory"))


def a_huge_config(folder: Folder) -> None:
    with folder.at(Digest.of(CONFIG)).open("wb") as file:
        file.truncate(2**40)


def an_index_of(text: str) -> Callable[[Folder], None]:
    return lambda folder: folder.index(text.encode())


def an_image(*layers: bytes, config: bytes = CONFIG, **members: Any) -> Callable[[Folder], None]:
    def make(folder: Folder) -> None:
        folder.manifests = []
        folder.name(folder.image(config, layers, **members))

    return make


def a_loop(folder: Folder) -> None:
    inner = folder.image()
    for _ in range(5):
        inner = folder.blob(json.dumps({"manifests": [inner]}).encode())
    folder.manifests = []
    folder.name(inner)


ZSTD = b"\x28\xb5\x2f\xfd" + bytes(600)
BOMB = gzip.compress(tar({"./zeros": bytes(2**21)}))

WRONG: dict[str, tuple[Callable[[Folder], None], str]] = {
    "symbolic link": (a_symbolic_link, "is a symbolic link, which is not followed"),
    "linked folder": (a_linked_folder, "no OCI image layout, or not a whole one"),
    "pipe": (a_pipe, "is no file"),
    "damaged layer": (a_damaged_layer, "is damaged: it comes to"),
    "damaged config": (a_damaged_config, "is damaged: it comes to"),
    "huge config": (a_huge_config, "has more than 4194304 bytes"),
    "missing layer": (lambda folder: folder.at(Digest.of(TOP)).unlink(), "No such file"),
    "missing index": (lambda folder: (folder.path / "index.json").unlink(), "index.json: No such file"),
    "no JSON": (an_index_of("{"), "index.json is not what it should be"),
    "deep JSON": (an_index_of('{"manifests": ' + "[" * 100_000), "index.json is not what it should be"),
    "path": (
        an_index_of('{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'),
        "expected algorithm:encoded",
    ),
    "other digest": (an_index_of('{"manifests": [{"digest": "sha512:00"}]}'), "of a kind that is not known here"),
    "no images": (an_index_of("{}"), "There are 0 images"),
    "indexes": (a_loop, "without an end"),
    "both": (an_image(TOP, manifests=[]), "is a manifest and an index at once"),
    "artifact": (an_image(TOP, config=b"{}"), "names no layers"),
    "another layer": (an_image(LAYERS[0], TAR), "is not the one that the config names"),
    "too few": (an_image(TOP), "has 1 layers, and its config names 2"),
    "windows": (an_image(*LAYERS, config=config_of(TAR, TOP, os="windows")), "not for linux"),
    "zstd": (an_image(LAYERS[0], ZSTD), "is compressed with zstd"),
    "no tar": (an_image(b"text " * 200, TOP), "cannot be unpacked"),
    "cut": (an_image(LAYERS[0][:-300], TOP), "cut short"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_layout_is_told_and_nothing_is_stored(
    root: Path, store: OciStore, folder: Folder, wrong: str
) -> None:
    spoil, words = WRONG[wrong]
    folder.name(folder.image())
    spoil(folder)
    done = bring(root, f"oci:{folder.path}")
    assert done.exit_code == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert store.everything() == set()


def test_layer_that_unpacks_to_far_too_much(
    root: Path, store: OciStore, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "FREE_BYTES", 2**20)
    monkeypatch.setattr(unpack, "MOST_RATIO", 2)
    folder.name(folder.image(config_of(gzip.decompress(BOMB)), (BOMB,)))
    assert "unpacks to far more than a layer may" in bring(root, f"oci:{folder.path}").stderr
    assert store.everything() == set()


def huge_name() -> dict[str, bytes | str]:
    return {**WHOLE, "x" * 5000: b""}


WRONG_ARCHIVES: dict[str, tuple[dict[str, bytes | str], str]] = {
    "no manifest": ({"c.json": CONFIG}, "manifest.json is missing from the archive"),
    "absent layer": ({**WHOLE, "manifest.json": saved(layers=("1/layer.tar", "gone"))}, "gone is missing"),
    "terminal": ({**WHOLE, "manifest.json": saved(layers=("1/layer.tar", "\x1b[2J"))}, "\\x1b[2J is missing"),
    "outside": ({**WHOLE, "1/layer.tar": "../../../../etc/passwd"}, "1/layer.tar is missing"),
    "absolute": ({**WHOLE, "1/layer.tar": "/etc/passwd"}, "1/layer.tar is missing"),
    "loop": ({**WHOLE, "1/layer.tar": "layer.tar"}, "links without an end"),
    "large config": ({**WHOLE, "c.json": bytes(5 * 2**20)}, "c.json has more than"),
    "no list": ({**WHOLE, "manifest.json": b"{}"}, "manifest.json is not what it should be"),
    "long name": (huge_name(), "names longer than any file system takes"),
    "another layer": ({**WHOLE, "2/layer.tar": TAR}, "is not the one that the config names"),
}


@pytest.mark.parametrize("wrong", WRONG_ARCHIVES)
def test_what_is_wrong_with_an_archive_is_told(root: Path, store: OciStore, tmp_path: Path, wrong: str) -> None:
    members, words = WRONG_ARCHIVES[wrong]
    done = bring(root, f"docker-archive:{archive(tmp_path / 'a.tar', members)}")
    assert done.exit_code == 1
    assert words in done.stderr
    assert store.everything() == set()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "manifest.json is missing"),
        (b"x" * 1000, "is no archive of an image"),
        (gzip.compress(b""), "unpack it with `gunzip` first"),
        (bz2.compress(bytes(5000)), "is no archive of an image"),
    ],
    # Gzip writes the time, and the names of tests have to be the same in each worker.
    ids=["nothing", "text", "gzip", "bzip2"],
)
def test_what_is_no_archive(root: Path, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    assert words in bring(root, f"docker-archive:{tmp_path / 'a.tar'}").stderr


def test_archives_that_are_cut_or_absent_or_have_no_end(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive(tmp_path / "a.tar", WHOLE)
    monkeypatch.setattr(docker_archive, "_MOST_MEMBERS", 3)
    assert "more members than any archive" in bring(root, f"docker-archive:{file}").stderr
    os.truncate(file, len(TAR))
    assert "it is cut short" in bring(root, f"docker-archive:{file}").stderr
    file.unlink()
    assert "cannot be read: No such file" in bring(root, f"docker-archive:{file}").stderr


def test_one_of_several(root: Path, store: OciStore, tmp_path: Path) -> None:
    images = [
        {"Config": "c.json", "RepoTags": ["acme/app:1", "acme/app:2"], "Layers": ["1/layer.tar", "2/layer.tar"]},
        {"Config": "d.json", "RepoTags": ["docker.io/library/web:1"], "Layers": ["2/layer.tar"]},
    ]
    members = {**WHOLE, "d.json": config_of(TOP), "manifest.json": json.dumps(images).encode()}
    file = archive(tmp_path / "a.tar", members)
    told = bring(root, f"docker-archive:{file}").stderr
    assert "There are 2 images: give one of those that are there (acme/app:1, acme/app:2, web:1)" in told
    assert "There is no image acme/x:1" in bring(root, f"docker-archive:{file}:acme/x:1").stderr
    assert bring(root, f"docker-archive:{file}:docker.io/acme/app:2").exit_code == 0
    require_imported(store, APP, "1.0", (TAR, TOP))


@pytest.mark.parametrize("name", ["acme/App:1", "acme/app:+odd", "acme/tags:1", "a b"])
def test_names_that_are_refused(root: Path, store: OciStore, folder: Folder, name: str) -> None:
    folder.name(folder.image())
    assert "Invalid" in bring(root, f"oci:{folder.path}", name).stderr
    assert store.everything() == set()


@pytest.mark.parametrize("source", ["layout", "oci:", "docker://host/name"])
def test_other_sources(source: str) -> None:
    done = CliRunner().invoke(main, ["import", source, "acme/app"])
    assert done.exit_code == 2
    assert "Give the source as oci:FOLDER[:NAME] or docker-archive:FILE[:NAME]." in done.stderr
