"""Statements of tokens: one way to write each, and nothing believed that the key has not signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import Invalid
from common.names import RepositoryName
from common.statements import NotStated, PublicKeys, Statement, StatementKey, read_keys, write_keys
from common.tokens import Access, Token, read_authorization

KEY, OTHER = StatementKey("k" * 32), StatementKey("o" * 32)
APP = RepositoryName("acme", "app/of-units")
STATED = Statement(
    repository=APP,
    issued_at=1_700_000_000_123_456,
    expires_at=1_700_021_600_000_000,
    repository_id=7,
    is_anonymous=False,
    is_public=True,
    listing=b"l" * 16,
    nonce=b"n" * 8,
)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def refused(token: Token, *keys: StatementKey) -> bool:
    try:
        PublicKeys(*(key.public for key in keys or (KEY,))).read(token)
    except NotStated:
        return True
    return False


def test_what_is_stated_is_read_with_the_public_key_alone_whatever_others_are_known() -> None:
    token = KEY.sign(STATED)
    assert PublicKeys(OTHER.public, KEY.public).read(token) == STATED
    assert read_authorization(f"Token {token}") == [token]
    assert refused(token, OTHER)


def test_no_other_text_is_taken_for_a_statement() -> None:
    """A second way to write one would be another token to whoever knows tokens by their digests."""
    token = KEY.sign(STATED)
    text = token.signature
    for place in range(len(text)):
        for other in {ALPHABET[(ALPHABET.find(text[place]) + step) % 64] for step in (1, 2, 16, 32)} - {text[place]}:
            assert refused(replace(token, signature=text[:place] + other + text[place + 1 :]))
    body, _, tail = text.rpartition(".")
    for other in (
        text + "=",
        text + "A",
        text[:-1],
        body,
        f"{tail}.{body}",
        f"{body}=.{tail}",
        text + "\n",
        "r1.",
        "x",
    ):
        assert refused(replace(token, signature=other))


@pytest.mark.parametrize("changed", [{"repository": RepositoryName("acme", "app")}, {"access": Access.WRITE}])
def test_the_words_of_a_token_have_to_be_those_of_its_statement(changed: dict[str, object]) -> None:
    assert refused(replace(KEY.sign(STATED), **changed))  # type: ignore[arg-type]


def test_keys_are_told_and_read() -> None:
    keys, now = read_keys(write_keys([OTHER.public, KEY.public], 12.5))
    assert (keys.read(KEY.sign(STATED)), now) == (STATED, 12.5)


@pytest.mark.parametrize(
    "told",
    [None, [], {}, {"keys": []}, *({"keys": keys, "now": 1} for keys in (["xy"], ["00"], [7]))],
)
def test_what_is_no_keys_is_refused(told: object) -> None:
    with pytest.raises(Invalid):
        read_keys(told)
