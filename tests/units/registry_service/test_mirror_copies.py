"""Sources that offer different images under one id: each repository of a mirror has what its own source offers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from common.agents import Agent
from common.errors import Forbidden
from common.names import ImageId, RepositoryName, Tag
from registry_service.mirror import download
from registry_service.mirror.client import SourceUnavailable
from registry_service.mirror.spool import Broken
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from registry_service.storage.memory import Memory
from registry_service.storage.paths import ApartImageId
from tests.clients.images import Chain, Image, make_chain, make_image, make_tar, pack
from tests.servers.process import eventually
from tests.units.registry_service.mirror_source import ACME, Said, ScriptedSource, Site, serving

OTHER = RepositoryName("other", "app")


def trojan(image: Image) -> Image:
    """Another layer and another command under the same id."""
    tar = make_tar({"bin/sh": b"trojan"})
    described = json.dumps(json.loads(image.json) | {"config": {"Cmd": ["/evil"]}}).encode()
    return replace(image, json=described, tar=tar, chunks=pack(tar, "gzip"))


def repacked(image: Image) -> Image:
    return replace(image, chunks=pack(image.tar, "xz"))


@dataclass
class Harbour:
    """Two sources, a repository of each, and one store: every site is a process of the mirror's."""

    mine: ScriptedSource
    theirs: ScriptedSource
    driver: Driver

    def hold(self, mine: Chain, theirs: Chain) -> None:
        self.mine.hold(mine, ACME)
        self.theirs.hold(theirs, OTHER)

    def site(self, repository: RepositoryName) -> Site:
        source = {ACME: self.mine, OTHER: self.theirs}[repository]
        return Site(source.url, self.driver, repository=repository)

    def pull(self, repository: RepositoryName, chain: Chain) -> Site:
        """As a daemon does: ancestry, then JSON and layer of each image; all as the repository's source has it."""
        site = self.site(repository)
        ids = [ImageId(image.id) for image in chain]
        assert site.tags.all(repository) == {"latest": ids[-1]}
        assert site.images.ancestry(ids[-1]) == ids[::-1]
        for image, id_ in zip(chain, ids, strict=True):
            assert site.images.describe(id_).json == image.json
            assert site.read(image) == image.layer
        eventually(lambda: all(site.copies.find_complete(repository, id_) for id_ in ids), lambda: "never stored")
        return site

    def layers(self) -> int:
        """How often a source was asked for a layer."""
        return sum(heard.path.endswith("/layer") for source in (self.mine, self.theirs) for heard in source.heard)

    def down(self) -> None:
        for source in (self.mine, self.theirs):
            for path in source.answers:
                source.say(path, Said(status=503))


@pytest.fixture
def harbour() -> Iterator[Harbour]:
    with serving() as mine, serving() as theirs:
        yield Harbour(mine, theirs, Memory())


MINE = make_chain(3)
THEIRS = tuple(map(trojan, MINE))


@pytest.mark.parametrize(
    "order", [((ACME, MINE), (OTHER, THEIRS)), ((OTHER, THEIRS), (ACME, MINE))], ids=["mine first", "theirs first"]
)
def test_each_repository_has_what_its_own_source_offers(
    harbour: Harbour, order: tuple[tuple[RepositoryName, Chain], ...]
) -> None:
    harbour.hold(MINE, THEIRS)
    for repository, chain in order:
        harbour.pull(repository, chain)
    assert harbour.layers() == 6
    harbour.mine.heard.clear()
    harbour.theirs.heard.clear()
    for repository, chain in order:
        harbour.pull(repository, chain)
    assert {heard.path.split("/")[2] for heard in harbour.mine.heard} == {"repositories"}, "held images were asked for"
    harbour.down()
    for repository, chain in order:
        harbour.pull(repository, chain)


def test_who_pulls_from_both_at_once_gets_from_each_its_own(harbour: Harbour) -> None:
    harbour.hold(MINE, THEIRS)
    together = threading.Barrier(8)

    def client(number: int) -> None:
        together.wait()
        harbour.pull(*((ACME, MINE), (OTHER, THEIRS))[number % 2])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    assert harbour.layers() == 6


def test_what_another_source_brought_already_is_not_fetched_again(harbour: Harbour) -> None:
    harbour.hold(MINE, MINE)
    harbour.pull(ACME, MINE)
    harbour.pull(OTHER, MINE)
    assert harbour.layers() == 3
    assert not harbour.theirs.heard_of(f"/v1/images/{MINE[0].id}/layer")
    assert not harbour.driver.exists(paths.APART)
    assert len(harbour.theirs.heard_of(f"/v1/images/{MINE[0].id}/json")) == 1


def test_a_top_image_alone_makes_its_repository_hold_the_base_too(harbour: Harbour) -> None:
    harbour.hold(MINE, MINE)
    harbour.pull(ACME, MINE)
    site = harbour.site(OTHER)
    assert site.read(MINE[-1]) == MINE[-1].layer
    assert all(site.copies.find_complete(OTHER, ImageId(image.id)) for image in MINE)
    assert harbour.layers() == 3


def test_what_extracts_to_the_same_is_stored_once(harbour: Harbour) -> None:
    again = tuple(map(repacked, MINE))
    harbour.hold(MINE, again)
    harbour.pull(ACME, MINE)
    site = harbour.site(OTHER)
    for image, kept in zip(again, MINE, strict=True):
        # What its source sends, or what is kept for it, where that is done before the reader has begun.
        assert site.read(image) in (image.layer, kept.layer)
    eventually(lambda: site.copies.find_complete(OTHER, ImageId(again[-1].id)), lambda: "never stored")
    assert not harbour.driver.exists(paths.APART)


@pytest.mark.parametrize("first", ["child", "base"])
def test_an_equal_image_above_another_base_is_kept_apart_with_it(harbour: Harbour, first: str) -> None:
    theirs = (trojan(MINE[0]), *MINE[1:])
    harbour.hold(MINE, theirs)
    harbour.pull(ACME, MINE)
    site = harbour.site(OTHER)
    for image in theirs if first == "base" else theirs[::-1]:
        assert site.read(image) == image.layer
    eventually(
        lambda: all(site.copies.find_complete(OTHER, ImageId(image.id)) for image in theirs), lambda: "never stored"
    )
    assert all(isinstance(site.copies.find(OTHER, ImageId(image.id)), ApartImageId) for image in theirs)
    harbour.pull(OTHER, theirs)
    harbour.pull(ACME, MINE)


def test_a_source_that_tells_anothers_checksum_gets_nothing_for_it_and_delays_nobody(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its JSON is its own, its layer does not have the checksum, and never ends."""
    monkeypatch.setattr(download, "RETRY", replace(download.RETRY, backoff_seconds=0.001))
    (image,) = mine = (make_image(),)
    harbour.hold(mine, (trojan(image),))
    size = str(len(image.layer))
    told = [("X-Docker-Size", size), ("X-Docker-Checksum-Payload", image.payload)]
    harbour.theirs.say(f"/v1/images/{image.id}/json", Said(trojan(image).json, told))
    released = threading.Event()
    harbour.theirs.answers[f"/v1/images/{image.id}/layer"] = lambda _: (
        (released.wait(30) and Said(bytes(int(size)))) or Said(status=500)
    )
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(harbour.site(OTHER).read, image)
        eventually(lambda: harbour.driver.exists(paths.MIRROR), lambda: "the slow one never began")
        harbour.pull(ACME, mine)
        released.set()
        with pytest.raises((Broken, SourceUnavailable)):
            slow.result()
    assert not harbour.driver.exists(paths.APART)
    harbour.pull(ACME, mine)


def test_a_tarsum_does_not_make_the_shared_image_the_offered_one(harbour: Harbour) -> None:
    harbour.hold(MINE, MINE)
    harbour.pull(ACME, MINE)
    image = MINE[0]
    told = [("X-Docker-Size", str(len(image.layer))), ("X-Docker-Checksum-Payload", image.tarsum)]
    harbour.theirs.say(f"/v1/images/{image.id}/json", Said(image.json, told))
    assert harbour.site(OTHER).read(image) == image.layer
    assert harbour.theirs.heard_of(f"/v1/images/{image.id}/layer")


def test_what_a_push_left_under_the_id_is_not_served_for_a_copy(harbour: Harbour) -> None:
    harbour.hold(MINE, THEIRS)
    site = harbour.site(ACME)
    for image in THEIRS:
        site.push.begin(ImageId(image.id), image.json, "daemon")
        site.push.receive(ImageId(image.id), "daemon", [image.layer])
        site.push.seal(ImageId(image.id), "daemon", payload=image.payload, tarsum=None)
    harbour.pull(ACME, MINE)


def test_a_repository_that_its_source_deleted_leaves_nothing_of_its_own(harbour: Harbour) -> None:
    harbour.hold(MINE, THEIRS)
    harbour.pull(ACME, MINE)
    site = harbour.pull(OTHER, THEIRS)
    assert harbour.driver.exists(paths.APART)
    harbour.theirs.say(f"/v1/repositories/{OTHER}/images", Said(status=404))
    site.mirror.follow(OTHER)
    assert not harbour.driver.exists(paths.APART)
    assert not harbour.driver.exists(paths.repository(OTHER))
    harbour.pull(ACME, MINE)


def test_images_fetched_before_any_tag_was_read_make_no_repository_of_our_own(harbour: Harbour) -> None:
    """Daemons with `--registry-mirror` ask for images alone."""
    harbour.hold(MINE, THEIRS)
    site = harbour.site(ACME)
    assert site.read(MINE[0]) == MINE[0].layer
    eventually(lambda: site.copies.find_complete(ACME, ImageId(MINE[0].id)), lambda: "never stored")
    with pytest.raises(Forbidden):
        site.mirror.require_writable(ACME)
    harbour.mine.say(f"/v1/repositories/{ACME}/tags", Said(status=503))
    with pytest.raises(SourceUnavailable):
        site.tags.all(ACME)
    harbour.hold(MINE, THEIRS)
    assert site.tags.all(ACME) == {"latest": MINE[-1].id}


def unmark(harbour: Harbour, repository: RepositoryName) -> None:
    """As mirrors left a copy before there were marks."""
    harbour.driver.delete(f"{paths.repository(repository)}/_held")
    harbour.driver.put(paths.mirrored(repository), b'{"compared": 1}')


def test_a_copy_without_marks_holds_what_its_tags_reach(harbour: Harbour) -> None:
    harbour.hold(MINE, THEIRS)
    harbour.pull(ACME, MINE)
    unmark(harbour, ACME)
    harbour.down()
    harbour.pull(ACME, MINE)
    assert all(harbour.driver.exists(paths.held(ACME, ImageId(image.id))) for image in MINE)
    assert json.loads(harbour.driver.get(paths.mirrored(ACME)))["marked"]


def test_once_its_marks_are_deleted_a_copy_is_compared_with_its_source_again(harbour: Harbour) -> None:
    """As operators do with copies of a time when what one source had brought was served for another."""
    harbour.hold(MINE, THEIRS)
    harbour.pull(ACME, MINE)
    harbour.driver.put(paths.tag(OTHER, Tag("latest")), MINE[-1].id.encode())
    harbour.driver.put(paths.mirrored(OTHER), b'{"compared": 1}')
    harbour.pull(OTHER, MINE)
    harbour.driver.delete(paths.all_held(OTHER))
    harbour.pull(OTHER, THEIRS)
    harbour.pull(ACME, MINE)


def test_a_copy_without_marks_holds_nothing_that_its_tags_reach_only_from_now_on(harbour: Harbour) -> None:
    old, new = make_chain(1), make_chain(1)
    harbour.hold(old, (trojan(new[0]),))
    harbour.pull(ACME, old)
    unmark(harbour, ACME)
    harbour.pull(OTHER, (trojan(new[0]),))
    harbour.mine.hold(new, ACME)
    harbour.pull(ACME, new)


def test_what_a_mirror_fetched_is_no_right_to_it(harbour: Harbour) -> None:
    """Who reads an image because another repository is public keeps nothing of it once that hides."""
    harbour.hold(MINE, THEIRS)
    site = harbour.site(OTHER)
    image = ImageId(MINE[0].id)
    harbour.pull(ACME, MINE)
    site.read(THEIRS[0])
    eventually(lambda: site.copies.find_complete(OTHER, image), lambda: "never stored")
    assert site.holdings.find(OTHER, image) is None
    site.kept_tags.set(OTHER, Tag("latest"), image, Agent())
    assert isinstance(site.holdings.find(OTHER, image), ApartImageId)


def test_two_offers_share_a_download_if_one_source_offers_the_same_bytes(harbour: Harbour) -> None:
    (image,) = mine = (make_image(),)
    harbour.hold(mine, mine)
    second = RepositoryName("acme", "second")
    harbour.mine.hold(mine, second)

    def digest(site: Site, repository: RepositoryName) -> str:
        return site.mirror.offer(ImageId(image.id), [repository]).digest

    acme = harbour.site(ACME)
    assert digest(acme, ACME) == digest(acme, second)
    assert digest(acme, ACME) != digest(harbour.site(OTHER), OTHER)
    harbour.mine.say(f"/v1/images/{image.id}/json", Said(image.json, [("X-Docker-Size", str(len(image.layer)))]))
    assert digest(harbour.site(ACME), ACME) != digest(harbour.site(ACME), second)
