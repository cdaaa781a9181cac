"""A repository's tags and list, in step with the source: when they are compared, and what comes of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.errors import Forbidden
from common.names import RepositoryName, Tag
from registry_service.graph.errors import RepositoryNotFound, TagNotFound
from registry_service.mirror.client import Source, SourceUnavailable
from registry_service.mirror.sources import MirrorSource
from registry_service.mirror.tag_sync import RETRY_SECONDS, TagSync, as_map
from registry_service.storage import paths
from registry_service.storage.driver import StorageFailure
from registry_service.storage.memory import Memory
from tests.clients.images import make_chain
from tests.units.registry_service.mirror_source import ACME, Said, Site, serving

CHAIN = make_chain(2)
ONE, TWO = CHAIN[0].id, CHAIN[1].id
LIST, TAGS = "/v1/repositories/acme/app/images", "/v1/repositories/acme/app/tags"


@pytest.fixture
def server():
    with serving() as source:
        source.hold(CHAIN)
        yield source


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Followed:
    """One repository, followed by a clock of our own."""

    def __init__(self, server, seconds=60.0):
        self.site = Site(server.url)
        self.clock = Clock()
        self.source = Source(MirrorSource("*", server.url), 5.0, "me")
        self.tag_sync = TagSync(self.site.driver, self.site.copies, self.site.kept_tags, seconds, self.clock)

    def tags(self):
        self.tag_sync.follow(ACME, self.source)
        return self.site.kept_tags.all(ACME)


@pytest.fixture
def followed(server):
    return Followed(server)


def say_tags(server, **tags):
    server.say(TAGS, Said(json.dumps(tags).encode()))


def test_tags_are_believed_for_their_time_and_compared_again(followed, server):
    assert followed.tags() == {"latest": TWO}
    say_tags(server, latest=ONE, new=TWO)
    followed.clock.now += 59
    assert followed.tags() == {"latest": TWO}
    followed.clock.now += 1
    assert followed.tags() == {"latest": ONE, "new": TWO}
    say_tags(server, new=TWO)
    followed.clock.now += 60
    assert followed.tags() == {"new": TWO}


def test_a_clock_set_back_does_not_make_tags_last(followed, server):
    followed.tags()
    say_tags(server, latest=ONE)
    followed.clock.now -= 500
    assert followed.tags() == {"latest": ONE}


@pytest.mark.parametrize("status", [500, 401, 403, 429])
def test_a_source_that_does_not_answer_is_left_alone_for_a_moment(followed, server, status):
    followed.tags()
    server.say(LIST, Said(status=status))
    say_tags(server, latest=ONE)
    followed.clock.now += 60
    for _ in range(5):
        assert followed.tags() == {"latest": TWO}
    asked = len(server.heard_of(LIST))
    followed.clock.now += RETRY_SECONDS
    followed.tags()
    assert (asked, len(server.heard_of(LIST))) == (2, 3)


def test_nonsense_does_not_replace_what_is_held(followed, server):
    followed.tags()
    for body in (b"null", b"<html>", b"7"):
        server.say(TAGS, Said(body))
        followed.clock.now += 100
        assert followed.tags() == {"latest": TWO}


def test_what_the_source_has_no_more_goes(followed, server):
    followed.tags()
    server.say(LIST, Said(status=404))
    followed.clock.now += 60
    with pytest.raises(RepositoryNotFound):
        followed.tags()
    assert not followed.site.driver.exists(paths.repository(ACME))


def test_what_the_source_never_had_leaves_nothing(server):
    site = Site(server.url)
    for ask in (site.tags.all, site.repositories.images):
        with pytest.raises(RepositoryNotFound):
            ask(RepositoryName("acme", "none"))
    with pytest.raises(TagNotFound):
        site.tags.get(RepositoryName("acme", "none"), Tag("latest"))
    assert not site.driver.exists(paths.REPOSITORIES)


def test_a_repository_pushed_here_is_never_touched(followed, server):
    followed.site.driver.put(paths.tag(ACME, Tag("own")), ONE.encode())
    assert followed.tags() == {"own": ONE}
    assert followed.site.copies.is_own(ACME)
    assert not server.heard


def test_a_copy_half_written_by_a_crash_is_a_copy_and_is_mended(followed):
    """The mark comes first; tags without it would look as if they were pushed here."""
    followed.site.driver.put(paths.mirrored(ACME), b'{"compared": 0}')
    followed.site.driver.put(paths.tag(ACME, Tag("latest")), ONE.encode())
    assert not followed.site.copies.is_own(ACME)
    assert followed.tags() == {"latest": TWO}
    followed.site.driver.put(paths.mirrored(ACME), b"\xff torn")
    assert followed.tags() == {"latest": TWO}


class Failing(Memory):
    """Takes no list while `fails`."""

    fails = True

    def put(self, path, content):
        if self.fails and path.endswith("/_index_images"):
            raise StorageFailure(path)
        super().put(path, content)


def test_a_store_that_fails_in_between_leaves_a_copy(server):
    site = Site(server.url, Failing())
    with pytest.raises(StorageFailure):
        site.tags.all(ACME)
    site.driver.fails = False
    assert site.tags.all(ACME) == {"latest": TWO}
    with pytest.raises(Forbidden):
        site.mirror.require_writable(ACME)


def test_nothing_is_written_that_has_not_changed(followed):
    followed.tags()
    paths_kept = [paths.tag(ACME, Tag("latest")), paths.index_images(ACME)]
    before = [followed.site.driver.stat(path) for path in paths_kept]
    followed.clock.now += 60
    followed.tags()
    assert [followed.site.driver.stat(path) for path in paths_kept] == before


def test_many_who_ask_at_once_compare_once(server):
    site = Site(server.url, seconds=3600)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: site.tags.all(ACME), range(8))) == [{"latest": TWO}] * 8
    assert len(server.heard_of(LIST)) == len(server.heard_of(TAGS)) == 1


def test_a_filled_repository_is_listed_and_found(server):
    site = Site(server.url)
    assert [entry["id"] for entry in site.repositories.images(ACME)] == [ONE, TWO]
    assert site.tags.get(ACME, Tag("latest")) == TWO
    assert site.repositories.search("ap") == [ACME]


def test_nothing_held_and_no_answer_is_no_answer(server):
    server.say(LIST, Said(status=500))
    with pytest.raises(SourceUnavailable):
        Site(server.url).tags.all(ACME)


def test_who_pushed_a_tag_is_asked_of_the_source(server):
    site = Site(server.url)
    server.say(f"{TAGS}/latest/json", Said(b'{"docker_version": "1.0.0"}'))
    assert site.tags.description(ACME, Tag("latest"))["docker_version"] == "1.0.0"
    server.say(f"{TAGS}/latest/json", Said(status=500))
    assert site.tags.description(ACME, Tag("latest"))["docker_version"] is None


def test_only_what_is_a_copy_is_refused_to_writers(server):
    site = Site(server.url)
    with pytest.raises(Forbidden, match=f"acme/app is mirrored here: push to {server.netloc}"):
        site.mirror.require_writable(ACME)
    site.driver.put(paths.tag(ACME, Tag("own")), ONE.encode())
    site.mirror.require_writable(ACME)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"a": ONE, "b": TWO}, {"a": ONE, "b": TWO}),
        ([{"layer": ONE[:8], "name": "a"}, {"layer": TWO, "name": "b"}], {"a": ONE, "b": TWO}),
        ([{"layer": "", "name": "a"}, {"layer": "ffff", "name": "b"}, {"name": "c"}, "d", None, 7], {}),
        ({"a": "short", "b": 7, "a/b": ONE, "": ONE, "x" * 256: ONE, "c": "../../etc/passwd"}, {}),
        ([], {}),
    ],
)
def test_tags_in_either_form(tags, expected):
    assert as_map(tags, [{"id": ONE}, {"id": TWO}, {"id": 7}, {}]) == expected


def test_a_prefix_of_two_ids_names_neither():
    assert as_map([{"layer": "a", "name": "x"}], [{"id": "a" * 64}, {"id": "a" + "b" * 63}]) == {}


def test_array_tags_are_served_as_a_map(server):
    server.say(TAGS, Said(json.dumps([{"layer": TWO[:8], "name": "latest"}]).encode()))
    assert Site(server.url, Memory()).tags.all(ACME) == {"latest": TWO}
