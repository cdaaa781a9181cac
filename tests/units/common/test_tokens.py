"""The token's grammar in every spelling twelve years of clients sent (protocol §5.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.names import RepositoryName
from common.tokens import Access, Token, bearer, read_authorization, read_bearer, read_bearer_header

TOKEN = Token("abc.DEF-_1", RepositoryName("acme", "app"), Access.WRITE)
OTHER = Token("xyz", RepositoryName("library", "busybox"), Access.READ)

signatures = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-=:", min_size=1, max_size=200)
components = st.from_regex(r"[a-z0-9]{2,9}", fullmatch=True)
names = st.lists(components, min_size=2, max_size=4).map(lambda parts: RepositoryName(parts[0], "/".join(parts[1:])))
tokens = st.builds(Token, signatures, names, st.sampled_from(Access))
separators = st.sampled_from([",", ", "])


def test_what_is_written() -> None:
    assert str(TOKEN) == 'signature=abc.DEF-_1,repository="acme/app",access=write'


def test_a_token_in_a_log_gives_nothing_away() -> None:
    assert TOKEN.signature not in repr(TOKEN)


@pytest.mark.parametrize(
    "value",
    [
        f"Token {TOKEN}",
        f"Token Token {TOKEN}",
        f"token {TOKEN}",
        f"TOKEN   {TOKEN}",
        f" Token {TOKEN} ",
        'Token signature=abc.DEF-_1, repository="acme/app", access=write',
        "Token signature=abc.DEF-_1,repository=acme/app,access=write",
        "Token signature:abc.DEF-_1,repository:acme/app,access:write",
        'Token access=write,repository="acme/app",signature=abc.DEF-_1',
        f"Token {TOKEN},unknown=field,another",
        f"Token noise, {TOKEN}",
    ],
)
def test_every_spelling_of_one_token(value: str) -> None:
    assert read_authorization(value) == [TOKEN]


@pytest.mark.parametrize("joint", [",", ", ", ", Token "])
def test_tokens_joined_by_commas(joint: str) -> None:
    assert read_authorization(f"Token {TOKEN}{joint}{OTHER}") == [TOKEN, OTHER]


@pytest.mark.parametrize("value", ["Token", "Token ", "token  ", "Token ,"])
def test_the_scheme_alone_is_no_token(value: str) -> None:
    assert read_authorization(value) == []


@pytest.mark.parametrize("value", [None, "", "Basic Og==", "Tokens signature=x", "Bearer x"])
def test_other_schemes_are_none_of_ours(value: str | None) -> None:
    assert read_authorization(value) is None


@pytest.mark.parametrize(
    "text",
    [
        'signature=x,repository="acme/app"',
        'signature=x,repository="../app",access=read',
        'signature=x,repository="acme/app",access=admin',
        'repository="acme/app",access=read',
        'signature=,repository="acme/app",access=read',
        "signature=" * 500,
    ],
)
def test_what_is_not_whole_is_left_out(text: str) -> None:
    assert read_authorization(f"Token {text}") == []


@given(st.lists(tokens, min_size=1, max_size=3), separators)
def test_what_is_written_is_read_back(written: list[Token], separator: str) -> None:
    assert read_authorization(f"Token {separator.join(map(str, written))}") == written


@given(st.text())
def test_no_header_is_too_strange_to_read(text: str) -> None:
    read_authorization(f"Token {text}")
    read_authorization(text)


@pytest.mark.parametrize("access", Access)
def test_every_access_reads_and_does_its_own(access: Access) -> None:
    assert {needed for needed in Access if access.allows(needed)} == {Access.READ, access}


@given(st.lists(tokens, max_size=4))
def test_clients_of_v2_bear_the_same_tokens(written: list[Token]) -> None:
    word = bearer(written)
    assert set(word) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert read_bearer(word) == written
    assert read_bearer_header(f"Bearer {word}") == (written if word else None)


@pytest.mark.parametrize("value", ["Bearer {}", "bearer   {} ", " BEARER {}"])
def test_spellings_of_the_scheme(value: str) -> None:
    assert read_bearer_header(value.format(bearer([TOKEN, OTHER]))) == [TOKEN, OTHER]


@pytest.mark.parametrize("value", [None, "", "Bearer", "Basic Og==", f"Token {TOKEN}", "Bearer a b"])
def test_what_bears_no_word(value: str | None) -> None:
    assert read_bearer_header(value) is None


@pytest.mark.parametrize("word", ["x", "!!!!", "abc=", "_", "eyJhbGciOi.JIUzI1NiJ9.e30", "\xe9" * 4, "A" * 100_000])
def test_a_word_that_is_not_ours(word: str) -> None:
    assert read_bearer(word) == []


@given(st.text(max_size=200))
def test_any_word_is_read(word: str) -> None:
    read_bearer(word)
    read_bearer_header(f"Bearer {word}")


def test_v1_takes_no_bearer() -> None:
    assert read_authorization(f"Bearer {bearer([TOKEN])}") is None
