"""What a registry says of an image by `/v2/`, to the index, before anybody pulls it."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from common.errors import Unavailable
from registry_service.oci import background
from registry_service.oci.background import BackgroundTranslations
from registry_service.oci.translation import Untranslatable
from registry_service.storage.memory import Memory
from tests.units.registry_service.oci.store import Made, OciStore
from tests.units.registry_service.test_v2 import (
    BASE,
    NAME,
    OCI,
    SCHEMA2,
    TOP,
    client_of,
    code_of,
    filled,
    manifest_of,
    push,
)

BROKEN = Made("broken", BASE, stored=b"this is no archive" * 60)


def facts_of(client, image, name=NAME):
    return client.get(f"/v2/{name}/_wharfinger/images/{image}")


def test_the_manifests_of_an_image():
    client = filled(Memory())
    told = facts_of(client, TOP.id)
    assert (told.status_code, told.headers["Cache-Control"]) == (200, "no-cache")
    by_tag = [manifest_of(client, Accept=kind) for kind in (SCHEMA2, OCI)]
    assert told.json["manifests"] == [
        {"mediaType": kind, "digest": each.headers["Docker-Content-Digest"], "size": len(each.data)}
        for kind, each in zip((SCHEMA2, OCI), by_tag, strict=True)
    ]
    config = json.loads(by_tag[0].data)["config"]["size"]
    assert told.json["size"] == config + len(BASE.layer) + len(TOP.layer)
    assert facts_of(client, BASE.id).json["manifests"] != told.json["manifests"]


def test_why_an_image_has_none():
    client = client_of(Memory())
    push(client, NAME, BASE, BROKEN)
    told = facts_of(client, BROKEN.id)
    assert told.status_code == 200
    assert told.json == {"problem": f"The layer of image {BROKEN.id} cannot be unpacked: Layer format not supported"}
    for reference in ("0" * 64, "latest", "", "x/y"):
        refused = facts_of(client, reference)
        assert (refused.status_code, code_of(refused)) == (404, "NAME_UNKNOWN")


class Held(Memory):
    """A store whose layers are read once they are let go."""

    def __init__(self):
        super().__init__()
        self.is_free = Event()
        self.reads = 0

    def open_reader(self, path, offset=0, length=None):
        if path.endswith("/layer"):
            self.reads += 1
            assert self.is_free.wait(10)
        return super().open_reader(path, offset, length)


@pytest.fixture
def held():
    driver = Held()
    yield driver
    driver.is_free.set()


def stored(driver, *images):
    driver.is_free.set()
    store = OciStore(driver)
    store.add(*images)
    driver.is_free.clear()
    driver.reads = 0
    return store


def test_who_asks_for_long_work_is_told_to_come_again_and_it_is_done_once(held):
    store = stored(held, BASE)
    translations = BackgroundTranslations(store.translations, wait_seconds=0.05)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(translations.of, [BASE.id] * 3)) == [None] * 3
    held.is_free.set()
    done = store.translations.of(BASE.id)
    assert (len(done.layers), held.reads) == (1, 1)
    assert BackgroundTranslations(store.translations, wait_seconds=10).of(BASE.id) == done


def test_work_that_ends_at_the_very_end_of_the_wait_is_no_failure(held, monkeypatch):
    class EndsJustThen(Future):
        def result(self, timeout=None):
            try:
                return super().result(timeout)
            except TimeoutError:
                held.is_free.set()
                super().result(10)
                raise

    monkeypatch.setattr(background, "Future", EndsJustThen)
    translations = BackgroundTranslations(stored(held, BASE).translations, wait_seconds=0.05)
    assert translations.of(BASE.id) is None


def test_what_fails_is_told_and_can_be_asked_again(held):
    translations = BackgroundTranslations(stored(held, BASE, BROKEN).translations, wait_seconds=10)
    held.is_free.set()
    for _ in range(2):
        with pytest.raises(Untranslatable):
            translations.of(BROKEN.id)


def test_only_so_many_wait_for_their_turn(held, monkeypatch):
    monkeypatch.setattr(background, "AT_ONCE", 1)
    translations = BackgroundTranslations(stored(held, BASE, TOP).translations, wait_seconds=0.05)
    assert translations.of(BASE.id) is None
    with pytest.raises(Unavailable, match="Too many images"):
        translations.of(TOP.id)
    assert translations.of(BASE.id) is None
