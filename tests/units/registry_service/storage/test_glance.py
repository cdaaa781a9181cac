"""Which paths are Glance's, and what its settings refuse before any store is asked."""

from __future__ import annotations

import pytest

from common.names import ImageId, RepositoryName, Tag
from common.settings import SettingsError, load
from registry_service.storage import paths
from registry_service.storage.glance.settings import GlanceSettings
from registry_service.storage.paths import ApartImageId

IMAGE = ImageId("a" * 64)
STAGE = paths.upload(IMAGE, "somebody")
NAME = RepositoryName.parse("acme/layer")

LEAST = {"AUTH_URL": "http://keystone/v3", "USER": "u", "PASSWORD": "hidden", "PROJECT": "p"}


def settings(**changed: str | None) -> GlanceSettings:
    given = {name: value for name, value in {**LEAST, **changed}.items() if value is not None}
    return load(GlanceSettings, "glance", {f"WHARFINGER_GLANCE_{name}": value for name, value in given.items()})


PROBE = paths.probe("check-1")


@pytest.mark.parametrize(
    "path",
    [
        paths.image_layer(IMAGE),
        paths.image_layer(ApartImageId(IMAGE, NAME)),
        paths.oci_layer_blob(IMAGE, "0" * 64),
        paths.oci_layer_blob(ApartImageId(IMAGE, NAME), "0" * 64),
        paths.upload_layer(STAGE, "1"),
        f"{PROBE}/layer",
        f"{PROBE}/layer.moved",
    ],
)
def test_layers(path: str) -> None:
    assert paths.is_layer(path)
    assert not paths.lies_above_layers(path)
    while "/" in path:
        path = path.rpartition("/")[0]
        assert paths.lies_above_layers(path)
        assert not paths.is_layer(path)


@pytest.mark.parametrize(
    "path",
    [
        paths.image_json(IMAGE), paths.image_mark(IMAGE), paths.image_ancestry(IMAGE), paths.oci_layer(IMAGE),
        paths.oci_image(IMAGE), paths.digest("0" * 64), paths.digest("0" * 64, NAME), paths.upload_json(STAGE),
        paths.upload_claims(STAGE), paths.upload_received(STAGE, "0" * 64), paths.tag(NAME, Tag("layer")),
        paths.repository(NAME), f"{PROBE}/small", f"{PROBE}/layer/x", "layer", "images/layer/x",
        f"{paths.image_layer(IMAGE)}/below",
    ],
)  # fmt: skip
def test_no_layers(path: str) -> None:
    assert not paths.is_layer(path)
    assert not paths.lies_above_layers(path)


def test_the_least_will_do() -> None:
    read = settings()
    assert read.alternate == "filesystem"
    assert "hidden" not in repr(read)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        *(({name: None}, f"WHARFINGER_GLANCE_{name} is not set") for name in LEAST),
        ({"ALTERNATE": "glance"}, "WHARFINGER_GLANCE_ALTERNATE: glance keeps nothing but layers"),
        ({"BUFFER_BYTES": "0"}, "WHARFINGER_GLANCE_BUFFER_BYTES: '0' is not a whole number of at least 1"),
        ({"CA_BUNDLE": "/nowhere"}, "WHARFINGER_GLANCE_CA_BUNDLE: /nowhere is not a file"),
    ],
)
def test_what_will_not_do_is_named(changed: dict[str, str | None], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(**changed)
