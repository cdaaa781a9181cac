"""Looking images up by digest: hints, and what a repository holds where a hint names somebody else's image."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from common.agents import Agent
from common.errors import Invalid, NotFound
from common.names import ImageId, RepositoryName, Tag
from registry_service.oci import lookup
from registry_service.oci.digests import Digest
from registry_service.oci.records import Kind, Named
from registry_service.storage import paths
from registry_service.storage.driver import Driver
from registry_service.storage.memory import Memory
from registry_service.storage.paths import ApartImageId
from tests.units.registry_service.graph.store import Image, tar
from tests.units.registry_service.oci.store import TAR, Made, OciStore

MINE, THEIRS = RepositoryName("me", "app"), RepositoryName("they", "app")
FIRST = Made("first", stored=TAR)
SAME = Made("same", stored=TAR)
TOP = Made("top", SAME)


def push(store: OciStore, repository: RepositoryName, *images: Image, tag: str | None = "latest") -> None:
    store.push_to(repository, *images)
    if tag is not None:
        store.tags.set(repository, Tag(tag), images[-1].id, Agent())


def places(store: OciStore, repository: RepositoryName, digest: Digest) -> list[str]:
    return [paths.image(named.image) for named in store.lookup.find(repository, digest)]


def test_everything_of_an_image_is_found_by_its_digest(store: OciStore) -> None:
    push(store, MINE, SAME, TOP)
    translated = store.translations.of(TOP.id)
    for kind, digest in (
        (Kind.CONFIG, translated.config_digest),
        (Kind.SCHEMA2, translated.schema2.digest),
        (Kind.OCI, translated.oci.digest),
        (Kind.LAYER, translated.layers[1].digest),
    ):
        assert next(store.lookup.find(MINE, digest)) == Named(TOP.id, kind)
    assert next(store.lookup.find(MINE, translated.layers[0].digest)).image == SAME.id
    assert list(store.lookup.find(MINE, Digest.of(b"unknown"))) == []


def test_layer_that_another_repository_was_first_with(store: OciStore) -> None:
    """The hint names their image, which the gate will refuse; mine is next."""
    push(store, THEIRS, FIRST)
    push(store, MINE, SAME, TOP)
    store.translations.of(FIRST.id)
    store.translations.of(TOP.id)
    assert [named.image for named in store.lookup.find(MINE, Digest.of(TAR))] == [FIRST.id, SAME.id]
    assert [named.image for named in store.lookup.find(THEIRS, Digest.of(TAR))] == [FIRST.id, FIRST.id]


def test_layer_of_an_image_that_no_tag_names_any_more(store: OciStore) -> None:
    """Pulled by its manifest's digest, which its repository holds still."""
    push(store, THEIRS, FIRST)
    push(store, MINE, SAME, TOP)
    store.translations.of(FIRST.id)
    store.translations.of(TOP.id)
    push(store, MINE, Made("newer", stored=tar({"./other": b""})))
    assert SAME.id in [named.image for named in store.lookup.find(MINE, Digest.of(TAR))]


@pytest.mark.usefixtures("_soon")
def test_what_is_translated_after_a_vain_search_is_found(store: OciStore) -> None:
    """By another process, too, from which nothing but the store tells."""
    push(store, THEIRS, FIRST)
    push(store, MINE, SAME, TOP)
    store.translations.of(FIRST.id)
    assert [named.image for named in store.lookup.find(MINE, Digest.of(TAR))] == [FIRST.id]
    OciStore(store.driver).translations.of(TOP.id)
    assert [named.image for named in store.lookup.find(MINE, Digest.of(TAR))] == [FIRST.id, SAME.id]


class Read(Memory):
    """A store that tells which records of images were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, path: str) -> bytes:
        if path.endswith("/_oci_image"):
            self.asked.append(path)
            time.sleep(0.01)
        return super().get(path)


def test_digests_that_nobody_has_cost_one_search() -> None:
    driver = Read()
    store = OciStore(driver)
    push(store, MINE, SAME, TOP)
    unknown = [Digest.of(bytes([index])) for index in range(20)]
    with ThreadPoolExecutor(10) as pool:
        found = pool.map(lambda digest: list(store.lookup.find(MINE, digest)), unknown)
    assert list(found) == [[]] * 20
    assert sorted(driver.asked) == sorted(paths.oci_image(image.id) for image in (SAME, TOP))


def test_what_is_translated_after_a_search_for_what_nobody_has_is_found(store: OciStore) -> None:
    """At once, also by another process: hints come with it."""
    push(store, THEIRS, FIRST)
    push(store, MINE, SAME, TOP)
    store.translations.of(FIRST.id)
    assert list(store.lookup.find(MINE, Digest.of(b"unknown"))) == []
    translated = OciStore(store.driver).translations.of(TOP.id)
    for digest in (translated.config_digest, translated.oci.digest, Digest.of(TAR)):
        assert {TOP.id, SAME.id} & {named.image for named in store.lookup.find(MINE, digest)}


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "SEARCH_SECONDS", 0.5)


@pytest.mark.usefixtures("_soon")
def test_digests_that_only_others_have_cost_one_search_at_a_time() -> None:
    """Each leads to an image that the gate refuses, and here there are images that nobody translated."""
    driver = Read()
    store = OciStore(driver)
    push(store, THEIRS, FIRST)
    push(store, MINE, SAME, TOP)
    translated = store.translations.of(FIRST.id)
    digests = [translated.config_digest, translated.schema2.digest, translated.oci.digest, Digest.of(TAR)] * 5
    driver.asked.clear()
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda digest: list(store.lookup.find(MINE, digest)), digests))
    assert {named.image for each in found for named in each} == {FIRST.id}
    assert len(driver.asked) <= 4, "who came after the first search began waits for the next, together"


def test_of_a_digest_that_a_stranger_was_first_with_the_repositorys_own_image_comes_first(store: OciStore) -> None:
    """The stranger's costs a question at the index, which refuses it: it is asked for once, not for each blob."""
    push(store, THEIRS, FIRST)
    push(store, MINE, SAME, TOP)
    store.translations.of(FIRST.id)
    translated = store.translations.of(TOP.id)
    assert [named.image for named in store.lookup.find(MINE, Digest.of(TAR))] == [FIRST.id, SAME.id]
    for digest in (translated.config_digest, translated.oci.digest, *(layer.digest for layer in translated.layers)):
        assert next(store.lookup.find(MINE, digest)).image in (SAME.id, TOP.id)
    noted = OciStore(store.driver).lookup
    noted.note(MINE, TOP.id)
    assert next(noted.find(MINE, Digest.of(TAR))).image == SAME.id


def test_store_that_lost_its_hints(store: OciStore, driver: Driver) -> None:
    push(store, MINE, SAME, TOP)
    translated = store.translations.of(TOP.id)
    driver.delete(paths.DIGESTS)
    for digest in (translated.config_digest, translated.oci.digest, Digest.of(TAR)):
        assert len(list(store.lookup.find(MINE, digest))) == 1


def test_image_kept_apart_is_found_for_its_repository_only(store: OciStore) -> None:
    push(store, THEIRS, FIRST)
    own = replace(FIRST, stored=tar({"./own": b"content"}))
    push(store, MINE, own)
    apart = ApartImageId(FIRST.id, MINE)
    store.translations.of(FIRST.id)
    translated = store.translations.of(apart)
    for digest in (translated.config_digest, translated.oci.digest, Digest.of(own.stored)):
        assert set(places(store, MINE, digest)) == {paths.image(apart)}
        assert places(store, THEIRS, digest) == []


def test_hint_that_is_valid_no_more_is_replaced_by_who_comes_next(store: OciStore, driver: Driver) -> None:
    push(store, THEIRS, FIRST)
    store.translations.of(FIRST.id)
    driver.delete(paths.image(FIRST.id))
    push(store, MINE, SAME)
    OciStore(driver).translations.of(SAME.id)
    assert store.records.hint(Digest.of(TAR)) == Named(SAME.id, Kind.LAYER)


def test_valid_hint_stays(store: OciStore) -> None:
    push(store, THEIRS, FIRST)
    push(store, MINE, SAME)
    store.translations.of(FIRST.id)
    store.translations.of(SAME.id)
    assert store.records.hint(Digest.of(TAR)) == Named(FIRST.id, Kind.LAYER)


def test_taken_over_repository_has_no_marks(store: OciStore, driver: Driver) -> None:
    """In a store of docker-registry, tags alone say what a repository has."""
    store.add(FIRST, SAME, TOP)
    store.tags.set(MINE, Tag("latest"), ImageId(TOP.id), Agent())
    store.translations.of(FIRST.id)
    store.translations.of(TOP.id)
    assert not driver.exists(paths.all_held(MINE))
    assert [named.image for named in store.lookup.find(MINE, Digest.of(TAR))] == [FIRST.id, SAME.id]


def test_repository_that_is_not_there(store: OciStore) -> None:
    assert list(store.lookup.find(MINE, Digest.of(b"unknown"))) == []


@pytest.mark.parametrize(
    "text", ["", "sha256", "sha256:", "sha256:1", "sha256:" + "A" * 64, "sha256:" + "g" * 64, "/:x"]
)
def test_no_digest(text: str) -> None:
    with pytest.raises(Invalid):
        Digest.parse(text)


@pytest.mark.parametrize("text", ["sha512:" + "a" * 128, "md5:" + "a" * 32, "tarsum.v1+sha256:" + "a" * 64])
def test_other_algorithms_are_unknown(text: str) -> None:
    with pytest.raises(NotFound):
        Digest.parse(text)


def test_digest_has_parts() -> None:
    digest = Digest.parse("sha256:" + "ab" * 32)
    assert digest.hex == "ab" * 32
    assert str(digest) == "sha256:" + "ab" * 32
