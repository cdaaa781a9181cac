"""The site and its API show an image by possession: what was listed shows nothing, and what is kept apart stays so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.names import ImageId, RepositoryName, Tag
from index_service.database import Database
from index_service.images import image_store
from index_service.images.image_metadata import ImageMetadata
from tests.units.index_service.reader import Reader
from tests.units.index_service.site import IMAGES

BASE, TOP = IMAGES[:2]
APP, MINE = RepositoryName.parse("bob/app"), RepositoryName.parse("alice/mine")
FORGED, REAL = "sha256:" + "f" * 64, "sha256:" + "a" * 64
SENTENCE = "Under this image ID the repository has content of its own"
SIZE = 123_456

LISTED, APART, HELD = "listed", "apart", "held"
"""What alice/mine, which tags the images of bob/app, is to them."""


def bobs(site):
    """bob/app, public, holds a base and an image on it, which its registry has described."""
    for name in ("alice", "bob"):
        site.user(name)
    site.user("root", admin=True)
    site.push("bob/app", "bob", images=[BASE, TOP])
    described = ImageMetadata(
        image_id=ImageId(TOP),
        parent_id=ImageId(BASE),
        size=SIZE,
        created_at=None,
        command="RUN make bobs-secret-sauce",
        author="bob",
        docker_version="1.6.2",
        os="plan9",
        architecture="amd64",
        config='{"author": "bob"}',
        checksums=(REAL,),
    )
    base = replace(described, image_id=ImageId(BASE), parent_id=None, checksums=())
    with Database(site.engine).writing() as session:
        image_store.record(session, [base, described], site.clock())


@pytest.fixture
def contents():
    return bobs


def give(site, how, images=(BASE, TOP)):
    """alice announces the same ids, with a checksum, and concludes; how she comes to hold them is the registry's."""
    site.push("alice/mine", "alice", images=list(images), held=False)
    entries = [{"id": TOP, "checksum": FORGED}]
    assert site.request("PUT", "/v1/repositories/alice/mine/images", user="alice", body=entries).status_code == 204
    if how is not LISTED:
        site.hold("alice/mine", images, apart=len(images) if how is APART else 0)
    with Database(site.engine).writing() as session:
        image_store.sum_layers(session, [row.id for row in site.rows("SELECT id FROM repositories")])


def pin(site, name, person, target, text):
    site.services.social.write(site.actor(person), name, text, target)


PAGES = ("", "/@tags", "/@graph", "/@activity")


def shown(site, name, who=None):
    """All that the pages of a repository say, and the API."""
    reader = Reader(site, who)
    texts = []
    for part in PAGES:
        for path in ("/r", "/api/v1/repositories"):
            answer = reader.get(f"{path}/{name}{part}")
            assert answer.status_code == 200, (path, part)
            texts.append(answer.get_data(as_text=True))
    return "\n".join(texts)


@pytest.mark.parametrize("how", [LISTED, APART])
def test_whose_image_it_is_not_is_told_nothing_of_it(site, how):
    give(site, how)
    told = shown(site, MINE)
    for secret in ("sauce", "plan9", "1.6.2", REAL, f"/i/{TOP}", str(SIZE), str(2 * SIZE)):
        assert secret not in told, secret
    (tagged,) = Reader(site).api("/repositories/alice/mine/@tags")["items"]
    assert (tagged["image_id"], tagged["size"], tagged["is_apart"]) == (TOP, None, True if how is APART else None)
    assert Reader(site).api("/repositories/alice/mine/@graph")["layers"] == []
    assert Reader(site).api("/repositories/alice/mine")["head"]["layer_bytes"] == 0
    assert (SENTENCE in told) is (how is APART)


def test_whose_image_it_is_too_is_told_all_of_it(site):
    give(site, HELD)
    told = shown(site, MINE)
    for fact in ("sauce", "plan9", f"/i/{TOP}"):
        assert fact in told, fact
    assert Reader(site).api("/repositories/alice/mine")["head"]["layer_bytes"] == 2 * SIZE
    assert SENTENCE not in told


@pytest.mark.parametrize(("how", "uses"), [(LISTED, 1), (APART, 1), (HELD, 2)])
def test_an_image_is_told_by_who_holds_it(site, how, uses):
    give(site, how)
    told = Reader(site).api(f"/images/{TOP}")
    assert told["checksums"] == [REAL]
    assert told["uses"] == uses == len(told["repositories"]) == len(told["places"])
    (tree,) = Reader(site).api("/graph")["trees"]
    assert (tree["uses"], len(tree["branches"][0]["places"])) == (uses, uses)
    found = {item["full_name"] for item in Reader(site).api(f"/search?q={TOP}")["repositories"]}
    assert found == ({"bob/app"} if how is LISTED else {"bob/app", "alice/mine"})


@pytest.mark.parametrize(("how", "is_shared"), [(LISTED, False), (APART, False), (HELD, True)])
def test_annotations_of_an_image_are_shown_where_both_hold_it(site, how, is_shared):
    give(site, how)
    pin(site, MINE, "alice", ImageId(TOP), "broken, use alice/mine")
    pin(site, APP, "bob", ImageId(TOP), "well seasoned")
    assert ("broken" in shown(site, APP)) is is_shared
    assert ("seasoned" in shown(site, MINE)) is is_shared
    assert "broken" in shown(site, MINE)
    assert "seasoned" in shown(site, APP)
    for path in (
        f"/i/{TOP}",
        f"/i/{TOP}/graph",
        "/graph",
        f"/api/v1/images/{TOP}",
        f"/api/v1/images/{TOP}/annotations",
    ):
        answer = Reader(site).get(path)
        assert answer.status_code == 200, path
        assert ("broken" in answer.text) is is_shared, path
        assert "seasoned" in answer.text, path


def test_annotations_of_tags_are_shown_whatever_they_point_at(site):
    give(site, APART)
    pin(site, MINE, "alice", Tag("latest"), "do not use")
    assert "do not use" in shown(site, MINE)
    assert "do not use" not in shown(site, APP)


WHO = (None, "bob", "alice", "root")


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("is_private", [False, True])
@pytest.mark.parametrize(
    ("how", "readers", "finders"),
    [(LISTED, {}, {}), (APART, {}, {"alice"}), (HELD, {"alice"}, {"alice"})],
)
def test_an_image_that_one_repository_has_is_seen_by_those_who_may_read_it(
    site, who, is_private, how, readers, finders
):
    """Announced only, kept apart or held; whoever asks, of a public or a private repository."""
    own = IMAGES[5]
    give(site, how, [own])
    site.set_private("alice/mine", is_private)
    reads = who in readers or (how is HELD and not is_private)
    for path in (f"/i/{own}", f"/i/{own}/graph", f"/api/v1/images/{own}", f"/api/v1/images/{own}/descendants"):
        assert Reader(site, who).get(path).status_code == (200 if reads else 404), path
    search = Reader(site, who).api(f"/search?q={own}")
    assert search["image_id"] == (own if reads else None)
    finds = who in finders or (how is not LISTED and not is_private)
    assert [item["full_name"] for item in search["repositories"]] == (["alice/mine"] if finds else [])


@pytest.mark.parametrize(("how", "is_linked"), [(LISTED, False), (APART, False), (HELD, True)])
def test_an_image_is_linked_where_its_page_is_about_it(site, how, is_linked):
    give(site, how)
    pin(site, MINE, "alice", ImageId(TOP), "use this one")
    reader = Reader(site, "alice")
    paths = ("/u/alice/@activity", "/r/alice/mine/@tags/delete?tag=latest", "/r/alice/mine/@comments")
    for path in paths:
        page = reader.get(path).get_data(as_text=True)
        assert TOP[:12] in page, path
        assert (f'href="/i/{TOP}"' in page) is is_linked, path
