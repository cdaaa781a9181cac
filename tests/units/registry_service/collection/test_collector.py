"""Collections of a store: what is kept, what goes and when, and what is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from common.agents import Agent
from common.names import ImageId, RepositoryName, Tag
from registry_service.app import create_app
from registry_service.collection.collector import Collection, Collector
from registry_service.graph.condemned import Condemned, Intents
from registry_service.graph.errors import CollectionRunning, ImageBusy
from registry_service.graph.images import Images
from registry_service.oci.records import Records
from registry_service.oci.translation import Translations
from registry_service.settings import RegistrySettings
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from registry_service.storage.filesystem import STAGING
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from registry_service.storage.paths import ApartImageId
from tests.units.registry_service.graph.conftest import driver, store
from tests.units.registry_service.graph.store import Image, Store

__all__ = ["driver", "store"]

REPOSITORY, OTHER = RepositoryName("acme", "app"), RepositoryName("other", "app")
LATEST = Tag("latest")
BASE = Image("base")
CHILD = Image("child", BASE)
LOOSE = Image("loose", BASE)
TROJAN = replace(LOOSE, files={"./file": b"trojan"})


def collect(store: Store, grace_seconds: float = 0.0, *, is_dry_run: bool = False) -> Collection:
    return Collector(store.driver, store.push, grace_seconds, is_dry_run=is_dry_run).run()


def tag(store: Store, image: Image | None, repository: RepositoryName = REPOSITORY) -> None:
    store.tags.change(repository, LATEST, image.id if image else None, Agent())


def present(driver: Driver) -> set[str]:
    """Contents of the store that a collection is about, but for what the ids of collected images stood for."""
    store = Store(driver)
    found = store.everything()
    for top in (paths.COLLECTION, paths.INTENTS, paths.DIGESTS):
        found |= set(store._below(top))
    return found


def of_image(*images: Image) -> set[str]:
    return {f"{paths.image(one.id)}/{part}" for one in images for part in ("json", "layer", "ancestry", "_checksum")}


def test_what_no_tag_reaches_is_condemned_and_goes_with_the_next_collection(store: Store) -> None:
    store.add(BASE, CHILD, LOOSE)
    tag(store, CHILD)
    kept = {path for path in present(store.driver) if LOOSE.id not in path}
    first = collect(store)
    assert (first.images, first.reached, first.condemned, first.deleted) == (3, 2, 1, 0)
    assert store.holds(LOOSE)
    second = collect(store)
    assert (second.images, second.condemned, second.deleted) == (3, 0, 1)
    assert second.deleted_bytes == len(LOOSE.layer)
    assert present(store.driver) == kept
    third = collect(store)
    assert (third.images, third.reached, third.condemned, third.deleted) == (2, 2, 0, 0)


def test_nothing_goes_within_the_grace_period(store: Store) -> None:
    store.add(BASE)
    collect(store, 3600)
    later = collect(store, 3600)
    assert (later.waiting, later.waiting_bytes, later.deleted) == (1, len(BASE.layer), 0)
    assert store.holds(BASE)


def test_what_is_tagged_again_is_not_condemned_any_more(store: Store) -> None:
    store.add(BASE)
    collect(store)
    tag(store, BASE)
    collect(store)
    tag(store, None)
    assert collect(store).deleted == 0
    assert collect(store).deleted == 1


@pytest.mark.parametrize("how", ["asked for", "pushed again", "built on"])
def test_whoever_is_told_that_an_image_is_there_has_the_grace_period_again(store: Store, how: str) -> None:
    store.add(BASE)
    collect(store)
    # That nothing is condemned is cached for less than the grace period is ever long, but here.
    store = Store(store.driver)
    if how == "asked for":
        assert store.push.promise(BASE.id)
    elif how == "pushed again":
        store.seal(BASE)
    else:
        store.describe(CHILD)
        store.push.abandon(CHILD.id, "uploader")
    assert collect(store).deleted == 0
    assert store.holds(BASE)
    assert collect(store).deleted == 1


def test_all_that_an_image_is_based_on_has_the_grace_period_again(store: Store) -> None:
    store.add(BASE, CHILD)
    collect(store)
    Store(store.driver).describe(Image("top", CHILD))
    assert not store.driver.exists(paths.CONDEMNED)


class Asked(Memory):
    """A store that counts what it is asked about collections."""

    times = 0

    def get(self, path: str) -> bytes:
        self.times += path.startswith(paths.COLLECTION)
        return super().get(path)

    def delete(self, path: str) -> None:
        self.times += path.startswith(paths.COLLECTION)
        super().delete(path)


def test_while_anything_is_condemned_the_last_image_of_a_long_push_costs_no_more_than_the_first() -> None:
    driver, costs = Asked(), []
    store, image = Store(driver), Image("0")
    driver.put(paths.condemned(paths.image(LOOSE.id)), b"")
    store.add(image)
    for number in range(1, 12):
        image, before = Image(str(number), image), driver.times
        store.add(image)
        costs.append(driver.times - before)
    assert 0 < costs[-1] <= costs[0]


def test_requests_of_a_push_rescue_and_those_of_a_pull_do_not(store: Store) -> None:
    store.add(BASE)
    collect(store)
    client = create_app(RegistrySettings(standalone=True, hosts=("*",)), store.driver).test_client()
    path, stone = f"/v1/images/{BASE.id}/json", paths.condemned(paths.image(BASE.id))
    reads, writes = (
        {"Authorization": f'Token signature=SIGNATURE,repository="acme/app",access={access}'}
        for access in ("read", "write")
    )
    assert client.get(path, headers=reads).status_code == 200
    assert store.driver.exists(stone)
    assert client.get(path, headers=writes).status_code == 200
    assert not store.driver.exists(stone)
    Condemned(store.driver).announce([paths.image(BASE.id)])
    assert client.get(path, headers=writes).status_code == 404
    assert client.get(path, headers=reads).status_code == 200
    Condemned(store.driver).announce([])
    assert client.put("/v1/repositories/acme/app/tags/latest", json=BASE.id, headers=writes).status_code == 200
    assert not store.driver.exists(paths.INTENTS)


def test_what_a_push_under_way_is_based_on_stays(store: Store) -> None:
    store.add(BASE)
    store.describe(CHILD)
    for _ in range(3):
        assert collect(store).reached == 1
    store.push.abandon(CHILD.id, "uploader")
    collect(store)
    assert collect(store).deleted == 1


def test_what_a_tag_is_about_to_reach_stays(store: Store) -> None:
    store.add(BASE, CHILD)
    collect(store)
    with Intents(store.driver).reaching([CHILD.id, BASE.id]):
        assert collect(store).deleted == 0
    collect(store)
    assert collect(store).deleted == 2


def test_a_change_that_may_be_undone_keeps_both_images(store: Store) -> None:
    store.add(BASE, CHILD, LOOSE)
    record = {"repository": str(REPOSITORY), "tag": "latest", "now": None, "before": CHILD.id}
    store.driver.put(f"{paths.PENDING}/1.2", json.dumps(record).encode())
    collect(store)
    assert collect(store).deleted == 1
    assert store.holds(BASE)
    assert store.holds(CHILD)


def test_a_tag_waits_while_its_image_is_perhaps_being_deleted(store: Store) -> None:
    store.add(BASE)
    Condemned(store.driver).announce([paths.image(BASE.id)])
    with pytest.raises(ImageBusy), Intents(store.driver, wait_seconds=0.0).reaching([BASE.id]):
        raise AssertionError
    assert not Store(store.driver).push.promise(BASE.id)
    assert not store.driver.exists(paths.INTENTS)


def test_an_image_kept_apart_goes_when_its_repository_does_not_reach_it(store: Store) -> None:
    store.add(BASE)
    store.push_to(REPOSITORY, TROJAN)
    store.push_to(OTHER, LOOSE)
    apart = ApartImageId(LOOSE.id, OTHER)
    assert store.images.is_complete(apart)
    tag(store, TROJAN)
    tag(store, LOOSE, OTHER)
    collect(store)
    assert collect(store).deleted == 0
    tag(store, None, OTHER)
    collect(store)
    assert collect(store).deleted == 1
    assert not Images(store.driver).is_complete(apart)
    assert Images(store.driver).is_complete(TROJAN.id)
    assert not store.driver.exists(paths.APART)


def test_holdings_end_and_an_id_keeps_what_it_stood_for(store: Store) -> None:
    """Who held a collected image, at an index perhaps for longer than here, is not given what others push later."""
    store.add(BASE)
    tag(store, BASE)
    store.push_to(REPOSITORY, LOOSE)
    collect(store)
    done = collect(store)
    assert (done.deleted, done.holdings) == (1, 1)
    assert store.holdings.find(REPOSITORY, LOOSE.id) is None
    store.push_to(OTHER, TROJAN)
    assert not store.images.is_complete(LOOSE.id)
    assert store.images.is_complete(ApartImageId(LOOSE.id, OTHER))
    store.push_to(REPOSITORY, LOOSE)
    assert store.holds(LOOSE)


def test_translations_and_hints_go_with_the_image(store: Store) -> None:
    store.add(BASE, LOOSE)
    tag(store, BASE)
    before = present(store.driver)
    Translations(store.driver, store.images, Records(store.driver)).of(LOOSE.id)
    assert len(present(store.driver)) > len(before) + 5
    collect(store)
    collect(store)
    left = {path for path in present(store.driver) if paths.DIGESTS not in path and not path.endswith("/_oci_layer")}
    assert left == before - of_image(LOOSE)
    hints = [path for path in present(store.driver) if path.startswith(paths.DIGESTS)]
    assert all(json.loads(store.driver.get(path))["image"] == BASE.id for path in hints)


def test_what_is_no_images_is_left_alone_and_told(store: Store) -> None:
    store.add(BASE)
    store.driver.put(f"{paths.image(BASE.id)}/notes.txt", b"")
    store.driver.put(f"{paths.IMAGES}/lost+found/something", b"")
    collect(store)
    assert collect(store).unknown == [f"{paths.IMAGES}/lost+found", f"{paths.image(BASE.id)}/notes.txt"]
    assert present(store.driver) >= {f"{paths.image(BASE.id)}/notes.txt", f"{paths.IMAGES}/lost+found/something"}
    assert not of_image(BASE) & present(store.driver)


def test_a_dry_run_writes_nothing(store: Store) -> None:
    store.add(BASE, CHILD)
    tag(store, BASE)
    before = present(store.driver)
    told = collect(store, is_dry_run=True)
    assert (told.condemned, told.condemned_bytes) == (1, len(CHILD.layer))
    assert present(store.driver) == before
    collect(store)
    stones = present(store.driver)
    told = collect(store, is_dry_run=True)
    assert (told.condemned, told.ripe, told.ripe_bytes, told.deleted) == (0, 1, len(CHILD.layer), 0)
    assert present(store.driver) == stones


def test_bytes_of_repositories_before_and_after(store: Store) -> None:
    store.push_to(REPOSITORY, BASE, CHILD)
    store.push_to(OTHER, BASE, LOOSE)
    tag(store, CHILD)
    tag(store, BASE, OTHER)
    collect(store)
    spaces = {space.repository: (space.before, space.after) for space in collect(store).repositories}
    base, child, loose = (len(one.layer) for one in (BASE, CHILD, LOOSE))
    assert spaces == {"acme/app": (base + child, base + child), "other/app": (base + loose, base)}


def test_one_collection_at_a_time(store: Store) -> None:
    running = Collector(store.driver, store.push, 0.0)
    with running._take_turn(), pytest.raises(CollectionRunning):
        collect(store)
    collect(store)
    assert not store.driver.exists(paths.COLLECTION_CLAIM)


def test_a_store_is_read_as_it_is_even_where_it_cannot_be_served() -> None:
    """Ancestries that are missing, a repository whose name nobody can use, a tag that names what is gone."""
    store = Store(Guard(Memory()))
    store.add(BASE, CHILD, LOOSE)
    store.driver.delete(paths.image_ancestry(CHILD.id))
    store.driver.delete(paths.image_layer(CHILD.id))
    store.driver.put("repositories/UPPER/App/tag_v1", f"{CHILD.id}\n".encode())
    store.driver.put("repositories/acme/app/tag_gone", ImageId("f" * 64).encode())
    collect(store)
    assert collect(store).deleted == 1
    assert store.holds(BASE)
    assert store.driver.exists(paths.image_json(CHILD.id))


def test_what_was_being_deleted_when_a_collection_was_killed_is_gone_through_again(store: Store) -> None:
    store.add(BASE, CHILD)
    collect(store)
    store.driver.delete(paths.image_layer(CHILD.id))
    Condemned(store.driver).announce([paths.image(CHILD.id)])
    assert collect(store).deleted == 2
    assert {path for path in present(store.driver) if not path.startswith(STAGING)} == set()
