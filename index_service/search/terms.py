"""Tokenization: the words of texts, and the terms of a query; the same for every database.

Databases tokenize texts by rules of their own, by their locale, and Chinese not at all. So texts are tokenized here,
and a database stores a bag of words of four kinds, distinguished by their first character:

    =bus   one, two or three consecutive characters of `namespace/name` (n-grams)
    ^busy  a name with or without its namespace, for prefix queries
    busy   a word of the description, the README or an annotation
    镜像   two consecutive characters of a text whose script has no blanks between words (bigrams)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST_WORD = 64
"""Longer words are truncated."""

MOST_WORDS = 20_000
"""The limit of different words per repository."""

VERSION = 1
"""Of bags of words: raised when the same texts give another bag, so that `migrate` writes every document again."""

_GRAMS = (1, 2, 3)
_SHORTEST_ID = 4

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_IMAGE_ID = re.compile(rf"[0-9a-f]{{{_SHORTEST_ID},64}}")


@dataclass(frozen=True, slots=True)
class Term:
    """The bag contains this word, or one with this prefix."""

    word: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All parts match."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part matches."""

    parts: tuple[Expression, ...]


Expression = Term | And | Or


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """One word of a query."""

    text: str

    @property
    def in_name(self) -> Expression:
        """A substring of the name; only likely for a word longer than an n-gram, see `is_sure`.

        Adjacent n-grams and the last one suffice: each more is a long posting list to scan.
        """
        size = min(len(self.text), _GRAMS[-1])
        starts = (*range(0, len(self.text) - size, size), len(self.text) - size)
        return And(tuple(Term(f"={gram}") for gram in sorted({self.text[start : start + size] for start in starts})))

    @property
    def is_sure(self) -> bool:
        """Whether `in_name` matches only names that contain the word."""
        return len(self.text) <= _GRAMS[-1]

    @property
    def in_text(self) -> Expression | None:
        """In the texts, where the last word may be a prefix; None if no text could contain it."""
        runs = _RUN.findall(self.text)
        parts = [part for run in runs[:-1] for part in _terms(run, last=False)]
        parts += [part for run in runs[-1:] for part in _terms(run, last=True)]
        return And(tuple(parts)) if parts else None

    @property
    def anywhere(self) -> Expression:
        in_text = self.in_text
        return self.in_name if in_text is None else Or((self.in_name, in_text))

    @property
    def is_name(self) -> Expression:
        return Term(f"^{self.text[:LONGEST_WORD]}")

    @property
    def begins_name(self) -> Expression:
        """A name begins with it."""
        return Term(f"^{self.text[:LONGEST_WORD]}", is_prefix=True)

    @property
    def may_be_image(self) -> bool:
        """Whether an image's id could begin so."""
        return _IMAGE_ID.fullmatch(self.text) is not None


def parse_query(text: str) -> list[QueryTerm]:
    """The distinct words of a query, in order; unprintable characters separate words."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return [QueryTerm(word) for word in dict.fromkeys(_normal(printable).split())]


def bag_of_words(namespace: str, name: str, texts: Iterable[str]) -> list[str]:
    """The bag of words of a repository with these texts, each word once."""
    full = f"{namespace}/{name}".lower()
    words = {f"^{start[:LONGEST_WORD]}": None for start in (full, name.lower())}
    words |= {f"={gram}": None for size in _GRAMS for gram in _grams(full, size)}
    for text in texts:
        for word in _of_text(text):
            if len(words) >= MOST_WORDS:
                return list(words)
            words[word] = None
    return list(words)


def _of_text(text: str) -> Iterator[str]:
    for run in _RUN.findall(_normal(text)):
        if _is_spaced(run):
            yield run[:LONGEST_WORD]
        else:
            yield from _grams(run, 2)
            # A query of one character matches the first of each bigram; the last character needs an entry of its own.
            yield run[-1]


def _terms(run: str, *, last: bool) -> Iterator[Expression]:
    if _is_spaced(run):
        yield Term(run[:LONGEST_WORD], is_prefix=last)
    elif len(run) == 1:
        yield Term(run, is_prefix=True)
    else:
        yield from (Term(pair) for pair in sorted(_grams(run, 2)))


def _is_spaced(run: str) -> bool:
    """Whether the run is of a script that separates words by blanks."""
    return re.match(rf"[{_UNSPACED}]", run) is None


def _grams(text: str, size: int) -> set[str]:
    return {text[start : start + size] for start in range(len(text) - size + 1)}


def _normal(text: str) -> str:
    """Normalised: compatibility forms and case folded."""
    return unicodedata.normalize("NFKC", text).casefold()
