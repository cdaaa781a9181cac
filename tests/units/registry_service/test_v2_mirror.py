"""`/v2/` of a mirror: what it lacks it fetches by v1, whole, before it names a digest."""

from __future__ import annotations

import json

import pytest

from common.names import RepositoryName
from registry_service.mirror.sources import MirrorSource
from registry_service.storage.memory import Memory
from tests.clients.images import make_chain
from tests.units.registry_service.mirror_source import serving
from tests.units.registry_service.test_mirror_copies import trojan
from tests.units.registry_service.test_v2 import client_of, digest_of, manifest_of

CHAIN = make_chain(3)
NAME = "acme/app"


@pytest.fixture
def source():
    with serving() as source:
        source.hold(CHAIN)
        yield source


def mirror_of(source, driver=None):
    return client_of(driver or Memory(), mirror_sources=[MirrorSource("*", source.url)], mirror_timeout=5)


def test_image_of_the_source_is_translated(source):
    client = mirror_of(source)
    manifest = json.loads(manifest_of(client).data)
    assert [layer["digest"] for layer in manifest["layers"]] == [digest_of(image.layer) for image in CHAIN]
    for image in CHAIN:
        answer = client.get(f"/v2/{NAME}/blobs/{digest_of(image.layer)}")
        assert (answer.status_code, answer.data) == (200, image.layer)
        assert len(source.heard_of(f"/v1/images/{image.id}/layer")) == 1
    config = client.get(f"/v2/{NAME}/blobs/{manifest['config']['digest']}")
    assert digest_of(config.data) == manifest["config"]["digest"]


def test_two_mirrors_have_the_same_digests(source):
    assert manifest_of(mirror_of(source)).data == manifest_of(mirror_of(source)).data


def test_source_that_is_gone_is_not_needed_for_what_is_here(source):
    driver = Memory()
    digest = manifest_of(mirror_of(source, driver)).headers["Docker-Content-Digest"]
    source.answers.clear()
    again = mirror_of(source, driver)
    assert again.get(f"/v2/{NAME}/manifests/{digest}").status_code == 200
    assert again.get(f"/v2/{NAME}/blobs/{digest_of(CHAIN[0].layer)}").status_code == 200


def test_image_that_the_source_lacks_a_layer_of(source):
    del source.answers[f"/v1/images/{CHAIN[1].id}/layer"]
    answer = mirror_of(source).get(f"/v2/{NAME}/manifests/latest")
    assert answer.status_code == 404
    assert answer.json["errors"][0]["code"] == "MANIFEST_UNKNOWN"


@pytest.mark.parametrize("first", [NAME, "other/app"])
def test_each_repository_has_the_images_of_its_own_source(source, first):
    theirs = tuple(map(trojan, CHAIN))
    with serving() as other:
        other.hold(theirs, RepositoryName("other", "app"))
        sources = [MirrorSource("acme", source.url), MirrorSource("other", other.url)]
        client = client_of(Memory(), mirror_sources=sources, mirror_timeout=5)
        chains = {NAME: CHAIN, "other/app": theirs}
        for name in sorted(chains, key=lambda name: name != first):
            manifest = json.loads(manifest_of(client, name=name).data)
            assert [layer["digest"] for layer in manifest["layers"]] == [
                digest_of(image.layer) for image in chains[name]
            ]
        for name, chain in chains.items():
            for image in chain:
                assert client.get(f"/v2/{name}/blobs/{digest_of(image.layer)}").data == image.layer
        for name, foreign in ((NAME, theirs), ("other/app", CHAIN)):
            for image in foreign:
                assert client.get(f"/v2/{name}/blobs/{digest_of(image.layer)}").status_code == 404
