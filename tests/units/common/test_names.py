"""Names: valid by construction, lenient to read, strict to create."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid, NotFound
from common.names import LIBRARY, ImageId, RepositoryName, Tag

COMPONENT = st.from_regex(r"[a-z0-9]{2,8}([._-][a-z0-9]{1,5}){0,2}", fullmatch=True)


@pytest.mark.parametrize("text", ["a" * 64, "0123456789abcdef" * 4, "0123456789abcdef"])
def test_an_image_id_is_64_or_16_lower_case_hex_digits(text: str) -> None:
    assert ImageId(text) == text


@pytest.mark.parametrize(
    "text", ["", "a" * 63, "a" * 65, "a" * 15, "A" * 64, "g" * 64, "..", "a" * 64 + "\n", "a" * 63 + "\0", "１" * 64]
)
def test_anything_else_is_an_image_that_does_not_exist(text: str) -> None:
    with pytest.raises(NotFound, match="Invalid image ID"):
        ImageId(text)


def test_only_the_long_form_is_given_to_images_with_a_parent() -> None:
    assert ImageId("b" * 64).require_creatable() == "b" * 64
    with pytest.raises(Invalid, match="64 hex digits"):
        ImageId("b" * 16).require_creatable()


@pytest.mark.parametrize("text", ["latest", "v1.0", "_x", "-x", ".x", "a:b", "a" * 255, "größe", "1.0+b1", "a b"])
def test_tags_are_read_as_any_client_ever_wrote_them(text: str) -> None:
    assert Tag(text) == text


@pytest.mark.parametrize("text", ["", "a" * 256, "a/b", "a\tb", "\ud800", "a\0", "a\nb", "\x7f", ".", ".."])
def test_tags_no_store_ever_held(text: str) -> None:
    with pytest.raises(Invalid, match="Invalid tag name"):
        Tag(text)


@pytest.mark.parametrize("text", ["latest", "V1.0-rc_2", "_x", "a" * 128])
def test_tags_that_may_be_made(text: str) -> None:
    assert Tag(text).require_creatable() == text


@pytest.mark.parametrize("text", ["-x", ".x", "a:b", "a" * 129, "größe", "a,b", "a b", "1+2"])
def test_tags_that_may_not_be_made(text: str) -> None:
    with pytest.raises(Invalid, match="Invalid tag name"):
        Tag(text).require_creatable()


@pytest.mark.parametrize("text", ["app", "app/", "library/app", "library/app/"])
def test_bare_names_are_library(text: str) -> None:
    name = RepositoryName.parse(text)
    assert name == RepositoryName(LIBRARY, "app")
    assert name.is_library
    assert str(name) == "library/app"


def test_all_behind_the_first_slash_is_the_name() -> None:
    assert RepositoryName.parse("a1/b/c/") == RepositoryName("a1", "b/c")
    assert not RepositoryName.parse("a1/b").is_library


@pytest.mark.parametrize(
    "text", ["", "/", "//", "a//b", "/a", "a/b//", "..", "a/..", "../a", "a/./b", "a b/c", "a/b\0", 'a/"b', "a/b,c",
             "a/" + "b" * 256, "a\n/b", "a%2fb", "é/a"]
)  # fmt: skip
def test_names_no_store_ever_held(text: str) -> None:
    with pytest.raises(Invalid, match="Invalid repository name"):
        RepositoryName.parse(text)


@given(st.lists(COMPONENT, min_size=2, max_size=4))
def test_what_may_be_made_is_read_back_the_same(parts: list[str]) -> None:
    name = RepositoryName.parse("/".join(parts)).require_creatable()
    assert RepositoryName.parse(str(name)) == name
    assert RepositoryName.parse(f"{name}/") == name


@pytest.mark.parametrize(
    "text", ["ab/Upper", "a_/b", "ab/-x", "ab/x-", "ab/x..y", "ab/x___y", "a" * 64, "ab/_x", "ab/x."]
)
def test_names_that_may_be_read_and_not_made(text: str) -> None:
    name = RepositoryName.parse(text)
    with pytest.raises(Invalid, match="Invalid repository name"):
        name.require_creatable()


@pytest.mark.parametrize("text", ["a/b", "x/y/z", "n" * 255 + "/app", f"team/{'a' * 64}", "a" * 63, "my__team/a--b"])
def test_names_of_the_newest_grammar_may_be_made(text: str) -> None:
    assert RepositoryName.parse(text).require_creatable().is_creatable


def test_a_long_bad_name_is_refused_at_once() -> None:
    """The grammar of components must not backtrack."""
    with pytest.raises(Invalid):
        RepositoryName.parse("ab/" + "a-" * 120 + "!").require_creatable()
    with pytest.raises(Invalid):
        RepositoryName.parse("ab/" + "a" * 200 + "-_-").require_creatable()
