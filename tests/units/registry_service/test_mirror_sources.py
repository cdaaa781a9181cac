"""The setting that says what a registry is a mirror of."""

from __future__ import annotations

import pytest

from common.settings import SettingsError
from registry_service.mirror.sources import MirrorSource, read_sources
from registry_service.settings import load_settings


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("", ()),
        ("*=https://hub.example", (MirrorSource("*", "https://hub.example"),)),
        (
            "*=https://hub.example/v1/  acme=http://user:p%40ss%3A@reg.example:5000,",
            (
                MirrorSource("*", "https://hub.example"),
                MirrorSource("acme", "http://reg.example:5000", "user", "p@ss:"),
            ),
        ),
        ("library=http://[::1]:5000", (MirrorSource("library", "http://[::1]:5000"),)),
    ],
)
def test_sources_are_read(text, sources):
    assert read_sources(text) == sources


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("https://user:hidden@hub.example", "written as namespace="),
        ("acme/app=https://user:hidden@hub.example", "written as namespace="),
        ("a b=https://user:hidden@hub.example", "written as namespace="),
        ("ac$me=https://user:hidden@hub.example", "no namespace"),
        ("acme=ftp://user:hidden@hub.example", "neither http:// nor https://"),
        ("acme=https://user:hidden@", "names no host"),
        ("acme=https://user:hidden@hub.example:port", "is no URL"),
        ("acme=https://user:hidden@hub.example/v2/", "nothing behind it"),
        ("acme=https://user:hidden@hub.example?x=y", "nothing behind it"),
        ("acme=https://hidden@hub.example", "both user and password"),
        ("acme=https://hub.example acme=https://user:hidden@hub.example", "two sources"),
    ],
)
def test_wrong_sources_stop_the_start_and_keep_the_password(text, complaint):
    environ = {"WHARFINGER_REGISTRY_STANDALONE": "true", "WHARFINGER_REGISTRY_MIRROR_SOURCES": text}
    with pytest.raises(SettingsError, match=complaint) as refused:
        load_settings(environ)
    assert "WHARFINGER_REGISTRY_MIRROR_SOURCES" in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_a_password_shows_nowhere():
    environ = {
        "WHARFINGER_REGISTRY_STANDALONE": "true",
        "WHARFINGER_REGISTRY_MIRROR_SOURCES": "*=https://user:hidden@hub.example",
    }
    settings = load_settings(environ)
    assert settings.mirror_sources[0].password == "hidden"
    assert "hidden" not in repr(settings) + repr(settings.mirror_sources)


def test_a_file_lists_them(tmp_path):
    file = tmp_path / "wharfinger.toml"
    file.write_text(
        '[registry]\nstandalone = true\nmirror_sources = ["*=https://hub.example", "acme=http://reg:5000"]\n'
    )
    settings = load_settings({"WHARFINGER_CONFIG": str(file)})
    assert [source.namespace for source in settings.mirror_sources] == ["*", "acme"]
