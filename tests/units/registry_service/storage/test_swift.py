"""What the Swift driver's settings refuse before any store is asked."""

from __future__ import annotations

import pytest

from common.settings import SettingsError, load
from registry_service.storage.swift.account import SwiftSettings

LEAST = {"CONTAINER": "layers", "AUTH_URL": "http://keystone/v3/", "USER": "u", "PASSWORD": "hidden", "PROJECT": "p"}


def settings(**changed: str | None) -> SwiftSettings:
    given = {name: value for name, value in {**LEAST, **changed}.items() if value is not None}
    return load(SwiftSettings, "swift", {f"WHARFINGER_SWIFT_{name}": value for name, value in given.items()})


def test_the_least_will_do() -> None:
    read = settings()
    assert read.auth_url == "http://keystone/v3"
    assert read.auth_version == "3"
    assert "hidden" not in repr(read)


def test_a_temporary_key_is_not_shown() -> None:
    assert "hidden" not in repr(settings(TEMPORARY_URLS="account", TEMPORARY_URL_KEY="hidden"))


def test_tempauth_knows_no_projects() -> None:
    assert settings(AUTH_VERSION="1", PROJECT=None).project == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        *(({name: None}, f"WHARFINGER_SWIFT_{name} is not set") for name in LEAST),
        ({"AUTH_URL": "keystone"}, "WHARFINGER_SWIFT_AUTH_URL: 'keystone' does not begin with http:// or https://"),
        ({"STORAGE_URL": "ftp://x"}, "WHARFINGER_SWIFT_STORAGE_URL: 'ftp://x' does not begin with"),
        ({"CONTAINER": ""}, "WHARFINGER_SWIFT_CONTAINER: '' is no name of a container"),
        ({"SEGMENT_BYTES": "0"}, "WHARFINGER_SWIFT_SEGMENT_BYTES: '0' is not a whole number of at least 1"),
        ({"SEGMENT_BYTES": str(2 * 1024**3)}, "WHARFINGER_SWIFT_SEGMENT_BYTES: segments are kept in memory"),
        ({"CA_BUNDLE": "/nowhere"}, "WHARFINGER_SWIFT_CA_BUNDLE: /nowhere is not a file"),
        (
            {"TEMPORARY_URLS": "container"},
            "WHARFINGER_SWIFT_SEGMENTS_CONTAINER: a container's key opens nothing beside",
        ),
        ({"BUCKET": "x"}, "unknown setting: WHARFINGER_SWIFT_BUCKET"),
    ],
)
def test_what_will_not_do_is_named(changed: dict[str, str | None], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(**changed)
