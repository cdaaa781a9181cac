"""The OCI distribution protocol (`/v2/`), as far as both services speak it: its failures, its challenge, its pages.

A failure is `{"errors": [{"code": …, "message": …}]}`. The code follows from the status, except where a class below
says it. No response has `Docker-Distribution-Api-Version`: no client needs it, and daemons from 1.5 to 1.9 that see it
leave v1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from common.errors import Failure, Invalid, NotFound, Unauthenticated
from common.names import RepositoryName

PREFIX = "/v2"

TOKEN_PARAMETER = "token"
"""In the query of a redirect to a registry: clients take no Authorization along to another port."""

IMAGES = "_wharfinger/images"
"""An extension of ours: what images are by `/v2/`, by their ids of v1."""

ONLY_READ = "Images are pushed by v1 here, as Docker before 17.12 does; /v2/ is for pulling"
NOT_FOR_DAEMONS = "This daemon pushes and pulls by v1"

_CODES = {
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    429: "TOOMANYREQUESTS",
    503: "UNAVAILABLE",
    507: "UNAVAILABLE",
}
_PART = re.compile(rf"(.+)/(manifests|blobs|tags|referrers|{IMAGES})/(.*)", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")

T = TypeVar("T")


class NameUnknown(NotFound):
    pass


class ManifestUnknown(NotFound):
    """Docker 1.9 goes on by v1 after this code, and panics if there is no list of errors."""

    code = "MANIFEST_UNKNOWN"


class BlobUnknown(NotFound):
    code = "BLOB_UNKNOWN"


class NameInvalid(Invalid):
    code = "NAME_INVALID"


class DigestInvalid(Invalid):
    code = "DIGEST_INVALID"


class NumberInvalid(Invalid):
    code = "PAGINATION_NUMBER_INVALID"


class TokenRequired(Unauthenticated):
    """No token, or one that does not do; `challenge` says where to get one."""

    def __init__(self, challenge: str) -> None:
        super().__init__("Requires authorization")
        self.challenge = challenge


def is_below(path: str) -> bool:
    """Whether a path is one of this protocol."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def failure_body(message: str, status: int, failure: Failure | None = None) -> dict[str, Any]:
    code = getattr(failure, "code", None) or _CODES.get(status, "UNKNOWN")
    return {"errors": [{"code": code, "message": message}]}


def challenge(realm: str, service: str, scope: str = "", *, had_token: bool = False) -> str:
    """The value of WWW-Authenticate. `had_token`: one was shown, and the client need not try it again."""
    said = f'Bearer realm="{realm}",service="{service}"'
    if scope:
        said += f',scope="{scope}"'
    return said + ',error="insufficient_scope"' if had_token else said


def pull_scope(repository: str) -> str:
    return f"repository:{repository}:pull"


def parse_name(text: str) -> RepositoryName:
    """Raises NameInvalid."""
    try:
        return RepositoryName.parse(text)
    except Invalid as error:
        raise NameInvalid(error.message) from error


def parse_path(path: str) -> tuple[str, str, str] | None:
    """The repository, the part (`manifests`, `blobs`, `tags`, `referrers`, IMAGES) and what follows of a path below
    `/v2/`.

    A repository's name may have such a word in it: the last one counts.
    """
    match = _PART.fullmatch(path)
    return (match[1], match[2], match[3]) if match else None


def page_size(text: str | None, default: int, most: int) -> int:
    """The query parameter `n`; 0 asks for nothing. Raises NumberInvalid."""
    if not text:
        return default
    if _NUMBER.fullmatch(text) is None:
        raise NumberInvalid(f"n is not a number: {text[:20]!r}")
    return min(int(text), most)


def next_page(path: str, rows: Sequence[T], size: int) -> dict[str, str]:
    """The header that leads to the next page, if `rows`, one more than the page has, show that there is one."""
    if not 0 < size < len(rows):
        return {}
    return {"Link": f'<{path}?{urlencode({"n": size, "last": str(rows[size - 1])})}>; rel="next"'}
