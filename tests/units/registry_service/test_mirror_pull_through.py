"""What a mirror stores, of whatever its source sends; and who fetches, when many ask."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from common.errors import Unavailable
from common.names import ImageId
from registry_service.graph.errors import ImageNotFound
from registry_service.graph.leases import Leases
from registry_service.mirror import download, pull_through, spool
from registry_service.mirror.client import SourceUnavailable, SourceWrong
from registry_service.mirror.download import LeaseKeeper
from registry_service.mirror.spool import Broken
from registry_service.storage import paths
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.memory import Memory
from tests.clients.images import Image, describe, make_chain, make_image, pack
from tests.servers.process import eventually
from tests.units.registry_service.mirror_source import ACME, Said, Site, serving

CHAIN = make_chain(3)
BASE = CHAIN[0]
LAYER = f"/v1/images/{BASE.id}/layer"
JSON = f"/v1/images/{BASE.id}/json"
SIZE = ("X-Docker-Size", str(len(BASE.layer)))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(download, "RETRY", replace(download.RETRY, backoff_seconds=0.001))


@pytest.fixture
def source():
    with serving() as server:
        server.hold(CHAIN)
        yield server


@pytest.fixture
def site(source):
    return Site(source.url)


def nothing_is_left(site):
    """No image, no stage, no lease."""
    return not any(site.driver.exists(path) for path in (paths.IMAGES, paths.UPLOADS, paths.MIRROR))


def until_held(site, *images):
    eventually(lambda: all(site.held.is_complete(ImageId(image.id)) for image in images), lambda: "never stored")


def test_what_is_read_is_stored_and_asked_of_the_store_from_then_on(site, source):
    for image in CHAIN:
        assert site.images.describe(ImageId(image.id)).json == image.json
        assert site.read(image) == image.layer
    until_held(site, *CHAIN)
    source.heard.clear()
    for image in CHAIN:
        assert site.read(image) == image.layer
        assert site.held.checksums(ImageId(image.id)) == [image.payload]
    assert site.images.ancestry(ImageId(CHAIN[-1].id)) == [image.id for image in reversed(CHAIN)]
    assert not source.heard
    eventually(lambda: not site.driver.exists(paths.MIRROR), lambda: "the lease is still there")


def test_a_layer_without_checksums_or_size_is_stored_by_its_framing(source):
    for chain, chunked in ((make_chain(2), False), (make_chain(2), True)):
        source.hold(chain, sized=False, summed=False)
        for image in chain:
            source.say(f"/v1/images/{image.id}/layer", Said(image.layer, chunked=chunked))
        site = Site(source.url)
        assert site.images.describe(ImageId(chain[0].id)).size == len(chain[0].layer)
        for image in chain:
            assert site.read(image) == image.layer
            assert site.held.checksums(ImageId(image.id)) == [image.payload]


def test_a_tarsum_is_enough_where_there_is_nothing_better(source, site):
    source.say(JSON, Said(BASE.json, [SIZE, ("X-Docker-Checksum-Payload", BASE.tarsum)]))
    assert site.read(BASE) == BASE.layer
    until_held(site, BASE)


@pytest.mark.parametrize("name", ["payload", "tarsum"])
def test_a_layer_with_another_checksum_is_neither_served_nor_stored(source, site, name):
    source.say(JSON, Said(BASE.json, [SIZE, ("X-Docker-Checksum-Payload", getattr(CHAIN[1], name))]))
    with pytest.raises((Broken, SourceWrong)):
        site.read(BASE)
    with pytest.raises(SourceWrong, match="checksum"):
        site.store(BASE)
    assert nothing_is_left(site)


def test_a_layer_that_breaks_off_is_gone_on_with(source, site):
    size = len(BASE.layer)
    half = Said(BASE.layer, sent=size // 2)
    rest = Said(BASE.layer[size // 2 :], [("Content-Range", f"bytes {size // 2}-{size - 1}/{size}")], status=206)
    source.say(LAYER, half, Said(status=503), Said(status=500), rest)
    assert site.read(BASE) == BASE.layer
    until_held(site, BASE)
    assert [heard.get("range") for heard in source.heard_of(LAYER)] == [None, *[f"bytes={size // 2}-{size - 1}"] * 3]


@pytest.mark.parametrize(
    "said",
    [
        Said(BASE.layer, sent=len(BASE.layer) - 1),
        Said(BASE.layer[:-1], chunked=True),
        Said(BASE.layer[:-1]),
        Said(BASE.layer + b"x"),
        Said(BASE.layer + b"x", chunked=True),
        Said(b"<html>sorry</html>"),
        Said(b""),
        Said(bytes(len(BASE.layer))),
        Said(b"", status=206),
    ],
    ids=["cut", "short chunked", "short", "long", "long chunked", "page", "nothing", "zeros", "a part"],
)
def test_whatever_is_not_the_layer_is_not_stored(source, site, said):
    source.say(LAYER, said)
    with pytest.raises((Broken, Unavailable)):
        site.read(BASE)
    with pytest.raises(Unavailable):
        site.store(BASE)
    eventually(lambda: nothing_is_left(site), lambda: "something was left")


def test_a_source_that_keeps_breaking_off_is_given_up(source, site):
    source.say(LAYER, Said(BASE.layer, sent=100), Said(status=500))
    with pytest.raises(SourceUnavailable):
        site.store(BASE)
    assert len(source.heard_of(LAYER)) == 1 + download.RESUMES
    assert nothing_is_left(site)


def test_a_source_that_does_not_begin_is_not_asked_twice(source, site):
    source.say(LAYER, Said(status=500))
    with pytest.raises(SourceUnavailable):
        site.read(BASE)
    assert len(source.heard_of(LAYER)) == 1


def test_a_layer_the_source_has_not_is_not_found(source, site):
    del source.answers[LAYER]
    with pytest.raises(ImageNotFound):
        site.read(BASE)
    with pytest.raises(ImageNotFound):
        site.store(BASE)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b'{"id": "%s"}' % CHAIN[1].id.encode(), b'{"id": "%s", "parent": "x"}' % BASE.id.encode()],
    ids=["nothing", "a list", "a page", "another image", "a bad parent"],
)
def test_a_json_that_is_not_the_images_is_not_served(source, site, body):
    source.say(JSON, Said(body, [SIZE]))
    with pytest.raises(SourceWrong):
        site.images.describe(ImageId(BASE.id))
    with pytest.raises(SourceWrong):
        site.read(BASE)


def test_images_that_depend_on_each_other_are_not_stored(source, site):
    ids = ["a" * 64, "b" * 64]
    for own, parent in (ids, ids[::-1]):
        described = describe(own, parent, 1024)
        source.say(f"/v1/images/{own}/json", Said(described, [("X-Docker-Size", str(len(BASE.layer)))]))
        source.say(f"/v1/images/{own}/layer", Said(BASE.layer))
    image = Image(ids[0], ids[1], b"", b"", pack(b"", "plain"))
    with pytest.raises(SourceWrong, match="depends on itself"):
        site.store(image)
    assert nothing_is_left(site)


def test_a_parent_that_cannot_be_had_keeps_its_child_out_of_the_store(source, site):
    """Who asked has the child's bytes; the store has no image without its base."""
    source.say(LAYER, Said(status=500))
    assert site.read(CHAIN[1]) == CHAIN[1].layer
    eventually(lambda: nothing_is_left(site), lambda: "something was left")


def test_a_layer_pushed_meanwhile_is_as_good(source, site):
    site.images.describe(ImageId(BASE.id))
    site.push.begin(ImageId(BASE.id), BASE.json, "daemon")
    site.push.receive(ImageId(BASE.id), "daemon", [BASE.layer])
    site.push.seal(ImageId(BASE.id), "daemon", payload=BASE.payload, tarsum=None)
    assert site.read(BASE) == BASE.layer
    assert not source.heard_of(LAYER)


@pytest.mark.parametrize("sites", [1, 3])
def test_many_read_what_is_fetched_once(source, tmp_path, sites):
    """Also across what could be processes: each has its own memory, and only the store in common."""
    image = make_image(size=2_000_000)
    source.hold((image,))
    several = [Site(source.url, Filesystem(tmp_path)) for _ in range(sites)]
    together = threading.Barrier(12)

    def read(number):
        together.wait()
        return several[number % sites].read(image)

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(read, range(12))) == {image.layer}
    assert len(source.heard_of(f"/v1/images/{image.id}/layer")) == 1


# leases of others


def lease_from(owner, name, since=None):
    owner = {"machine": owner, "pid": 1, "started": "1"}
    return json.dumps({"subject": name, "owner": owner, "since": since or int(time.time()), "nonce": "n"}).encode()


def claim_of(site, image):
    return paths.mirror_claim(ImageId(image.id), site.mirror.offer(ImageId(image.id), [ACME]).digest)


def test_another_machine_is_waited_for(source, site, monkeypatch):
    monkeypatch.setattr(pull_through, "_FAR_POLL_SECONDS", 0.01)
    site.driver.put(claim_of(site, BASE), lease_from("elsewhere", spool.new_name()))
    elsewhere = Site(source.url)
    elsewhere.driver = site.driver
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(site.read, BASE)
        site.push.adopt(ImageId(BASE.id), BASE.json, "far")
        received = site.push.receive(ImageId(BASE.id), "far", [BASE.layer])
        assert not source.heard_of(LAYER)
        site.push.seal(ImageId(BASE.id), "far", payload=received.payload, tarsum=None)
        assert reading.result() == BASE.layer
    assert not source.heard_of(LAYER)


def test_another_machine_that_died_is_taken_over_from(source, site, monkeypatch):
    monkeypatch.setattr(pull_through, "_FAR_POLL_SECONDS", 0.01)
    path, old = claim_of(site, BASE), int(time.time() - download.STALE_SECONDS - 5)
    site.driver.put(path, lease_from("elsewhere", spool.new_name(), old))
    assert site.read(BASE) == BASE.layer
    until_held(site, BASE)
    eventually(lambda: not site.driver.exists(path), lambda: "the lease is still there")


def test_a_lease_is_renewed_while_the_layer_comes(monkeypatch):
    monkeypatch.setattr(download, "STALE_SECONDS", 0.0)
    driver = Memory()
    mine, theirs = Leases(driver, 3600), Leases(driver, -1)
    keeper = LeaseKeeper(mine, mine.acquire("_mirror/x", "spool"), "spool")
    for _ in range(3):
        keeper.keep()
    assert mine.acquire("_mirror/x", "other") is None
    assert mine.holder("_mirror/x")[0] == "spool"
    taken = theirs.acquire("_mirror/x", "other")
    with pytest.raises(Unavailable):
        keeper.keep()
    keeper.release()
    assert mine.holds(taken)
    mine.release(taken)
    assert not driver.exists("_mirror")


class Watched(Memory):
    """Remembers what was created exclusively."""

    def __init__(self):
        super().__init__()
        self.created = []

    def create(self, path, content):
        self.created.append(path)
        return super().create(path, content)


def test_a_download_keeps_its_lease(source, monkeypatch):
    monkeypatch.setattr(download, "STALE_SECONDS", 0.0)
    site = Site(source.url, Watched())
    site.store(BASE)
    path = claim_of(site, BASE)
    renewals = [one for one in site.driver.created if one.startswith(f"{path}.")]
    assert renewals
    eventually(lambda: not site.driver.exists(paths.MIRROR), lambda: "a lease is still there")


def test_a_failure_is_told_to_everybody_who_waited(source, site):
    source.say(LAYER, Said(BASE.layer[:-5]))
    together = threading.Barrier(6)

    def store(_):
        together.wait()
        with pytest.raises(SourceWrong):
            site.store(BASE)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(store, range(6)))
    assert nothing_is_left(site)
    source.say(LAYER, Said(BASE.layer))
    assert site.read(BASE) == BASE.layer


def test_files_are_listed_of_what_is_brought_for_it(site):
    names = [entry[0] for entry in site.images.files(ImageId(BASE.id))]
    assert "/srv/data" in names or "srv/data" in names
    assert site.images.diff(ImageId(CHAIN[1].id))["changed"]


def test_nothing_is_asked_for_repositories_of_our_own(source):
    site = Site(source.url)
    site.driver.put(paths.index_images(ACME), b"[]")
    with pytest.raises(ImageNotFound):
        site.read(BASE)
    assert not source.heard
