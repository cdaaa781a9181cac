"""Paths, pages and challenges of `/v2/`."""

from __future__ import annotations

import pytest

from common.distribution import NumberInvalid, challenge, is_below, next_page, page_size, parse_path


@pytest.mark.parametrize(
    ("path", "parsed"),
    [
        ("acme/app/manifests/latest", ("acme/app", "manifests", "latest")),
        ("app/blobs/sha256:0", ("app", "blobs", "sha256:0")),
        ("acme/tags/list/tags/list", ("acme/tags/list", "tags", "list")),
        ("manifests/blobs/manifests/tags/list", ("manifests/blobs/manifests", "tags", "list")),
        ("acme/app/manifests/", ("acme/app", "manifests", "")),
        ("manifests/latest", None),
        ("acme/app", None),
        ("", None),
    ],
)
def test_the_last_word_of_a_path_counts(path: str, parsed: tuple[str, str, str] | None) -> None:
    assert parse_path(path) == parsed


@pytest.mark.parametrize(
    ("path", "is_it"), [("/v2", True), ("/v2/", True), ("/v2/x", True), ("/v20", False), ("/", False)]
)
def test_what_is_below(path: str, is_it: bool) -> None:
    assert is_below(path) is is_it


@pytest.mark.parametrize(("text", "size"), [(None, 100), ("", 100), ("0", 0), ("7", 7), ("5000", 1000)])
def test_the_size_of_a_page(text: str | None, size: int) -> None:
    assert page_size(text, 100, 1000) == size


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "9" * 20, "٣"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(NumberInvalid):
        page_size(text, 100, 1000)


def test_a_page_leads_to_the_next() -> None:
    assert next_page("/v2/a/tags/list", ["a", "b&", "c"], 2) == {"Link": '</v2/a/tags/list?n=2&last=b%26>; rel="next"'}
    assert next_page("/v2/a/tags/list", ["a", "b"], 2) == next_page("/v2/a/tags/list", ["a"], 0) == {}


def test_challenges() -> None:
    assert challenge("http://x/v2/token", "x") == 'Bearer realm="http://x/v2/token",service="x"'
    said = challenge("http://x/v2/token", "x", "repository:a/b:pull", had_token=True)
    assert said.endswith(',scope="repository:a/b:pull",error="insufficient_scope"')
