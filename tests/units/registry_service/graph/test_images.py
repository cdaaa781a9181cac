"""Reading complete images, and how little of it the store is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_service.graph.errors import ImageNotFound
from registry_service.graph.images import Images
from registry_service.graph.leases import Leases
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Reader, Stat
from registry_service.storage.memory import Memory
from tests.units.registry_service.graph.store import Image, Store, payload_of

BASE = Image("base")
CHILD = Image("child", BASE)
OTHER = Image("base", files={"./other": b"another layer altogether"})


class Counting(Memory):
    """Notes every question."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, path: str) -> bytes:
        self.asked.append(f"get {path}")
        return super().get(path)

    def stat(self, path: str) -> Stat:
        self.asked.append(f"stat {path}")
        return super().stat(path)

    def exists(self, path: str) -> bool:
        self.asked.append(f"exists {path}")
        return super().exists(path)

    def list(self, path: str) -> Iterator[str]:
        self.asked.append(f"list {path}")
        return super().list(path)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        self.asked.append(f"open {path}")
        return super().open_reader(path, offset, length)


def test_hot_image_costs_one_look_at_its_layer() -> None:
    driver = Counting()
    Store(driver).add(BASE, CHILD)
    images = Images(driver)
    for _ in range(2):
        driver.asked.clear()
        assert images.ancestry(CHILD.id) == CHILD.ancestry
        for image in (BASE, CHILD):
            assert images.json(image.id) == image.json
            assert images.size(image.id) == len(image.layer)
            assert images.checksums(image.id) == [image.payload]
            with images.open_layer(images.layer(image.id)) as reader:
                assert b"".join(reader) == image.layer
    assert driver.asked == [
        f"{ask} {paths.image_layer(image.id)}" for image in (BASE, CHILD) for ask in ("stat", "open")
    ]


def test_layer_seen_lately_is_not_looked_at_again_but_by_who_writes() -> None:
    driver = Counting()
    Store(driver).add(BASE)
    images = Images(driver, check_seconds=3600)
    first = images.layer(BASE.id)
    driver.asked.clear()
    assert images.layer(BASE.id) == first
    assert not driver.asked
    assert images.is_complete(BASE.id)
    assert driver.asked == [f"stat {paths.image_layer(BASE.id)}"]


def test_layer_seen_lately_and_deleted_since_is_noticed_by_who_reads_it() -> None:
    driver = Memory()
    Store(driver).add(BASE)
    images = Images(driver, check_seconds=3600)
    images.layer(BASE.id)
    driver.delete(paths.image(BASE.id))
    with pytest.raises(ImageNotFound):
        images.open_layer(images.layer(BASE.id))


def test_a_look_is_believed_for_its_time_only() -> None:
    driver = Counting()
    Store(driver).add(BASE)
    images = Images(driver, check_seconds=1e-6)
    images.layer(BASE.id)
    driver.asked.clear()
    images.layer(BASE.id)
    assert driver.asked == [f"stat {paths.image_layer(BASE.id)}"]


def test_absence_is_not_remembered(store: Store) -> None:
    assert not store.images.is_complete(BASE.id)
    Store(store.driver).add(BASE)
    assert store.images.is_complete(BASE.id)


def test_deletion_elsewhere_is_noticed_at_the_layer(store: Store) -> None:
    store.add(BASE)
    store.images.json(BASE.id)
    store.driver.delete(paths.image(BASE.id))
    with pytest.raises(ImageNotFound):
        store.images.layer(BASE.id)
    with pytest.raises(ImageNotFound):
        store.images.json(BASE.id)


def test_layer_deleted_under_our_hands(store: Store) -> None:
    store.add(BASE)
    layer = store.images.layer(BASE.id)
    store.driver.delete(paths.image(BASE.id))
    with pytest.raises(ImageNotFound):
        store.images.open_layer(layer)


def test_other_bytes_in_its_place_are_noticed(store: Store) -> None:
    store.add(BASE)
    before = store.images.layer(BASE.id)
    store.driver.delete(paths.image(BASE.id))
    Store(store.driver).add(OTHER)
    after = store.images.layer(BASE.id)
    assert after.size == len(OTHER.layer)
    assert after.etag == f'"{OTHER.payload}"' != before.etag
    assert store.images.checksums(BASE.id) == [OTHER.payload]


def test_deletion_elsewhere_is_noticed_by_who_writes(store: Store) -> None:
    store.add(BASE, CHILD)
    store.images.json(BASE.id)
    store.driver.delete(paths.image(BASE.id))
    with pytest.raises(ImageNotFound):
        store.tags.require_taggable(CHILD.id)
    store.add(BASE)
    assert store.holds(BASE)


def test_what_is_published_here_is_known_here(store: Store) -> None:
    """Remembered, deleted elsewhere, and pushed anew with another JSON: the new one is read at once."""
    store.add(BASE, CHILD)
    assert store.images.ancestry(CHILD.id) == CHILD.ancestry
    store.driver.delete(paths.image(CHILD.id))
    orphaned = Image("child")
    store.add(orphaned)
    assert store.images.json(CHILD.id) == orphaned.json
    assert store.images.ancestry(CHILD.id) == [CHILD.id]


def test_image_stays_in_sight_behind_a_lease(store: Store) -> None:
    """A publisher died between its last two steps, or a second one is just finding out that all is done."""
    store.add(BASE)
    lease = Leases(store.driver).acquire(paths.image_mark(BASE.id), "subject")
    assert lease is not None
    assert Store(store.driver).holds(BASE)
    Leases(store.driver).release(lease)
    assert store.holds(BASE)


def test_mark_hides_a_replacement_under_way(store: Store) -> None:
    store.add(BASE)
    store.images.json(BASE.id)
    store.driver.put(paths.image_mark(BASE.id), b"true")
    store.driver.put(paths.image_layer(BASE.id), b"something half done")
    with pytest.raises(ImageNotFound):
        store.images.layer(BASE.id)


def test_layer(store: Store) -> None:
    store.add(BASE)
    layer = store.images.layer(BASE.id)
    assert layer.size == len(BASE.layer)
    assert layer.etag == f'"{BASE.payload}"'
    assert layer.modified == store.driver.stat(paths.image_layer(BASE.id)).modified
    with store.images.open_layer(layer, 3, 5) as reader:
        assert b"".join(reader) == BASE.layer[3:8]
    file = store.images.local_path(layer)
    assert file is None or file.read_bytes() == BASE.layer
    assert store.images.url_for(layer) is None


@pytest.mark.parametrize("missing", ["json", "layer"])
def test_without_json_or_layer_it_is_absent(store: Store, missing: str) -> None:
    store.add(BASE)
    store.driver.delete(f"images/{BASE.id}/{missing}")
    images = Images(store.driver)
    assert not images.is_complete(BASE.id)
    for ask in (images.json, images.layer, images.size, images.checksums, images.ancestry, images.files, images.diff):
        with pytest.raises(ImageNotFound):
            ask(BASE.id)


def test_pushed_json_may_be_large(driver: Driver) -> None:
    """It is not remembered, and comes all the same."""
    store = Store(driver)
    description = b'{"id": "%b", "comment": "%b"}' % (BASE.id.encode(), b"x" * (9 * 1024 * 1024))
    store.push.begin(BASE.id, description, "uploader")
    store.receive(BASE)
    store.push.seal(BASE.id, "uploader", payload=None, tarsum=payload_of(description, BASE.layer))
    assert store.images.json(BASE.id) == description
