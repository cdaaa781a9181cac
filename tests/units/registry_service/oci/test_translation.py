"""Translations: what is offered for an image, what the store keeps of it, and when that counts no more."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest

from common.names import ImageId, RepositoryName
from registry_service.graph.errors import ImageNotFound
from registry_service.graph.image_repair import ImageRepair
from registry_service.oci import translation
from registry_service.oci.config import MOST_LAYERS
from registry_service.oci.digests import Digest
from registry_service.oci.manifests import OCI, SCHEMA2, Manifest
from registry_service.oci.records import Kind, Named, Records
from registry_service.oci.translation import Translated, Translations, Untranslatable
from registry_service.offload import offload
from registry_service.storage import paths
from registry_service.storage.driver import Driver, Reader, StorageFailure
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.memory import Memory
from registry_service.storage.paths import ApartImageId
from tests.units.registry_service.graph.store import Image, in_blocks, tar
from tests.units.registry_service.oci.store import TAR, Made, OciStore

BASE = Made("base", stored=TAR, members={"created": "2014-01-01T00:00:00.10Z", "author": "<me>"})
MIDDLE = Made("middle", BASE, stored=gzip.compress(bytes(1024)), members={"container_config": {"Cmd": ["a", "b"]}})
TOP = Made("top", MIDDLE, members={"config": {"Cmd": ["run"]}, "docker_version": "1.9.1", "os": "linux"})


@pytest.fixture
def filled(store: OciStore) -> OciStore:
    store.add(BASE, MIDDLE, TOP)
    return store


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_manifests_name_the_config_and_the_layers(filled: OciStore) -> None:
    translated = filled.translations.of(TOP.id)
    assert translated.config_digest == digest_of(translated.config)
    for found, dialect in ((translated.schema2, SCHEMA2), (translated.oci, OCI)):
        assert found.media_type == dialect.manifest
        assert found.digest == digest_of(found.content)
        named = json.loads(found.content)
        assert (named["schemaVersion"], named["mediaType"]) == (2, dialect.manifest)
        assert named["config"] == {
            "mediaType": dialect.config,
            "size": len(translated.config),
            "digest": translated.config_digest,
        }
        assert named["layers"] == [
            {"mediaType": kind, "size": len(image.layer), "digest": digest_of(image.layer)}
            for kind, image in ((dialect.tar_layer, BASE), (dialect.gzip_layer, MIDDLE), (dialect.gzip_layer, TOP))
        ]
    assert [(blob.image, blob.digest, blob.size) for blob in translated.layers] == [
        (image.id, digest_of(image.layer), len(image.layer)) for image in (BASE, MIDDLE, TOP)
    ]


def test_config_tells_the_history(filled: OciStore) -> None:
    config = json.loads(filled.translations.of(TOP.id).config)
    assert config["rootfs"]["type"] == "layers"
    assert config["rootfs"]["diff_ids"][0] == digest_of(TAR)
    assert config["history"] == [
        {"created": "2014-01-01T00:00:00.1Z", "author": "<me>"},
        {"created": "2015-05-10T12:00:00.123456789Z", "created_by": "a b"},
        {"created": "2015-05-10T12:00:00.123456789Z"},
    ]
    assert "parent" not in config
    assert config["architecture"] == "amd64"


def test_text_of_a_manifest_is_fixed(filled: OciStore) -> None:
    """What was given out must not change with a library: its digest is pinned by people."""
    content = filled.translations.of(BASE.id).schema2.content.decode()
    config = filled.translations.of(BASE.id)
    assert (
        content
        == f"""{{
   "schemaVersion": 2,
   "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
   "config": {{
      "mediaType": "application/vnd.docker.container.image.v1+json",
      "size": {len(config.config)},
      "digest": "{config.config_digest}"
   }},
   "layers": [
      {{
         "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
         "size": {len(TAR)},
         "digest": "{digest_of(TAR)}"
      }}
   ]
}}"""
    )


def test_content_is_found_by_its_digest(filled: OciStore) -> None:
    translations, translated = filled.translations, filled.translations.of(TOP.id)
    for kind, expected in ((Kind.SCHEMA2, translated.schema2), (Kind.OCI, translated.oci)):
        assert translations.content(Named(TOP.id, kind), expected.digest) == expected
    assert translations.content(Named(TOP.id, Kind.CONFIG), translated.config_digest) == translated.config
    layer = translations.content(Named(BASE.id, Kind.LAYER), Digest.of(TAR))
    assert layer == replace(filled.images.layer(BASE.id), etag=f'"{digest_of(TAR)}"')
    for kind in Kind:
        assert translations.content(Named(TOP.id, kind), Digest.of(b"other")) is None


def test_second_process_computes_nothing(filled: OciStore, driver: Driver) -> None:
    translated = filled.translations.of(TOP.id)

    def refuse(*_: Any) -> Any:
        raise AssertionError("Nothing is to be read again")

    other = Translations(driver, filled.images, filled.records, offload=refuse)
    assert other.of(TOP.id) == translated


def test_what_was_given_out_stays_though_the_code_changes(
    filled: OciStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    translated = filled.translations.of(TOP.id)
    monkeypatch.setattr(translation, "image_config", lambda *_: b'{"another":"version"}')
    assert OciStore(driver).translations.of(TOP.id) == translated


def test_missing_ancestor(filled: OciStore, driver: Driver) -> None:
    driver.delete(paths.image(BASE.id))
    with pytest.raises(ImageNotFound):
        OciStore(driver).translations.of(TOP.id)


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"of": 1}', b"\xff", b'{"of":"x","digest":"sha256:1"}'])
def test_broken_record_is_written_anew(filled: OciStore, driver: Driver, broken: bytes) -> None:
    translated = filled.translations.of(TOP.id)
    for path in (paths.oci_layer(BASE.id), paths.oci_image(TOP.id)):
        driver.put(path, broken)
    driver.put(paths.digest(translated.config_digest.hex), broken)
    assert OciStore(driver).translations.of(TOP.id) == translated
    assert OciStore(driver).records.image(TOP.id) is not None
    assert OciStore(driver).records.layer(BASE.id) is not None


def repair(store: OciStore) -> ImageRepair:
    return ImageRepair(store.driver, store.images, store.push, store.holdings, store.tags, store.repositories)


def translate_elsewhere(store: OciStore, image: Image) -> Translated:
    return OciStore(store.driver).translations.of(image.id)


def test_replaced_layer_replaces_what_was_recorded(filled: OciStore) -> None:
    """The records of the image, and of all that are based on it, count no more, though nobody drops them."""
    before = filled.translations.of(TOP.id)
    better = gzip.compress(tar({"./better": b"content"}))
    repair(filled).replace(MIDDLE.id, MIDDLE.json, in_blocks(better))
    after = translate_elsewhere(filled, TOP)
    assert after.layers[1].digest == digest_of(better)
    assert after.oci.digest != before.oci.digest
    assert translate_elsewhere(filled, TOP) == after
    assert filled.translations.content(Named(MIDDLE.id, Kind.LAYER), before.layers[1].digest) is None


def test_running_process_notices_a_replaced_layer(filled: OciStore, driver: Driver) -> None:
    """Or its manifests would name a blob that it does not have any more."""
    running = Translations(driver, filled.images, filled.records, check_seconds=0)
    running.of(TOP.id)
    better = gzip.compress(tar({"./better": b"content"}))
    repair(OciStore(driver)).replace(BASE.id, BASE.json, in_blocks(better))
    assert running.of(TOP.id).layers[0].digest == digest_of(better)


def test_blob_of_a_replaced_layer_is_cleared_away(store: OciStore, driver: Driver) -> None:
    """Where the image was not removed as a whole."""
    image = Made("image", stored=gzip.compress(TAR) + b"junk")
    store.add(image)
    store.blob(image.id)
    for path in (paths.image_layer(image.id), paths.image_json(image.id)):
        driver.delete(path)
    again = OciStore(driver)
    again.add(replace(image, stored=gzip.compress(TAR) + b"other junk"))
    assert again.blob(image.id) == gzip.compress(TAR)
    assert len([name for name in driver.list(paths.image(image.id)) if name.startswith("_oci_layer.")]) == 1


def test_store_that_fails_is_no_store_without_records(filled: OciStore) -> None:
    """Or each failed read would cost a pass over a layer."""

    class Failing(Memory):
        def get(self, path: str) -> bytes:
            raise StorageFailure(path)

    filled.translations.of(TOP.id)
    with pytest.raises(StorageFailure):
        Translations(filled.driver, filled.images, Records(Failing())).of(TOP.id)


def test_left_over_record_of_a_push_that_came_again_does_not_count(filled: OciStore, driver: Driver) -> None:
    """A disk lost a layer; whoever has the image pushes it again, packed in other bytes."""
    filled.translations.of(TOP.id)
    for path in (paths.image_layer(TOP.id), paths.image_json(TOP.id)):
        driver.delete(path)
    again = replace(TOP, framing=1)
    store = OciStore(driver)
    store.add(again)
    assert store.translations.of(TOP.id).layers[-1].digest == digest_of(again.layer)
    assert store.blob(TOP.id) == again.layer


def test_removed_image_takes_its_records_along(filled: OciStore, driver: Driver) -> None:
    filled.translations.of(TOP.id)
    repair(filled).remove(TOP.id)
    assert not driver.exists(paths.image(TOP.id))


def test_layer_replaced_while_it_is_read(filled: OciStore, driver: Driver) -> None:
    """Nothing is recorded of a mixture, and whoever asks again gets what is there then."""
    better = gzip.compress(tar({"./better": b"content"}))
    once = threading.Semaphore(1)

    def offload(work: Callable[..., Any], *arguments: Any) -> Any:
        if isinstance(arguments[0], Reader) and once.acquire(blocking=False):
            repair(OciStore(driver)).replace(TOP.id, TOP.json, in_blocks(better))
        return work(*arguments)

    translations = Translations(driver, filled.images, filled.records, offload=offload)
    filled.translations.of(MIDDLE.id)
    with pytest.raises(Exception, match="retry later"):
        translations.of(TOP.id)
    assert filled.records.layer(TOP.id) is None
    assert translations.of(TOP.id).layers[-1].digest == digest_of(better)


def test_cleared_blob_is_written_again(store: OciStore, driver: Driver) -> None:
    image = Made("image", stored=gzip.compress(TAR) + b"junk")
    store.add(image)
    expected = store.blob(image.id)
    record = store.translations.layer(image.id)
    assert record.blob is not None
    driver.delete(paths.oci_layer_blob(image.id, record.blob))
    with pytest.raises(Exception, match="retry later"):
        store.translations.blob(image.id)
    assert store.blob(image.id) == expected


REPOSITORY = RepositoryName("owner", "app")


def push_apart(store: OciStore, image: Image) -> ApartImageId:
    """Another layer under an id that is taken."""
    store.push_to(REPOSITORY, image)
    return ApartImageId(image.id, REPOSITORY)


def test_image_kept_apart_has_a_translation_of_its_own(filled: OciStore, driver: Driver) -> None:
    shared = filled.translations.of(BASE.id)
    apart = push_apart(filled, replace(BASE, stored=tar({"./own": b"content"})))
    own = filled.translations.of(apart)
    assert own.layers[0].digest != shared.layers[0].digest
    assert isinstance(own.layers[0].image, ApartImageId)
    assert filled.translations.of(BASE.id) == shared
    assert driver.exists(paths.digest(own.oci.digest.hex, REPOSITORY))
    assert not driver.exists(paths.digest(own.oci.digest.hex))
    filled.repositories.delete(REPOSITORY)
    assert not driver.exists(paths.digest(own.oci.digest.hex, REPOSITORY))


def test_layers_without_a_file_are_left_out_beyond_what_docker_takes() -> None:
    store = OciStore(Memory())
    images: list[Made] = [Made("0", stored=TAR)]
    for index in range(1, MOST_LAYERS + 2):
        stored = TAR if index == MOST_LAYERS else gzip.compress(bytes(1024), mtime=index)
        images.append(Made(str(index), images[-1], stored=stored))
    store.add(*images)
    most = store.translations.of(images[MOST_LAYERS - 1].id)
    assert len(most.layers) == MOST_LAYERS
    assert b"empty_layer" not in most.config
    more = store.translations.of(images[-1].id)
    assert [blob.image for blob in more.layers] == [images[0].id, images[MOST_LAYERS].id]
    config = json.loads(more.config)
    assert len(config["rootfs"]["diff_ids"]) == len(json.loads(more.oci.content)["layers"]) == 2
    assert sum(not step.get("empty_layer", False) for step in config["history"]) == 2
    assert len(config["history"]) == len(images)


def test_those_who_ask_at_once_share_one_computation(filled: OciStore, driver: Driver) -> None:
    reads: list[Reader] = []
    begun = threading.Event()

    def offload(work: Callable[..., Any], *arguments: Any) -> Any:
        if isinstance(arguments[0], Reader):
            reads.append(arguments[0])
            begun.wait(5)
        return work(*arguments)

    translations = Translations(driver, filled.images, filled.records, offload=offload)
    found: list[Manifest] = []
    threads = [threading.Thread(target=lambda: found.append(translations.of(TOP.id).oci)) for _ in range(20)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    assert len(reads) == 3
    assert len(found) == 20
    assert len(set(found)) == 1


def test_layers_are_read_few_at_a_time(store: OciStore, driver: Driver) -> None:
    images = [Made(f"image{index}", stored=gzip.compress(TAR, mtime=index)) for index in range(6)]
    store.add(*images)
    lock, full, reading, most = threading.Lock(), threading.Event(), 0, 0

    def offload(work: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal reading, most
        with lock:
            reading += 1
            most = max(most, reading)
        if most == translation.AT_ONCE:
            full.set()
        # As many as may read at once, and some time for one more.
        assert full.wait(60)
        threading.Event().wait(0.02)
        done = work(*arguments)
        with lock:
            reading -= 1
        return done

    translations = Translations(driver, store.images, store.records, offload=offload)
    threads = [threading.Thread(target=translations.of, args=(image.id,)) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == translation.AT_ONCE


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_others_go_on_while_a_layer_is_read_and_written(driver: Driver, pack: Callable[[bytes], bytes]) -> None:
    """On a hub, where a layer's reader stays with its greenlet."""
    store = OciStore(driver)
    image = Made("image", stored=pack(tar({"file": os.urandom(2**20)}) + bytes(2**23)) + b"junk")
    store.add(image)
    translations = Translations(driver, store.images, store.records, offload=offload)
    translated, turns = turns_while(translations.of, image.id)
    assert turns > 2
    assert translated.layers[0].digest == digest_of(store.blob(image.id))


def turns_while(work: Callable[[ImageId], Translated], image: ImageId) -> tuple[Translated, int]:
    """What it answers, and how often another greenlet had its turn meanwhile."""
    working = gevent.spawn(work, image)
    turns = 0
    while not working.ready():
        gevent.sleep(0.0002)
        turns += 1
    return working.get(), turns


def test_others_go_on_while_a_config_is_made(store: OciStore, driver: Driver) -> None:
    image = Made("image", stored=TAR, members={"config": {"Labels": {f"label{index}": "" for index in range(60_000)}}})
    store.add(image)
    store.translations.layer(image.id)
    translations = Translations(driver, store.images, store.records, offload=offload)
    _, turns = turns_while(translations.of, image.id)
    assert turns > 2


MIB = 2**20
LARGE = Made("large", stored=TAR, members={"comment": "<" * (MIB // 4)})


@pytest.mark.parametrize(
    "image",
    [
        Made("history", LARGE, members={"comment": "<" * (MIB // 2)}),
        Made("kept raw", stored=TAR, members={"docker_version": "1.12.6", "Unknown": "<" * (MIB * 3 // 4)}),
    ],
    ids=lambda image: image.name,
)
def test_config_that_clients_refuse_is_not_made(store: OciStore, image: Made) -> None:
    """Each `<` takes six bytes in it."""
    store.add(LARGE, image)
    assert 3 * MIB < len(store.translations.of(LARGE.id).config) < 4 * MIB
    for _ in range(2):
        with pytest.raises(Untranslatable, match=f"The config of image {image.id} would take more than 4194304 bytes"):
            store.translations.of(image.id)
    assert store.records.image(image.id) is None


def test_memory_does_not_grow_with_the_json_of_the_ancestry(tmp_path: Path) -> None:
    images: list[Made] = []
    for index in range(24):
        base = images[-1] if images else None
        images.append(Made(str(index), base, stored=TAR, members={"Unknown": "x" * MIB}))
    images.append(Made("top", images[-1], stored=TAR))
    store = OciStore(Filesystem(tmp_path))
    store.add(*images)
    for image in images:
        store.translations.layer(image.id)
    tracemalloc.start()
    store.translations.of(images[-1].id)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12 * MIB


def test_memory_does_not_grow_with_a_layer_that_is_written_once_more(tmp_path: Path) -> None:
    image = Made("image", stored=gzip.compress(tar({"file": os.urandom(24 * MIB)}), 0) + b"junk")
    store = OciStore(Filesystem(tmp_path))
    store.add(image)
    tracemalloc.start()
    record = store.translations.layer(image.id)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert record.size == len(image.stored) - len(b"junk")
    assert most < 12 * MIB
