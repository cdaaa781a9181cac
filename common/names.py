"""Image ids, tags and repository names of the protocol, valid by construction.

Parsing is lenient: it accepts every name that any client ever let through, as long as it is safe in a path of the store
and in a header. The names of what is created have to match the newest client's grammar (protocol §2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from common.errors import Invalid, NotFound

LIBRARY = "library"

_IMAGE_ID = re.compile(r"[a-f0-9]{64}|[a-f0-9]{16}")
_NAMED_ONCE = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_NOT_IN_TAGS = re.compile(r"[\x00-\x1f\x7f/\ud800-\udfff]")


class ImageId(str):
    """An image's id: 64 lower-case hex digits, or 16 as in the first public images."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Raises NotFound: a malformed id gets the same response as an unknown one (protocol §3.1)."""
        if _IMAGE_ID.fullmatch(text) is None:
            raise NotFound("Invalid image ID")
        return super().__new__(cls, text)

    def require_creatable(self) -> ImageId:
        """Raises Invalid for the short form, which only base images of 2013 have."""
        if len(self) != 64:
            raise Invalid("Invalid image ID: a new image with a parent needs 64 hex digits")
        return self


class Tag(str):
    """A tag's name."""

    __slots__ = ()

    def __new__(cls, text: str) -> Tag:
        """Raises Invalid if it is empty, longer than 255 characters, or has a slash, control character or surrogate."""
        if not 0 < len(text) <= 255 or _NOT_IN_TAGS.search(text) or text in (".", ".."):
            raise Invalid("Invalid tag name")
        return super().__new__(cls, text)

    @property
    def is_creatable(self) -> bool:
        """Whether a client since 1.3 would take the name."""
        return _TAG.fullmatch(self) is not None

    def require_creatable(self) -> Tag:
        """Raises Invalid where a client since 1.3 would refuse the name."""
        if not self.is_creatable:
            raise Invalid("Invalid tag name: use up to 128 of A-Z a-z 0-9 _ . - and begin with none of . -")
        return self


@dataclass(frozen=True, slots=True, order=True)
class RepositoryName:
    """A repository's name; `X`, `X/` and `library/X` are equal (protocol §0.3).

    `namespace` is the first component, `name` all the others with their slashes.
    """

    namespace: str
    name: str

    @staticmethod
    @lru_cache(maxsize=4096)
    def parse(text: str) -> RepositoryName:
        """Parse a name from a URL or a token. Raises Invalid."""
        first, slash, rest = text.removesuffix("/").partition("/")
        namespace, name = (first, rest) if slash else (LIBRARY, first)
        if len(name) > 255 or not all(_is_component(part) for part in (namespace, *name.split("/"))):
            raise Invalid("Invalid repository name")
        return RepositoryName(namespace, name)

    @property
    def is_creatable(self) -> bool:
        """Whether a client since 1.8 would take the name."""
        try:
            self.require_creatable()
        except Invalid:
            return False
        return True

    def require_creatable(self) -> RepositoryName:
        """Raises Invalid where a client since 1.8 would refuse the name."""
        for part in (self.namespace, *self.name.split("/")):
            if _COMPONENT.fullmatch(part) is None:
                raise Invalid(
                    f"Invalid repository name: {part!r} is not lower-case letters and digits, "
                    "joined by one of . _ - in between"
                )
        if self.is_library and len(self.name) == 64 and _IMAGE_ID.fullmatch(self.name):
            raise Invalid("Invalid repository name: it could be mistaken for an image id")
        return self.require_unambiguous()

    def require_unambiguous(self) -> RepositoryName:
        """Raises Invalid for a name whose paths belong to another repository: what follows `/tags/` is a tag."""
        if "tags" in self.name.split("/"):
            raise Invalid(
                "Invalid repository name: 'tags' cannot be a part of it, since .../tags are a repository's tags"
            )
        return self

    @property
    def is_library(self) -> bool:
        return self.namespace == LIBRARY

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def _is_component(part: str) -> bool:
    return _NAMED_ONCE.fullmatch(part) is not None and part not in (".", "..")
