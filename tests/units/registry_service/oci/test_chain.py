"""The v1 images of a config, by the rules of Docker 1.10 to 17.05, written down here a second time."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from common.errors import Invalid
from registry_service.graph.description import read_parent
from registry_service.oci.chain import EMPTY_LAYER, Salt, derive, layers_of
from registry_service.oci.digests import Digest
from tests.units.registry_service.oci.test_config import CHAINS, written

ONE, TWO, THREE = (Digest.of(text) for text in (b"one", b"two", b"three"))


def config_with(*diff_ids: str, **members: Any) -> bytes:
    return json.dumps({**members, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": []}).encode()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("chain", CHAINS, ids=[chain["name"] for chain in CHAINS])
def test_ids_are_those_of_docker(chain: dict[str, Any]) -> None:
    """The last one has the id that a real Docker 1.12.6 computed for the image."""
    config = written([each.encode() for each in chain["jsons"]], [Digest.parse(each) for each in chain["diff_ids"]])
    images = derive(config)
    above = ""
    for image, diff_id in zip(images[:-1], chain["diff_ids"], strict=False):
        above = f"sha256:{sha256(f'{above} {diff_id}')}" if above else diff_id
        assert f"sha256:{image.id}" == above
    assert f"sha256:{images[-1].id}" == chain["id"]
    assert [image.diff_id for image in images] == chain["diff_ids"]
    parents = [None, *(image.id for image in images[:-1])]
    assert [read_parent(image.id, image.json) for image in images] == parents
    # Nothing that v1 knows is lost, and nothing is added.
    kept = {key: value for key, value in json.loads(config).items() if key not in ("rootfs", "history")}
    added = {"id": images[-1].id, **({"parent": parents[-1]} if parents[-1] else {})}
    assert json.loads(images[-1].json) == {**kept, **added}


def test_jsons_to_the_byte() -> None:
    members = b'"os": "linux", "z<": 1.50, "id": "?", "Parent": "?", "os.version": "1", "created": "2015-05-10"'
    config = b'{%b, "rootfs": {"type": "layers", "diff_ids": ["%b", "%b", "%b"]}, "history": []}' % (
        members,
        *(each.encode() for each in (ONE, TWO, THREE)),
    )
    base, middle, top = derive(config)
    second = sha256(f"{ONE} {TWO}")
    assert base.json == f'{{"id":"{ONE.hex}"}}'.encode()
    assert middle.json == f'{{"id":"{second}","parent":"{ONE.hex}"}}'.encode()
    id_ = hashlib.sha256(config).hexdigest()
    said = f'{{"created":"2015-05-10","id":"{id_}","os":"linux","parent":"{second}","z\\u003c":1.50}}'
    assert top.json == said.encode()


def test_image_without_layers_has_one_of_nothing() -> None:
    config = config_with()
    (image,) = derive(config)
    assert (image.id, image.diff_id) == (hashlib.sha256(config).hexdigest(), Digest.of(EMPTY_LAYER))
    assert layers_of(config) == []


def test_salted_ids() -> None:
    plain = derive(config_with(ONE, TWO, THREE))
    salted = derive(config_with(ONE, TWO, THREE), Salt("acme/app", 1))
    assert salted[0] == plain[0]
    assert [image.id for image in salted[1:]] == [sha256(f"v1:acme/app:{image.id}") for image in plain[1:]]
    assert [read_parent(image.id, image.json) for image in salted] == [None, *(image.id for image in salted[:-1])]


@pytest.mark.parametrize(
    "config",
    [
        b"", b"[]", b"{}", b"[" * 100_000, b'{"rootfs": null}', b'{"rootfs": {"diff_ids": {}}}',
        b'{"rootfs": {"diff_ids": "sha256"}}', b'{"rootfs": {"diff_ids": [7]}}', b'{"rootfs": {"diff_ids": ["x"]}}',
    ],
)  # fmt: skip
def test_what_is_no_config(config: bytes) -> None:
    with pytest.raises(Invalid):
        derive(config)
