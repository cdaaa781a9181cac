"""A store of docker-registry 0.5 to 0.9.1 is served as it is (protocol §6.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.agents import Agent
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.errors import ImageNotFound, RepositoryNotFound, TagNotFound
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.units.registry_service.graph import old_store
from tests.units.registry_service.graph.old_store import BASE, FIRST, LAYERS, MIDDLE, ORPHAN, TOP, json_of
from tests.units.registry_service.graph.store import Image, Store, image_id, payload_of

APP = RepositoryName.parse("acme/app")


@pytest.fixture
def old(tmp_path: Path) -> Store:
    old_store.build(tmp_path)
    return Store(Guard(Filesystem(tmp_path)))


@pytest.mark.parametrize(
    ("image", "parent"), [(FIRST, None), (BASE, FIRST), (MIDDLE, BASE), (TOP, MIDDLE), (ORPHAN, image_id("gone"))]
)
def test_json_and_layer_to_the_byte(old: Store, image: ImageId, parent: ImageId | None) -> None:
    assert old.images.json(image) == json_of(image, parent)
    assert old.layer_of(image) == LAYERS[image]
    assert old.images.size(image) == len(LAYERS[image])


def test_checksums_of_every_age(old: Store) -> None:
    assert old.images.checksums(FIRST) == ["sha256:" + "a" * 64]
    assert old.images.checksums(BASE) == []
    assert old.images.checksums(MIDDLE) == ["tarsum+sha256:" + "b" * 64]
    assert old.images.checksums(TOP) == [payload_of(json_of(TOP, MIDDLE), LAYERS[TOP])]
    assert old.images.checksums(ORPHAN) == []


def test_etag_without_a_payload_checksum_is_one_all_the_same(old: Store) -> None:
    assert old.images.layer(FIRST).etag == f'"sha256:{"a" * 64}"'
    tags = {old.images.layer(image).etag for image in (BASE, MIDDLE, ORPHAN)}
    assert len(tags) == 3
    assert all(tag.startswith('"') and tag.endswith('"') and "tarsum" not in tag for tag in tags)


def test_ancestry_is_rebuilt_by_way_of_the_parents(old: Store) -> None:
    assert old.images.ancestry(FIRST) == [FIRST]
    assert old.images.ancestry(BASE) == [BASE, FIRST]
    assert old.images.ancestry(TOP) == [TOP, MIDDLE, BASE, FIRST]


def test_ancestry_that_cannot_be_rebuilt(old: Store) -> None:
    with pytest.raises(ImageNotFound):
        old.images.ancestry(ORPHAN)


@pytest.mark.parametrize("content", [b"[]", b"null", b"{", b'["x"]', b"[7]", b'["%b"]' % BASE.encode()])
def test_broken_ancestry_is_rebuilt(old: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images" / TOP / "ancestry").write_bytes(content)
    assert old.images.ancestry(TOP) == [TOP, MIDDLE, BASE, FIRST]


def test_circle_of_parents_ends(old: Store, tmp_path: Path) -> None:
    for image, parent in ((FIRST, BASE), (BASE, FIRST)):
        (tmp_path / "images" / image / "json").write_bytes(json_of(image, parent))
    with pytest.raises(ImageNotFound, match="Image depends on itself"):
        old.images.ancestry(BASE)


@pytest.mark.parametrize("image", [old_store.MARKED, old_store.NO_LAYER, old_store.EMPTY_LAYER, image_id("gone")])
def test_incomplete_images_are_absent(old: Store, image: ImageId) -> None:
    assert not old.images.is_complete(image)
    for ask in (old.images.json, old.images.layer, old.images.ancestry, old.images.files):
        with pytest.raises(ImageNotFound):
            ask(image)


@pytest.mark.parametrize("name", ["marked", "no layer", "empty layer"])
def test_incomplete_images_can_be_pushed_again(old: Store, name: str) -> None:
    image = Image(name)
    old.add(image)
    assert old.holds(image)


def test_children_of_old_images(old: Store) -> None:
    child = Image("new child")
    description = json_of(child.id, TOP)
    old.push.begin(child.id, description, "uploader")
    old.push.receive(child.id, "uploader", [child.layer])
    old.push.seal(child.id, "uploader", payload=payload_of(description, child.layer), tarsum=None)
    assert old.images.ancestry(child.id) == [child.id, TOP, MIDDLE, BASE, FIRST]


def test_listings_of_every_compression(old: Store) -> None:
    assert [entry[:3] for entry in old.images.files(BASE)] == [
        ["/etc", "d", False],
        ["/etc/hosts", "f", False],
        ["/old", "f", False],
    ]
    # What 0.9.1 kept of it does not know the whiteout.
    assert [entry[:3] for entry in old.images.files(MIDDLE)] == [
        ["etc/hosts", "f", False],
        ["etc/nothing", "f", True],
        ["new", "f", False],
    ]


def test_difference_across_ages(old: Store) -> None:
    diff = old.images.diff(TOP)
    assert sorted(diff["deleted"]) == ["/old"]
    assert sorted(diff["changed"]) == ["/new"]
    assert sorted(diff["created"]) == ["/newer"]


def test_tags_without_phantoms(old: Store) -> None:
    assert old.tags.all(APP) == {"latest": TOP, "old": BASE, "gone": image_id("gone"), "_foo": MIDDLE}
    assert old.tags.get(APP, Tag("old")) == BASE
    assert old.tags.get(APP, Tag("gone")) == image_id("gone")
    with pytest.raises(TagNotFound):
        old.tags.get(APP, Tag("foo_json"))
    with pytest.raises(TagNotFound):
        old.tags.delete(APP, Tag("foo_json"))
    assert old.tags.get(APP, Tag("_foo")) == MIDDLE


def test_descriptions(old: Store) -> None:
    assert old.tags.description(APP, Tag("latest"))["kernel"] == "3.13"
    assert old.tags.description(APP, None)["docker_version"] == "1.0.0"
    assert old.tags.description(APP, Tag("_foo"))["docker_version"] == "0.9.1"
    nobody = old.tags.description(APP, Tag("none"))
    assert nobody == {
        "last_update": None,
        "docker_version": None,
        "docker_go_version": None,
        "arch": "amd64",
        "os": "linux",
        "kernel": None,
    }
    assert old.tags.description(APP, Tag("old")) == nobody


def test_repositories_of_every_spelling(old: Store) -> None:
    assert old.tags.all(RepositoryName.parse("acme/b/c")) == {"a+b": BASE}
    assert old.tags.all(RepositoryName.parse("Acme/UPPER")) == {"latest": BASE}
    assert old.tags.all(RepositoryName.parse("busybox")) == {"latest": FIRST}
    assert old.tags.all(RepositoryName.parse("acme/untagged")) == {}
    for name in ("acme/emptied", "acme/none", "acme/upper"):
        with pytest.raises(RepositoryNotFound):
            old.tags.all(RepositoryName.parse(name))


def test_lists_and_flags(old: Store) -> None:
    assert old.repositories.images(APP) == [{"id": TOP}, {"id": BASE, "checksum": "tarsum+sha256:x"}]
    assert old.repositories.images(RepositoryName.parse("acme/broken")) == []
    assert old.repositories.is_private(RepositoryName.parse("Acme/UPPER"))
    assert not old.repositories.is_private(APP)
    assert [str(name) for name in old.repositories.search("")] == [
        "acme/app",
        "acme/b/c",
        "acme/broken",
        "library/busybox",
    ]


def test_old_tag_moves_to_a_new_image(old: Store) -> None:
    old.add(Image("new"))
    old.tags.set(APP, Tag("gone"), Image("new").id, Agent())
    assert old.tags.get(APP, Tag("gone")) == Image("new").id


def test_tag_on_an_image_whose_ancestor_is_missing(old: Store) -> None:
    with pytest.raises(ImageNotFound):
        old.tags.require_taggable(ORPHAN)
