"""A push, step by step, and everything that can be wrong with a step (protocol §3.3 to §3.5, §4.3)."""

from __future__ import annotations

import json
import lzma
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.checksums import Checksum
from common.errors import Conflict, Failure, Invalid, NotFound
from common.names import ImageId
from registry_service.graph.checksums import tarsum_holds, tarsums
from registry_service.graph.errors import (
    ChecksumMismatch,
    ChecksumMissing,
    ImageExists,
    ImageNotFound,
    LayerEmpty,
    LayerMissing,
)
from registry_service.graph.holdings import Nobody
from registry_service.storage import paths
from registry_service.storage.driver import Stat, StorageFailure
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from registry_service.sweeper import Sweeper
from tests.units.registry_service.graph.store import Image, Store, image_id, in_blocks, payload_of

BASE = Image("base")
CHILD = Image("child", BASE, {"./other": b"x"})
OTHER_BYTES = Image("base", framing=1)
OTHER_FILES = Image("base", files={"./file": b"other content"})
WRONG = "sha256:" + "0" * 64
WRONG_TARSUM = "tarsum+sha256:" + "0" * 64


def tarsum(image: Image, algorithm: str = "tarsum+sha256") -> str:
    (one,) = tarsums(algorithm, image.json, [image.layer])
    return one


def test_push_of_a_chain(store: Store) -> None:
    store.add(BASE, CHILD)
    for image in (BASE, CHILD):
        assert store.holds(image)
        assert store.images.json(image.id) == image.json
        assert store.layer_of(image.id) == image.layer
        assert store.images.size(image.id) == len(image.layer)
        assert store.images.ancestry(image.id) == image.ancestry
        assert store.images.checksums(image.id) == [image.payload]
    assert store.everything() == {
        f"images/{image.id}/{name}" for image in (BASE, CHILD) for name in ("json", "layer", "ancestry", "_checksum")
    }


def test_nothing_shows_before_the_seal(store: Store) -> None:
    for step in (store.describe, store.receive):
        step(BASE)
        assert not store.images.is_complete(BASE.id)
        assert not store.driver.exists(paths.IMAGES)
        for ask in (
            store.images.json,
            store.images.layer,
            store.images.ancestry,
            store.images.size,
            store.images.files,
        ):
            with pytest.raises(ImageNotFound, match="Image not found"):
                ask(BASE.id)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"{}", "Invalid JSON"),
        (b"[]", "Invalid JSON"),
        (b"null", "Invalid JSON"),
        (b'"id"', "Invalid JSON"),
        (b"\xff\xfe{\x00}\x00", "Invalid JSON"),
        (b'\xef\xbb\xbf{"id": "x"}', "Invalid JSON"),
        (b'{"id": "\xff"}', "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"a":' * 100_000, "Invalid JSON"),
        (b'{"id": NaN}', "Invalid JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", "Invalid JSON"),
        (b'{"a": 1}', "Missing key `id' in JSON"),
        (b'{"ID": "x"}', "Missing key `id' in JSON"),
        (b'{"id": "x"}', "JSON data contains invalid id"),
        (b'{"id": null}', "JSON data contains invalid id"),
        (b'{"id": 7}', "JSON data contains invalid id"),
        (json.dumps({"id": [BASE.id]}).encode(), "JSON data contains invalid id"),
        (json.dumps({"id": BASE.id.upper()}).encode(), "JSON data contains invalid id"),
        (json.dumps({"id": CHILD.id}).encode(), "JSON data contains invalid id"),
        (json.dumps({"id": BASE.id, "parent": CHILD.id}).encode(), "Image depends on a non existing parent"),
        (json.dumps({"id": BASE.id, "parent": "../etc"}).encode(), "Image depends on a non existing parent"),
        (json.dumps({"id": BASE.id, "parent": 7}).encode(), "Image depends on a non existing parent"),
        (json.dumps({"id": BASE.id, "parent": ["a"]}).encode(), "Image depends on a non existing parent"),
        (json.dumps({"id": BASE.id, "parent": False}).encode(), "Image depends on a non existing parent"),
        (json.dumps({"id": BASE.id, "parent": BASE.id}).encode(), "Image depends on itself"),
    ],
)
def test_descriptions_that_will_not_do(store: Store, description: bytes, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        store.push.begin(BASE.id, description, "uploader", declared=None)
    assert caught.value.message == message
    assert store.everything() == set()


@pytest.mark.parametrize("parent", [None, ""])
def test_no_parent(store: Store, parent: str | None) -> None:
    description = json.dumps({"id": BASE.id, "parent": parent}).encode()
    assert store.push.parent_of(BASE.id, description) is None
    store.push.begin(BASE.id, description, "uploader")


def test_parent_of(store: Store) -> None:
    assert store.push.parent_of(CHILD.id, CHILD.json) == BASE.id
    with pytest.raises(Invalid, match="Image depends on a non existing parent"):
        store.push.require_parent(BASE.id)
    store.add(BASE)
    store.push.require_parent(BASE.id)


def test_parent_must_be_complete(store: Store) -> None:
    store.describe(BASE)
    store.receive(BASE)
    with pytest.raises(Invalid, match="Image depends on a non existing parent"):
        store.describe(CHILD)
    store.seal(BASE)
    store.describe(CHILD)


def test_parent_deleted_meanwhile(store: Store) -> None:
    store.add(BASE)
    store.describe(CHILD)
    store.receive(CHILD)
    store.driver.delete(paths.image(BASE.id))
    store.images.forget(BASE.id)
    with pytest.raises(Invalid, match="Image depends on a non existing parent"):
        store.seal(CHILD)
    assert not store.driver.exists(paths.IMAGES)


def test_no_cycle_by_way_of_an_old_store(store: Store) -> None:
    """A store in which somebody's parent became its child: what misses is not put in."""
    store.add(BASE)
    store.driver.put(paths.image_ancestry(BASE.id), json.dumps([BASE.id, CHILD.id]).encode())
    store.images.forget(BASE.id)
    with pytest.raises(Invalid, match="Image depends on itself"):
        store.describe(CHILD)


def test_sixteen_digits_are_for_base_images_only(store: Store) -> None:
    """As the base images of 2013 have them, which are pushed with all that was built from them."""
    old, top = ImageId("27cf784147099545"), image_id("built from it")
    for image, parent in ((old, None), (top, old)):
        description = json.dumps({"id": image} | ({} if parent is None else {"parent": parent})).encode()
        store.push.begin(image, description, "uploader")
        store.push.receive(image, "uploader", [BASE.layer])
        payload = payload_of(description, BASE.layer)
        store.push.seal(image, "uploader", payload=payload, tarsum=None)
    assert store.images.ancestry(top) == [top, old]
    other = ImageId("fedcba9876543210")
    with pytest.raises(Invalid, match="64 hex digits"):
        store.push.begin(other, json.dumps({"id": other, "parent": old}).encode(), "uploader")


def test_complete_image_exists_already(store: Store) -> None:
    store.add(BASE)
    for step in (store.describe, store.receive):
        with pytest.raises(ImageExists) as caught:
            step(BASE)
        assert caught.value.message == "Image already exists"
        assert isinstance(caught.value, Conflict)


def test_unknown_parent_is_told_before_exists(store: Store) -> None:
    store.add(BASE)
    with pytest.raises(Invalid, match="Image depends on a non existing parent"):
        store.push.begin(BASE.id, json.dumps({"id": BASE.id, "parent": image_id("none")}).encode(), "uploader")


def test_steps_out_of_order(store: Store) -> None:
    for step in (store.receive, store.seal):
        with pytest.raises(ImageNotFound) as caught:
            step(BASE)
        assert isinstance(caught.value, NotFound)
    store.describe(BASE)
    with pytest.raises(LayerMissing) as missing:
        store.seal(BASE)
    assert isinstance(missing.value, Invalid)
    store.receive(BASE)
    store.seal(BASE)
    assert store.holds(BASE)


def test_sealing_again_succeeds(store: Store) -> None:
    store.add(BASE)
    store.seal(BASE)
    store.seal(BASE, "another")
    store.push.seal(BASE.id, "uploader", payload=BASE.payload.upper().replace("SHA", "sha"), tarsum=None)
    assert store.holds(BASE)


def test_sealing_again_with_other_bytes(store: Store) -> None:
    store.add(BASE)
    with pytest.raises(ImageExists):
        store.push.seal(BASE.id, "another", payload=WRONG, tarsum=None)
    assert store.holds(BASE)


def test_describing_and_receiving_again(store: Store) -> None:
    other = Image("base", files={"./other": b"another layer"})
    store.describe(BASE)
    store.receive(other)
    store.describe(BASE)
    store.receive(BASE)
    store.receive(BASE)
    store.seal(BASE)
    assert store.holds(BASE)
    assert store.everything() == {f"images/{BASE.id}/{name}" for name in ("json", "layer", "ancestry", "_checksum")}


def test_another_description_drops_the_layer(store: Store) -> None:
    store.describe(BASE)
    store.receive(BASE)
    description = json.dumps({"id": BASE.id, "comment": "another"}).encode()
    store.push.begin(BASE.id, description, "uploader")
    with pytest.raises(LayerMissing):
        store.seal(BASE)
    store.receive(BASE)
    store.push.seal(BASE.id, "uploader", payload=payload_of(description, BASE.layer), tarsum=None)
    assert store.images.json(BASE.id) == description


def test_either_of_two_layers_may_be_meant(store: Store) -> None:
    """Two daemons behind one name: each seals its own."""
    store.describe(BASE)
    store.receive(BASE)
    store.receive(OTHER_BYTES)
    store.seal(BASE)
    assert store.holds(BASE)


def test_what_no_checksum_was_declared_for_is_published_when_it_is_needed(store: Store) -> None:
    store.describe(BASE)
    store.push.conclude(BASE.id, "uploader")
    assert not store.images.is_complete(BASE.id)
    store.receive(OTHER_FILES)
    store.receive(BASE)
    store.push.conclude(BASE.id, "somebody else")
    assert not store.images.is_complete(BASE.id)
    for _ in range(2):
        store.push.conclude(BASE.id, "uploader")
        assert store.holds(BASE)
    assert not store.driver.exists(paths.upload(BASE.id, "uploader"))
    store.seal(BASE)


def test_a_declared_checksum_is_waited_for(store: Store) -> None:
    store.describe(BASE)
    store.push.seal(BASE.id, "uploader", payload=None, tarsum=WRONG_TARSUM)
    store.receive(BASE)
    store.push.conclude(BASE.id, "uploader")
    assert not store.images.is_complete(BASE.id)
    with pytest.raises(ChecksumMismatch):
        store.seal(BASE)
    store.push.conclude(BASE.id, "uploader")
    assert not store.images.is_complete(BASE.id)


def test_of_two_uploads_without_a_checksum_the_first_is_kept(store: Store) -> None:
    for image, uploader in ((BASE, "first"), (OTHER_BYTES, "same"), (OTHER_FILES, "other")):
        store.describe(image, uploader)
        store.receive(image, uploader)
    store.push.conclude(BASE.id, "first")
    store.push.conclude(BASE.id, "same", holder=Nobody())
    with pytest.raises(ImageExists):
        store.push.conclude(BASE.id, "other", holder=Nobody())
    assert store.holds(BASE)


def test_empty_layer(store: Store) -> None:
    store.describe(BASE)
    for blocks in ([], [b""], [b"", b""]):
        with pytest.raises(LayerEmpty) as caught:
            store.push.receive(BASE.id, "uploader", blocks)
        assert isinstance(caught.value, Invalid)
    assert store.everything() == {f"{paths.upload(BASE.id, 'uploader')}/json"}


@pytest.mark.parametrize("error", [ConnectionError, OSError, GeneratorExit, KeyboardInterrupt, Invalid])
def test_broken_upload_leaves_nothing(store: Store, error: type[BaseException]) -> None:
    def vanishing() -> Iterator[bytes]:
        yield b"x" * 1_000_000
        raise error("gone")

    store.describe(BASE)
    before = store.everything()
    with pytest.raises(error):
        store.push.receive(BASE.id, "uploader", vanishing())
    assert store.everything() == before
    with pytest.raises(LayerMissing):
        store.seal(BASE)
    store.receive(BASE)
    store.seal(BASE)
    assert store.holds(BASE)


@pytest.mark.parametrize("size", [1, 999, 512 * 1024 - 1, 512 * 1024, 1024 * 1024, 1024 * 1024 + 1])
def test_blocks_of_any_size(store: Store, size: int) -> None:
    layer = os.urandom(2_500_000)
    blocks = in_blocks(layer, size) if size > 1 else in_blocks(layer[:5000], size)
    expected = layer if size > 1 else layer[:5000]
    store.describe(BASE)
    store.push.receive(BASE.id, "uploader", blocks)
    store.push.seal(BASE.id, "uploader", payload=payload_of(BASE.json, expected), tarsum=None)
    assert store.layer_of(BASE.id) == expected


def test_mismatch_drops_the_layer_and_keeps_the_description(store: Store) -> None:
    store.describe(BASE)
    store.receive(BASE)
    with pytest.raises(ChecksumMismatch) as caught:
        store.push.seal(BASE.id, "uploader", payload=WRONG, tarsum=None)
    assert caught.value.message == "Checksum mismatch"
    assert isinstance(caught.value, Invalid)
    assert store.everything() == {f"{paths.upload(BASE.id, 'uploader')}/json"}
    store.receive(BASE)
    store.seal(BASE)
    assert store.holds(BASE)


@pytest.mark.parametrize(("payload", "sum_"), [(None, None), ("", None), (None, ""), ("", "")])
def test_missing_checksum(store: Store, payload: str | None, sum_: str | None) -> None:
    store.describe(BASE)
    store.receive(BASE)
    with pytest.raises(ChecksumMissing, match="Missing Image's checksum") as caught:
        store.push.seal(BASE.id, "uploader", payload=payload, tarsum=sum_)
    assert isinstance(caught.value, Invalid)
    store.seal(BASE)


@pytest.mark.parametrize("payload", ["nonsense", "sha256:", "sha256:xyz", "\x00", "sha256:" + "0" * 1000])
def test_malformed_checksum_drops_nothing(store: Store, payload: str) -> None:
    store.describe(BASE)
    store.receive(BASE)
    with pytest.raises(Invalid, match="Invalid checksum"):
        store.push.seal(BASE.id, "uploader", payload=payload, tarsum=None)
    store.seal(BASE)
    assert store.holds(BASE)


@pytest.mark.parametrize(
    ("version", "payload", "sum_", "accepted"),
    [
        # 1.3 to 17.11, and 0.10 to 1.2: the payload decides alone.
        ((1, 12), "right", "right", True),
        ((1, 12), "right", "wrong", True),
        ((0, 10), "right", "nonsense", True),
        ((1, 12), "wrong", "right", False),
        ((0, 10), "wrong", "right", False),
        (None, "wrong", "right", False),
        # 0.6 to 0.8: a tarsum and nothing else.
        ((0, 6), None, "right", True),
        ((0, 8), None, "wrong", False),
        ((0, 8), "", "right", True),
        # 0.9: the payload is wrong, and nobody's fault but the daemon's.
        ((0, 9), "wrong", "right", True),
        ((0, 9), "right", "wrong", True),
        ((0, 9), "wrong", "wrong", False),
        ((0, 9), "wrong", None, False),
        # Older ones never send this; whoever leases to is nobody we know.
        ((0, 5), "wrong", "right", False),
        # No payload, whoever it is.
        (None, None, "right", True),
        (None, None, "v1", True),
        (None, None, "dev", True),
        (None, None, "sha512", True),
        (None, None, "payload", True),
        (None, None, "unknown", False),
        ((1, 12), None, "right", True),
        ((1, 12), None, "wrong", False),
    ],
)
def test_which_checksum_counts(
    store: Store, version: tuple[int, int] | None, payload: str | None, sum_: str | None, accepted: bool
) -> None:
    right = {
        "right": tarsum(BASE),
        "wrong": WRONG_TARSUM,
        "nonsense": "nonsense",
        "v1": tarsum(BASE, "tarsum.v1+sha256"),
        "dev": tarsum(BASE, "tarsum.dev+sha256"),
        "sha512": tarsum(BASE, "tarsum+sha512"),
        "payload": BASE.payload,
        "unknown": "tarsum.v9+sha256:" + "0" * 64,
    }
    given = {"right": BASE.payload, "wrong": WRONG}.get(payload or "", payload)
    store.describe(BASE)
    store.receive(BASE)
    outcome: list[Failure] = []
    try:
        store.push.seal(BASE.id, "uploader", payload=given, tarsum=right.get(sum_ or "", sum_), docker_version=version)
    except ChecksumMismatch as mismatch:
        outcome.append(mismatch)
    assert (outcome == []) is accepted
    assert store.images.is_complete(BASE.id) is accepted


def test_verified_tarsum_is_kept_beside_the_payload(store: Store) -> None:
    store.describe(BASE)
    store.receive(BASE)
    store.push.seal(BASE.id, "uploader", payload=None, tarsum=tarsum(BASE), docker_version=(0, 7))
    assert store.images.checksums(BASE.id) == [BASE.payload, tarsum(BASE)]
    store.push.seal(BASE.id, "uploader", payload=None, tarsum=tarsum(BASE), docker_version=(0, 7))


def test_layer_that_is_no_tar_has_no_tarsum(store: Store) -> None:
    store.describe(BASE)
    store.push.receive(BASE.id, "uploader", [b"no tar" * 1000])
    with pytest.raises(ChecksumMismatch):
        store.push.seal(BASE.id, "uploader", payload=None, tarsum=tarsum(BASE))


@pytest.mark.parametrize("holds", [True, False])
def test_tarsum_before_the_layer_must_hold(store: Store, holds: bool) -> None:
    """Some tools send the tarsum first, then the layer, then the payload's checksum."""
    store.describe(BASE)
    store.push.seal(BASE.id, "uploader", payload=None, tarsum=tarsum(BASE) if holds else WRONG_TARSUM)
    assert not store.images.is_complete(BASE.id)
    store.receive(BASE)
    if holds:
        store.seal(BASE)
        assert store.images.checksums(BASE.id) == [BASE.payload, tarsum(BASE)]
        return
    with pytest.raises(ChecksumMismatch):
        store.seal(BASE)
    # It is forgotten with the layer: the next attempt starts afresh.
    store.receive(BASE)
    store.seal(BASE)
    assert store.holds(BASE)


def test_payload_before_the_layer(store: Store) -> None:
    store.describe(BASE)
    with pytest.raises(LayerMissing):
        store.push.seal(BASE.id, "uploader", payload=BASE.payload, tarsum=tarsum(BASE))


def test_declared_checksum_seals_at_the_end_of_the_layer(store: Store) -> None:
    """Docker 0.4 and 0.5: xz, and no request for the checksum."""
    layer = lzma.compress(b"\0" * 10240)
    store.push.begin(BASE.id, BASE.json, "uploader", declared=Checksum(payload_of(BASE.json, layer)))
    store.push.receive(BASE.id, "uploader", in_blocks(layer))
    assert store.layer_of(BASE.id) == layer
    assert store.everything() == {f"images/{BASE.id}/{name}" for name in ("json", "layer", "ancestry", "_checksum")}


def test_declared_checksum_that_is_wrong(store: Store) -> None:
    store.push.begin(BASE.id, BASE.json, "uploader", declared=Checksum(WRONG))
    with pytest.raises(ChecksumMismatch):
        store.receive(BASE)
    assert not store.driver.exists(paths.IMAGES)
    store.push.begin(BASE.id, BASE.json, "uploader", declared=Checksum(BASE.payload))
    store.receive(BASE)
    assert store.holds(BASE)


def test_declared_tarsum_waits_for_the_seal(store: Store) -> None:
    store.push.begin(BASE.id, BASE.json, "uploader", declared=Checksum(tarsum(BASE)))
    store.receive(BASE)
    assert not store.images.is_complete(BASE.id)
    store.seal(BASE)
    assert store.images.checksums(BASE.id) == [BASE.payload, tarsum(BASE)]


def test_declaration_of_an_earlier_attempt_is_dropped(store: Store) -> None:
    store.push.begin(BASE.id, BASE.json, "uploader", declared=Checksum(WRONG))
    store.describe(BASE)
    store.receive(BASE)
    store.seal(BASE)
    assert store.holds(BASE)


def test_uploaders_do_not_see_each_other(store: Store) -> None:
    store.describe(BASE, "one")
    store.receive(BASE, "one")
    with pytest.raises(ImageNotFound):
        store.seal(BASE, "two")
    store.describe(BASE, "two")
    with pytest.raises(LayerMissing):
        store.seal(BASE, "two")
    store.push.receive(BASE.id, "two", [b"garbage"])
    with pytest.raises(ChecksumMismatch):
        store.seal(BASE, "two")
    store.seal(BASE, "one")
    assert store.holds(BASE)


def test_second_uploader_with_the_same_bytes_succeeds(store: Store) -> None:
    for uploader in ("one", "two"):
        store.describe(BASE, uploader)
    store.receive(BASE, "one")
    store.seal(BASE, "one")
    store.receive(BASE, "two")
    store.seal(BASE, "two")
    assert store.holds(BASE)
    assert not store.driver.exists(paths.UPLOADS)


def test_second_uploader_of_the_same_files_in_other_bytes_succeeds(store: Store) -> None:
    for uploader, image in (("one", BASE), ("two", OTHER_BYTES)):
        store.describe(image, uploader)
        store.receive(image, uploader)
    store.seal(BASE, "one")
    store.seal(OTHER_BYTES, "two")
    assert store.holds(BASE)
    assert not store.driver.exists(paths.UPLOADS)


def test_second_uploader_with_other_files_is_told_it_exists(store: Store) -> None:
    for uploader, image in (("one", BASE), ("two", OTHER_FILES)):
        store.describe(image, uploader)
        store.receive(image, uploader)
    store.seal(BASE, "one")
    with pytest.raises(ImageExists):
        store.seal(OTHER_FILES, "two")
    assert store.holds(BASE)
    assert not store.driver.exists(paths.UPLOADS)


def test_second_uploader_with_wrong_bytes_is_told_so(store: Store) -> None:
    for uploader in ("one", "two"):
        store.describe(BASE, uploader)
        store.receive(BASE, uploader)
    store.seal(BASE, "one")
    with pytest.raises(ChecksumMismatch):
        store.push.seal(BASE.id, "two", payload=WRONG, tarsum=None)
    assert store.holds(BASE)


def test_second_uploader_that_declared_a_checksum_succeeds(store: Store) -> None:
    """Docker 0.5 would take anything but success on the layer as the end of the push."""
    store.push.begin(BASE.id, BASE.json, "two", declared=Checksum(OTHER_BYTES.payload))
    store.add(BASE)
    store.receive(OTHER_BYTES, "two")
    assert store.holds(BASE)


@pytest.mark.parametrize("mark", [b"true", b"", b"\xff", b"[]"])
def test_mark_of_docker_registry_is_superseded(store: Store, mark: bytes) -> None:
    for path, content in (
        (paths.image_mark(BASE.id), mark),
        (paths.image_json(BASE.id), b'{"id": "old"}'),
        (paths.image_layer(BASE.id), b"cut sho"),
        (paths.image_ancestry(BASE.id), b"[]"),
        (paths.image_checksum(BASE.id), b'["sha256:old"]'),
        (paths.image_files(BASE.id), b"[]"),
    ):
        store.driver.put(path, content)
    assert not store.images.is_complete(BASE.id)
    store.add(BASE)
    assert store.holds(BASE)
    assert store.everything() == {f"images/{BASE.id}/{name}" for name in ("json", "layer", "ancestry", "_checksum")}


@pytest.mark.parametrize("leftover", [["json"], ["json", "ancestry", "_checksum"], ["layer"], ["_files", "_diff"]])
def test_remains_without_a_mark_are_superseded(store: Store, leftover: list[str]) -> None:
    for name in leftover:
        store.driver.put(f"images/{BASE.id}/{name}", b"[]")
    store.add(BASE)
    assert store.holds(BASE)
    assert store.images.files(BASE.id) != []


def test_layer_of_no_bytes_is_no_layer(store: Store) -> None:
    store.driver.put(paths.image_json(BASE.id), b'{"id": "old"}')
    store.driver.put(paths.image_layer(BASE.id), b"")
    store.add(BASE)
    assert store.holds(BASE)


def test_long_upload_outlives_the_expiry(store: Store) -> None:
    """The description expired while the layer was still coming."""

    def slow() -> Iterator[bytes]:
        yield BASE.layer[:10]
        store.driver.delete(paths.UPLOADS)
        yield BASE.layer[10:]

    store.describe(BASE)
    store.push.receive(BASE.id, "uploader", slow())
    store.seal(BASE)
    assert store.holds(BASE)


class Aged(Memory):
    """Contents look as old as a test says; others are of this moment."""

    def __init__(self) -> None:
        super().__init__()
        self.ages: dict[str, float] = {}

    def stat(self, path: str) -> Stat:
        found = super().stat(path)
        return Stat(found.size, found.modified - self.ages.get(path, 0))


def test_only_stages_without_anything_recent_expire() -> None:
    driver = Aged()
    store = Store(driver)
    for uploader in ("forgotten", "slow", "new"):
        store.describe(BASE, uploader)
    store.receive(BASE, "slow")
    store.describe(Image("other"), "forgotten")
    for image, uploader in ((BASE, "forgotten"), (BASE, "slow"), (Image("other"), "forgotten")):
        driver.ages[paths.upload_json(paths.upload(image.id, uploader))] = 3601
    assert store.push.expire() == 2
    assert store.push.expire() == 0
    with pytest.raises(ImageNotFound):
        store.receive(BASE, "forgotten")
    store.receive(BASE, "new")
    for uploader in ("slow", "new"):
        store.seal(BASE, uploader)
    assert store.holds(BASE)


def test_a_service_drops_what_nobody_will_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    driver = Aged()
    store = Store(driver)
    Sweeper(store.push, first_seconds=0, every_seconds=0.02).start()
    for _ in range(2):
        store.describe(BASE, "forgotten")
        store.describe(Image("other"), "new")
        driver.ages[paths.upload_json(paths.upload(BASE.id, "forgotten"))] = 3601
        eventually(lambda: list(driver.list(paths.UPLOADS)) == [Image("other").id])
        driver.ages.clear()
    assert "1 unfinished uploads dropped" in caplog.text


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_store_in_trouble_does_not_end_the_sweeps() -> None:
    trouble: list[Exception] = [ValueError("a surprise"), StorageFailure("_uploads", "down")]
    swept = threading.Event()

    class Troubled(Memory):
        def sweep(self) -> None:
            if trouble:
                raise trouble.pop()
            swept.set()

    Sweeper(Store(Troubled()).push, first_seconds=0, every_seconds=0.01).start()
    assert swept.wait(10)


def test_of_many_layers_the_last_are_looked_through() -> None:
    driver = Aged()
    store = Store(driver)
    store.describe(BASE)
    for n in range(10):
        received = store.push.receive(BASE.id, "uploader", [b"layer %d" % n])
        driver.ages[received.path] = 10 - n
    summed = []
    store.push._offload = lambda _, *arguments: summed.append(arguments)
    with pytest.raises(ChecksumMismatch):
        store.push.seal(BASE.id, "uploader", payload=None, tarsum=WRONG_TARSUM)
    assert len(summed) == 4
    assert not list(store.push._stage(BASE.id, "uploader").received())


def test_tarsums_are_computed_two_at_a_time() -> None:
    """An ordinary push needs none, and waits for none."""
    running: list[int] = []
    most, lock, go_on = 0, threading.Lock(), threading.Event()

    def offload(function: Any, *arguments: Any) -> Any:
        nonlocal most
        if function is not tarsum_holds:
            return function(*arguments)
        with lock:
            running.append(1)
            most = max(most, len(running))
        go_on.wait(10)
        with lock:
            running.pop()
        return function(*arguments)

    store = Store(Memory(), offload=offload)
    images = [Image(f"image {n}") for n in range(8)]
    for image in images:
        store.describe(image)
        store.receive(image)
    with ThreadPoolExecutor(8) as pool:
        sealed = [
            pool.submit(store.push.seal, image.id, "uploader", payload=None, tarsum=tarsum(image)) for image in images
        ]
        eventually(lambda: len(running) == 2)
        store.add(BASE)
        go_on.set()
        for one in sealed:
            one.result()
    assert most == 2
    assert all(store.holds(image) for image in images)


def test_stage_that_is_only_being_made_does_not_expire(tmp_path: Path) -> None:
    store = Store(Guard(Filesystem(tmp_path)))
    being_made = tmp_path / paths.upload(BASE.id, "uploader")
    being_made.mkdir(parents=True)
    assert store.push.expire() == 0
    assert being_made.is_dir()


def test_nothing_to_expire(store: Store) -> None:
    assert store.push.expire() == 0


def test_work_goes_through_offload(store: Store) -> None:
    done: list[str] = []

    def offload(function: Any, *arguments: Any) -> Any:
        done.append(function.__name__)
        return function(*arguments)

    offloading = Store(store.driver, offload=offload)
    offloading.describe(BASE)
    offloading.receive(BASE)
    offloading.push.seal(BASE.id, "uploader", payload=None, tarsum=tarsum(BASE))
    assert done == ["_hash_and_write" if store.driver.is_blocking else "update", "tarsum_holds"]
