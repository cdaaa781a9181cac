"""Tags: set, read, replaced, deleted (protocol §3.9)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator

import pytest

from common.agents import Agent
from common.names import RepositoryName, Tag
from registry_service.graph.errors import ImageNotFound, RepositoryNotFound, TagNotFound
from registry_service.storage import paths
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.units.registry_service.graph.store import Image, Store, image_id

REPOSITORY = RepositoryName.parse("acme/busybox")
BASE = Image("base")
CHILD = Image("child", BASE)
AGENT = Agent(docker="1.6.2", go="go1.4.2", kernel="3.13.0-24-generic", os="linux", arch="amd64")
LATEST = Tag("latest")


@pytest.fixture
def tagged(store: Store) -> Store:
    store.add(BASE, CHILD)
    store.tags.set(REPOSITORY, LATEST, CHILD.id, AGENT)
    store.tags.set(REPOSITORY, Tag("v1"), BASE.id, AGENT)
    return store


def entries(store: Store) -> set[str]:
    return set(store.driver.list(paths.repository(REPOSITORY)))


def test_tags_are_kept_as_docker_registry_kept_them(tagged: Store) -> None:
    assert entries(tagged) == {"tag_latest", "taglatest_json", "json", "tag_v1", "tagv1_json"}
    assert tagged.driver.get(paths.tag(REPOSITORY, LATEST)) == CHILD.id.encode()


def test_reading(tagged: Store) -> None:
    assert tagged.tags.all(REPOSITORY) == {"latest": CHILD.id, "v1": BASE.id}
    assert tagged.tags.get(REPOSITORY, LATEST) == CHILD.id
    assert tagged.tags.exists(REPOSITORY)


class Listing(Memory):
    """Tells digests in its lists, as object stores do, and counts what is read of tags."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.between: Callable[[], None] = lambda: None

    def get(self, path: str) -> bytes:
        if "/tag_" in path:
            self.read.append(path)
        return super().get(path)

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        found = {name: hashlib.md5(super(Listing, self).get(f"{path}/{name}")).hexdigest() for name in self.list(path)}
        self.between()
        return iter(found.items())


def test_a_tag_whose_content_is_known_is_not_read_again() -> None:
    driver = Listing()
    store = Store(Guard(driver))
    store.add(BASE, CHILD)
    store.tags.set(REPOSITORY, LATEST, CHILD.id, AGENT)
    for _ in range(3):
        assert store.tags.all(REPOSITORY) == {"latest": CHILD.id}
    assert len(driver.read) == 1
    # By another process, say.
    driver.put(paths.tag(REPOSITORY, LATEST), BASE.id.encode())
    assert store.tags.all(REPOSITORY) == {"latest": BASE.id}
    driver.delete(paths.tag(REPOSITORY, LATEST))
    assert store.tags.all(REPOSITORY) == {}


def test_what_is_set_between_listing_and_reading_is_not_taken_for_what_was_listed() -> None:
    driver = Listing()
    store = Store(Guard(driver))
    store.add(BASE, CHILD)
    store.tags.set(REPOSITORY, LATEST, CHILD.id, AGENT)
    driver.between = lambda: driver.put(paths.tag(REPOSITORY, LATEST), BASE.id.encode())
    assert store.tags.all(REPOSITORY) == {"latest": BASE.id}
    driver.between = lambda: None
    driver.put(paths.tag(REPOSITORY, LATEST), CHILD.id.encode())
    assert store.tags.all(REPOSITORY) == {"latest": CHILD.id}


def test_absence(store: Store) -> None:
    assert not store.tags.exists(REPOSITORY)
    with pytest.raises(RepositoryNotFound, match="Repository not found"):
        store.tags.all(REPOSITORY)
    with pytest.raises(TagNotFound, match="Tag not found"):
        store.tags.get(REPOSITORY, LATEST)
    with pytest.raises(TagNotFound, match="Tag not found: latest"):
        store.tags.delete(REPOSITORY, LATEST)


def test_names_longer_than_a_file_name_are_absent(store: Store) -> None:
    long = Tag("x" * 255)
    with pytest.raises(TagNotFound):
        store.tags.get(REPOSITORY, long)
    with pytest.raises(TagNotFound):
        store.tags.delete(REPOSITORY, long)
    assert store.tags.description(REPOSITORY, long)["docker_version"] is None


def test_replacing(tagged: Store) -> None:
    tagged.tags.set(REPOSITORY, LATEST, BASE.id, AGENT)
    assert tagged.tags.get(REPOSITORY, LATEST) == BASE.id


def test_who_pushed(tagged: Store) -> None:
    for tag in (None, LATEST, Tag("v1")):
        description = tagged.tags.description(REPOSITORY, tag)
        assert abs(description.pop("last_update") - time.time()) < 3600
        assert description == {
            "docker_version": "1.6.2",
            "docker_go_version": "go1.4.2",
            "arch": "amd64",
            "os": "linux",
            "kernel": "3.13.0-24-generic",
        }


def test_who_pushed_and_said_nothing(tagged: Store) -> None:
    tagged.tags.set(REPOSITORY, LATEST, BASE.id, Agent())
    description = tagged.tags.description(REPOSITORY, LATEST)
    assert isinstance(description.pop("last_update"), int)
    assert description == {
        "docker_version": None,
        "docker_go_version": None,
        "arch": "amd64",
        "os": "linux",
        "kernel": None,
    }


@pytest.mark.parametrize("step", ["nothing", "described", "received"])
def test_incomplete_images_get_no_tag(store: Store, step: str) -> None:
    if step != "nothing":
        store.describe(BASE)
    if step == "received":
        store.receive(BASE)
    with pytest.raises(ImageNotFound, match="Image not found"):
        store.tags.require_taggable(BASE.id)


def test_ancestors_must_be_complete(store: Store) -> None:
    store.add(BASE, CHILD)
    store.driver.delete(paths.image_layer(BASE.id))
    store.images.forget(BASE.id)
    with pytest.raises(ImageNotFound, match=f"Image not found: its ancestor {BASE.id} is missing"):
        store.tags.require_taggable(CHILD.id)


def test_deleting(tagged: Store) -> None:
    tagged.tags.delete(REPOSITORY, LATEST)
    assert tagged.tags.all(REPOSITORY) == {"v1": BASE.id}
    assert entries(tagged) == {"tag_v1", "tagv1_json"}
    assert tagged.tags.description(REPOSITORY, None)["last_update"] is None
    with pytest.raises(TagNotFound, match="Tag not found: latest"):
        tagged.tags.delete(REPOSITORY, LATEST)
    assert tagged.images.is_complete(CHILD.id)


def test_deleting_where_nobody_knows_who_pushed(tagged: Store) -> None:
    tagged.driver.delete(paths.tag_json(REPOSITORY, LATEST))
    tagged.driver.delete(paths.repository_json(REPOSITORY))
    tagged.tags.delete(REPOSITORY, LATEST)
    assert tagged.tags.all(REPOSITORY) == {"v1": BASE.id}


def test_deleting_and_setting_again(tagged: Store) -> None:
    tagged.tags.delete(REPOSITORY, Tag("v1"))
    tagged.tags.set(REPOSITORY, Tag("v1"), CHILD.id, AGENT)
    assert tagged.tags.get(REPOSITORY, Tag("v1")) == CHILD.id


@pytest.mark.parametrize("order", [["_foo", "foo_json"], ["foo_json", "_foo"]])
def test_two_tags_that_want_the_same_file(store: Store, order: list[str]) -> None:
    """`_foo` keeps its pusher where `foo_json` is: both tags stand, whichever comes first."""
    store.add(BASE, CHILD)
    images = {"_foo": BASE.id, "foo_json": CHILD.id}
    for tag in order:
        store.tags.set(REPOSITORY, Tag(tag), images[tag], AGENT)
    assert store.tags.all(REPOSITORY) == images
    assert store.tags.description(REPOSITORY, Tag("_foo"))["last_update"] is None
    store.tags.delete(REPOSITORY, Tag("_foo"))
    assert store.tags.all(REPOSITORY) == {"foo_json": CHILD.id}
    store.tags.delete(REPOSITORY, Tag("foo_json"))
    with pytest.raises(RepositoryNotFound):
        store.tags.all(REPOSITORY)


def test_phantom_of_a_tag_goes_with_it(store: Store) -> None:
    store.add(BASE)
    store.tags.set(REPOSITORY, Tag("_foo"), BASE.id, AGENT)
    assert store.tags.all(REPOSITORY) == {"_foo": BASE.id}
    assert store.tags.description(REPOSITORY, Tag("_foo"))["docker_version"] == "1.6.2"
    store.tags.delete(REPOSITORY, Tag("_foo"))
    assert not store.tags.exists(REPOSITORY)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"0" * 63, b"0" * 65, b"latest", b"G" * 64, b'"x"'])
def test_what_is_no_id_is_no_tag(tagged: Store, content: bytes) -> None:
    tagged.driver.put(paths.tag(REPOSITORY, Tag("odd")), content)
    assert sorted(tagged.tags.all(REPOSITORY)) == ["latest", "v1"]
    with pytest.raises(TagNotFound):
        tagged.tags.get(REPOSITORY, Tag("odd"))


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"null", b"7"])
def test_broken_description_is_none(tagged: Store, content: bytes) -> None:
    tagged.driver.put(paths.tag_json(REPOSITORY, LATEST), content)
    assert tagged.tags.description(REPOSITORY, LATEST)["last_update"] is None


def test_description_of_another_kind_keeps_its_keys(tagged: Store) -> None:
    tagged.driver.put(paths.tag_json(REPOSITORY, LATEST), json.dumps({"arch": "arm", "more": 1}).encode())
    description = tagged.tags.description(REPOSITORY, LATEST)
    assert (description["arch"], description["more"], description["os"]) == ("arm", 1, "linux")


def test_tag_of_a_missing_image_is_still_a_tag(tagged: Store) -> None:
    tagged.driver.put(paths.tag(REPOSITORY, Tag("gone")), image_id("gone").encode())
    assert tagged.tags.get(REPOSITORY, Tag("gone")) == image_id("gone")
