"""The drawn tree: every path of an existing store, to the byte (protocol §6.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid
from common.names import ImageId, RepositoryName, Tag
from registry_service.storage import paths
from registry_service.storage.driver import is_path

ID = ImageId("0123456789abcdef" * 4)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (paths.image_json, "json"),
        (paths.image_layer, "layer"),
        (paths.image_ancestry, "ancestry"),
        (paths.image_checksum, "_checksum"),
        (paths.image_mark, "_inprogress"),
        (paths.image_files, "_files"),
        (paths.image_diff, "_diff"),
    ],
)
def test_images(path: object, expected: str) -> None:
    assert callable(path)
    assert path(ID) == f"images/{ID}/{expected}"
    assert path(ImageId("0123456789abcdef")) == f"images/0123456789abcdef/{expected}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acme/busybox", "repositories/acme/busybox"),
        ("busybox", "repositories/library/busybox"),
        ("library/busybox/", "repositories/library/busybox"),
        ("a/b/c", "repositories/a/b%252Fc"),
        ("a/b/c/d", "repositories/a/b%252Fc%252Fd"),
        ("Acme/BusyBox", "repositories/Acme/BusyBox"),
        ("a.b/c_d-e.f", "repositories/a.b/c_d-e.f"),
    ],
)
def test_repositories(name: str, expected: str) -> None:
    repository = RepositoryName.parse(name)
    assert paths.repository(repository) == expected
    assert paths.repository_json(repository) == f"{expected}/json"
    assert paths.index_images(repository) == f"{expected}/_index_images"
    assert paths.private(repository) == f"{expected}/_private"
    _, namespace, directory = expected.split("/")
    assert paths.repository_in(namespace, directory) == repository


@pytest.mark.parametrize(
    ("tag", "file", "json"),
    [
        ("latest", "tag_latest", "taglatest_json"),
        ("1.0-rc_2", "tag_1.0-rc_2", "tag1.0-rc_2_json"),
        ("_foo", "tag__foo", "tag_foo_json"),
        ("foo_json", "tag_foo_json", "tagfoo_json_json"),
        ("a+b", "tag_a%2Bb", "taga%2Bb_json"),
        ("a~b", "tag_a%7Eb", "taga%7Eb_json"),
        ("a%b", "tag_a%25b", "taga%25b_json"),
        ("é", "tag_%C3%A9", "tag%C3%A9_json"),
        ("..a", "tag_..a", "tag..a_json"),
    ],
)
def test_tags(tag: str, file: str, json: str) -> None:
    repository = RepositoryName.parse("a/b")
    assert paths.tag(repository, Tag(tag)) == f"repositories/a/b/{file}"
    assert paths.tag_json(repository, Tag(tag)) == f"repositories/a/b/{json}"
    assert paths.tag_in(file) == tag


def test_the_trap_is_one_path() -> None:
    repository = RepositoryName.parse("a/b")
    assert paths.tag_json(repository, Tag("_foo")) == paths.tag(repository, Tag("foo_json"))


@pytest.mark.parametrize("entry", ["json", "_private", "_index_images", "taglatest_json", "_images_list"])
def test_other_entries_are_no_tags(entry: str) -> None:
    assert paths.tag_in(entry) is None


@pytest.mark.parametrize(
    ("component", "quoted"),
    [(".", "%252E"), ("..", "%252E%252E"), ("...", "..."), ("a b", "a+b"), ("a/b", "a%2Fb"), ("~", "%7E"), ("", "")],
)
def test_quoting(component: str, quoted: str) -> None:
    assert paths.quote(component) == quoted


@given(st.text(min_size=1, max_size=20))
def test_whatever_is_quoted_is_one_component(component: str) -> None:
    quoted = paths.quote(component)
    assert is_path(quoted)
    assert "/" not in quoted


def test_uploads_keep_the_uploader_secret() -> None:
    stage = paths.upload(ID, "signature=SECRET/../x")
    assert stage.startswith(f"_uploads/{ID}/")
    assert "SECRET" not in stage
    assert is_path(stage)
    assert stage != paths.upload(ID, "another")
    assert paths.upload_json(stage) == f"{stage}/json"
    assert paths.received_in("received.abc") == "abc"
    assert paths.received_in("layer.abc") is None


@pytest.mark.parametrize(("namespace", "name"), [("a", "b%20c"), ("a", "_uploads%252F.."), ("a", "b%252F"), (".", "a")])
def test_foreign_directories_are_no_repositories(namespace: str, name: str) -> None:
    with pytest.raises(Invalid):
        paths.repository_in(namespace, name)
