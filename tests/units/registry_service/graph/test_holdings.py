"""What a repository holds, and that a stranger's image of the same id neither serves nor hinders its push."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from common.agents import Agent
from common.checksums import Checksum
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.description import are_equivalent
from registry_service.graph.errors import ImageBusy, ImageExists, ImageNotFound
from registry_service.graph.holdings import RepositoryHolder
from registry_service.graph.leases import Leases
from registry_service.graph.publication import Publisher
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from registry_service.storage.memory import Memory
from registry_service.storage.paths import ApartImageId
from tests.units.registry_service.graph.counted import Counted
from tests.units.registry_service.graph.store import Image, Store, in_blocks, payload_of

OWNER, STRANGER, OTHER = (RepositoryName(namespace, "app") for namespace in ("owner", "stranger", "other"))
BASE = Image("base")
CHILD = Image("child", BASE)
TROJAN = replace(BASE, files={"./file": b"trojan"})
REPACKED = replace(BASE, framing=1)


@pytest.fixture
def store() -> Store:
    return Store(Memory())


def held(store: Store, repository: RepositoryName, image: Image) -> bytes | None:
    """The layer that the repository holds."""
    found = store.holdings.find(repository, image.id)
    return None if found is None else store.layer_of(found)


def test_a_repository_holds_what_it_pushed(store: Store) -> None:
    store.push_to(OWNER, BASE)
    assert held(store, OWNER, BASE) == BASE.layer
    assert held(store, OTHER, BASE) is None


def test_a_repository_holds_what_its_tags_reach(store: Store) -> None:
    store.add(BASE, CHILD)
    assert held(store, OWNER, BASE) is None
    store.tags.set(OWNER, Tag("latest"), CHILD.id, Agent())
    assert held(store, OWNER, BASE) == BASE.layer
    assert held(store, OWNER, CHILD) == CHILD.layer
    store.tags.delete(OWNER, Tag("latest"))
    assert held(store, OWNER, CHILD) is None


def test_the_tags_of_a_mirrors_copy_hold_only_what_was_fetched_for_it(store: Store) -> None:
    store.add(BASE, CHILD)
    store.tags.set(OWNER, Tag("latest"), CHILD.id, Agent())
    store.driver.put(paths.mirrored(OWNER), b'{"compared": 1, "marked": true}')
    assert held(store, OWNER, CHILD) is None
    store.holdings.keep(OWNER, BASE.id, [BASE.payload], is_fetched=True)
    assert held(store, OWNER, BASE) == BASE.layer
    assert held(store, OWNER, CHILD) is None
    store.driver.put(paths.mirrored(OWNER), b'{"compared": 1}')
    assert held(store, OWNER, CHILD) == CHILD.layer, "of a copy that is older than marks"


def test_a_copy_that_is_written_to_once_it_mirrors_no_more_holds_what_is_tagged(store: Store) -> None:
    store.push_to(OWNER, BASE)
    store.push_to(OWNER, CHILD)
    store.driver.put(paths.mirrored(OTHER), b'{"compared": 1, "marked": true}')
    tagged = store.holdings.carry(CHILD.id, OTHER)
    store.tags.set(OTHER, Tag("latest"), tagged, Agent())
    assert held(store, OTHER, BASE) == BASE.layer
    assert held(store, OTHER, CHILD) == CHILD.layer


def test_a_tag_of_an_image_that_an_old_store_lost_reaches_nothing_more(store: Store) -> None:
    store.add(BASE)
    store.tags.set(OWNER, Tag("lost"), CHILD.id, Agent())
    store.tags.set(OWNER, Tag("there"), BASE.id, Agent())
    assert held(store, OWNER, BASE) == BASE.layer


def test_a_stranger_who_was_first_changes_nothing_for_the_owner(store: Store) -> None:
    store.push_to(STRANGER, TROJAN)
    store.push_to(OWNER, BASE)
    store.push_to(OWNER, CHILD)
    assert held(store, OWNER, BASE) == BASE.layer
    assert held(store, OWNER, CHILD) == CHILD.layer
    assert held(store, STRANGER, BASE) == TROJAN.layer


def test_all_above_an_image_kept_apart_is_kept_apart_too(store: Store) -> None:
    store.push_to(STRANGER, TROJAN)
    store.push_to(OWNER, BASE)
    store.push_to(OWNER, CHILD)
    child = store.holdings.find(OWNER, CHILD.id)
    assert isinstance(child, ApartImageId)
    ancestry = store.images.ancestry(child)
    assert ancestry == CHILD.ancestry
    assert all(isinstance(image, ApartImageId) for image in ancestry)
    assert not store.images.is_complete(CHILD.id)
    assert store.images.diff(child)["created"].keys() == set()


def test_what_lies_below_an_image_kept_apart_may_be_shared(store: Store) -> None:
    store.push_to(OTHER, BASE)
    store.push_to(STRANGER, BASE)
    store.push_to(STRANGER, replace(CHILD, files={"./file": b"trojan"}))
    store.push_to(OWNER, BASE)
    store.push_to(OWNER, CHILD)
    child = store.holdings.find(OWNER, CHILD.id)
    assert child is not None
    assert [isinstance(image, ApartImageId) for image in store.images.ancestry(child)] == [True, False]
    store.tags.set(OWNER, Tag("latest"), child, Agent())
    assert held(store, OWNER, BASE) == BASE.layer


@pytest.mark.parametrize("second", [BASE, REPACKED])
def test_the_same_image_is_held_by_both_and_stored_once(store: Store, second: Image) -> None:
    store.push_to(STRANGER, BASE)
    before = {path for path in store.everything() if path.startswith((paths.IMAGES, paths.APART))}
    store.push_to(OWNER, second)
    assert held(store, OWNER, BASE) == BASE.layer
    assert {path for path in store.everything() if path.startswith((paths.IMAGES, paths.APART))} == before
    # A daemon that did not hear the answer says it again.
    holder = RepositoryHolder(store.holdings, OWNER)
    store.push.seal(BASE.id, "again", payload=second.payload, tarsum=None, holder=holder)


def test_only_what_is_held_exists_already(store: Store) -> None:
    store.push_to(STRANGER, BASE)
    store.push_to(OWNER, BASE)
    with pytest.raises(ImageExists):
        store.push_to(OWNER, BASE)


def test_what_is_kept_apart_exists_already_for_its_own_repository(store: Store) -> None:
    store.push_to(STRANGER, TROJAN)
    store.push_to(OWNER, BASE)
    with pytest.raises(ImageExists):
        store.push_to(OWNER, BASE)
    store.push_to(OTHER, BASE)
    assert held(store, OTHER, BASE) == BASE.layer


def test_another_configuration_is_another_image(store: Store) -> None:
    evil = json.dumps({**json.loads(BASE.json), "config": {"Entrypoint": ["/evil"]}}).encode()
    holder = RepositoryHolder(store.holdings, STRANGER)
    store.push.begin(BASE.id, evil, "stranger", holder=holder)
    store.push.receive(BASE.id, "stranger", in_blocks(BASE.layer), holder=holder)
    store.push.seal(BASE.id, "stranger", payload=payload_of(evil, BASE.layer), tarsum=None, holder=holder)
    store.push_to(OWNER, BASE)
    found = store.holdings.find(OWNER, BASE.id)
    assert found is not None
    assert store.images.json(found) == BASE.json


def test_docker_0_5_which_declares_its_checksum_gets_the_same(store: Store) -> None:
    store.push_to(STRANGER, TROJAN)
    holder = RepositoryHolder(store.holdings, OWNER)
    store.push.begin(BASE.id, BASE.json, "old", declared=Checksum(BASE.payload), holder=holder)
    store.push.receive(BASE.id, "old", in_blocks(BASE.layer), holder=holder)
    assert held(store, OWNER, BASE) == BASE.layer


def test_a_deleted_repository_holds_nothing(store: Store) -> None:
    store.push_to(STRANGER, TROJAN)
    store.push_to(OWNER, BASE)
    apart = store.holdings.find(OWNER, BASE.id)
    assert apart is not None
    store.repositories.delete(OWNER)
    assert store.holdings.find(OWNER, BASE.id) is None
    store.images.forget(apart)
    with pytest.raises(ImageNotFound):
        store.images.layer(apart)


def test_what_a_deleted_repository_left_does_not_stand_in_the_way(store: Store) -> None:
    """docker-registry deletes a repository without what is kept apart for it."""
    store.push_to(STRANGER, TROJAN)
    store.push_to(OWNER, replace(BASE, files={"./file": b"of the former owner"}))
    store.driver.delete(paths.repository(OWNER))
    store.push_to(OWNER, BASE)
    assert held(store, OWNER, BASE) == BASE.layer


def test_an_upload_under_way_is_not_taken_for_a_leftover() -> None:
    store = Store(Memory(), wait_seconds=0)
    store.push_to(STRANGER, TROJAN)
    apart = ApartImageId(BASE.id, OWNER)
    assert Leases(store.driver).acquire(paths.image_mark(apart), "another upload") is not None
    store.driver.put(paths.image_layer(apart), b"on its way")
    with pytest.raises(ImageBusy):
        store.push_to(OWNER, BASE)
    assert store.driver.get(paths.image_layer(apart)) == b"on its way"


def test_what_one_repository_keeps_apart_is_carried_to_another(store: Store) -> None:
    store.push_to(STRANGER, TROJAN)
    store.push_to(OWNER, BASE)
    store.push_to(OWNER, CHILD)
    child = store.holdings.find(OWNER, CHILD.id)
    assert child is not None
    carried = store.holdings.carry(child, OTHER)
    store.tags.set(OTHER, Tag("latest"), carried, Agent())
    store.repositories.delete(OWNER)
    for image in (BASE, CHILD):
        assert held(store, OTHER, image) == image.layer
    assert store.images.ancestry(carried) == CHILD.ancestry
    assert store.holdings.carry(carried, OTHER) is carried


def carried(driver: Driver) -> tuple[Store, ImageId]:
    """A store in which OWNER keeps an image apart, and that image."""
    store = Store(driver)
    store.push_to(STRANGER, TROJAN)
    store.push_to(OWNER, BASE)
    found = store.holdings.find(OWNER, BASE.id)
    assert isinstance(found, ApartImageId)
    return store, found


class Interrupted(Exception):
    """A process ends here."""


class Interrupting(Counted, Memory):
    def strike(self) -> None:
        raise Interrupted


def test_a_copy_that_was_interrupted_at_any_step_is_made_whole_by_the_next() -> None:
    for strike_at in range(1, 50):
        driver = Interrupting()
        store, image = carried(driver)
        driver.strike_at = driver.done + strike_at
        try:
            store.holdings.carry(image, OTHER)
        except Interrupted:
            fresh = Store(driver, stale_seconds=-1)
            assert fresh.holdings.carry(image, OTHER) == BASE.id
        else:
            break
        assert held(fresh, OTHER, BASE) == BASE.layer
        assert fresh.images.checksums(ApartImageId(BASE.id, OTHER)) == [BASE.payload]
    assert 10 < strike_at < 49


def test_a_copy_waits_for_whoever_publishes_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    store, image = carried(Memory())
    target = ApartImageId(BASE.id, OTHER)
    lease = Leases(store.driver).acquire(paths.image_mark(target), "an upload")
    assert lease is not None
    monkeypatch.setattr(store.holdings, "_publisher", Publisher(store.driver, store.images, wait_seconds=0))
    with pytest.raises(ImageBusy):
        store.holdings.carry(image, OTHER)
    assert not store.driver.exists(paths.image_layer(target))


def test_what_a_repository_holds_already_is_not_replaced_by_a_copy() -> None:
    store, image = carried(Memory())
    store.push_to(OTHER, replace(BASE, files={"./file": b"its own"}))
    store.holdings.carry(image, OTHER)
    assert held(store, OTHER, BASE) == replace(BASE, files={"./file": b"its own"}).layer


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"id": "a", "Size": 7}, {"id": "a", "Size": 9}, True),
        ({"id": "a", "config": {"Cmd": None}}, {"id": "a", "config": {}}, True),
        ({"id": "a", "config": {"Cmd": ["x"]}}, {"config": {"Cmd": ["x"]}, "id": "a"}, True),
        ({"id": "a", "config": {"Cmd": ["x"]}}, {"id": "a", "config": {"Cmd": ["y"]}}, False),
        ({"id": "a", "config": {"Volumes": {"/x": {}}}}, {"id": "a", "config": {"Volumes": {}}}, False),
        ({"id": "a", "config": {"Labels": {"x": ""}}}, {"id": "a", "config": {}}, False),
        ({"id": "a", "config": {"Tty": True}}, {"id": "a", "config": {"Tty": 1}}, False),
    ],
)
def test_descriptions_that_make_the_same_image(
    one: dict[str, object], other: dict[str, object], expected: bool
) -> None:
    assert are_equivalent(json.dumps(one).encode(), json.dumps(other).encode()) is expected


@pytest.mark.parametrize(
    "trick",
    [
        b'{"id": "a", "config": {"Entrypoint": ["evil"]}, "config": {"Cmd": ["x"]}}',
        b'{"id": "a", "Config": {"Entrypoint": ["evil"]}, "config": {"Cmd": ["x"]}}',
        b'{"id": "a", "config": {"Entrypoint": ["evil"], "Cmd": ["x"], "cmd": ["x"]}}',
    ],
)
def test_a_description_that_go_reads_in_its_own_way_is_equivalent_to_no_other(trick: bytes) -> None:
    assert are_equivalent(trick, trick)
    assert not are_equivalent(trick, b'{"id": "a", "config": {"Cmd": ["x"]}}')


def test_an_apart_image_is_the_same_id_at_another_place() -> None:
    image = ImageId("a" * 64)
    apart = ApartImageId(image, OWNER)
    assert apart == image
    assert paths.image_layer(apart) == f"_apart/owner/app/{image}/layer"
    assert paths.is_layer(paths.image_layer(apart))
    assert paths.is_immutable(paths.image_json(apart))
