"""The client of the index: validates tokens, checks access to images, consumes delete tokens, asks about tags.

A request about a token sends that token and no other: of several in one header, the index would accept any valid one.
The client fails closed: an index that is down or slow means `Unavailable`, never access.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any
from urllib.parse import quote

import urllib3

from common.deadline import pool_with_deadline, read_body
from common.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.properties import read_properties, write_properties

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""A repository's list of 10,000 images is about 1.5 MB."""


_GATEWAY_STATUSES = (502, 503, 504)
"""With these a proxy says that it did not reach the index, or an index that it is going down."""


class IndexUnreachable(Unavailable):
    """Nobody answered, as opposed to an index that failed."""


class Standing(Enum):
    """What an index says of an image that a repository lists."""

    SHARED = "shared"
    """The repository holds the shared image."""
    APART = "apart"
    """It holds one of its own, kept apart."""
    LENT = "lent"
    """An official public repository holds the shared image."""
    ANNOUNCED = "announced"
    """None of these is known: a push announced it, or the index has not asked its registry yet."""


class IndexClient:
    """Requests to one index over pooled connections; share one among all greenlets of a process."""

    def __init__(self, url: str, timeout: float) -> None:
        """`url` is scheme://host:port; `timeout` in seconds, see `pool_with_deadline`."""
        self._url = url
        self._pool = pool_with_deadline(timeout, connections=64)

    def images(self, repository: RepositoryName, authorization: str) -> dict[str, Standing]:
        """Validate a token: returns the ids that its repository lists, spelled as the index stores them (protocol
        §5.3), with what the index knows of each.

        Raises Unauthenticated for a token that is invalid or revoked.
        """
        status, body = self._ask("GET", f"/v1/repositories/{repository}/images", authorization)
        if status != 200:
            raise Unauthenticated("Requires authorization")
        try:
            return {entry["id"]: Standing(entry.get("held", Standing.ANNOUNCED)) for entry in body}
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            raise Unavailable("The index answered with something other than a list of images") from error

    def may_read(self, repository: RepositoryName, image: ImageId, authorization: str) -> bool:
        """Whether the repository, or a public one, holds the image (protocol §2.7)."""
        status, body = self._ask("GET", f"/v1/repositories/{repository}/layer/{image}/access", authorization)
        if status == 401:
            raise Unauthenticated("Requires authorization")
        return status == 200 and isinstance(body, dict) and body.get("access") is True

    def consume_delete(self, repository: RepositoryName, authorization: str) -> None:
        """Consume a delete token: the index deletes the repository (protocol §2.5, §2.8)."""
        status, _ = self._ask("PUT", f"/v1/repositories/{repository}/auth", authorization)
        if status != 200:
            raise Unauthenticated("Requires authorization")

    def set_tag(self, repository: RepositoryName, tag: Tag, image: ImageId, authorization: str) -> None:
        """Ask the index to set a tag. Raises Unauthenticated, Forbidden or Invalid where it refuses."""
        self._change_tag("PUT", repository, tag, authorization, json.dumps(image).encode())

    def delete_tag(self, repository: RepositoryName, tag: Tag, authorization: str) -> None:
        """Ask the index to delete a tag. Raises as `set_tag` does."""
        self._change_tag("DELETE", repository, tag, authorization, b"")

    def is_private(self, repository: RepositoryName, authorization: str) -> bool | None:
        """The visibility of a repository; None if the index does not know it."""
        status, body = self._ask("GET", f"/v1/repositories/{repository}/properties", authorization)
        if status == 404:
            return None
        if status != 200:
            raise Unauthenticated("Requires authorization")
        try:
            return read_properties(body)
        except Invalid as error:
            raise Unavailable("The index answered with something other than properties") from error

    def set_private(self, repository: RepositoryName, private: bool, authorization: str) -> None:
        """Change the visibility. Raises Unauthenticated, or Forbidden for who does not administer the repository."""
        body = json.dumps(write_properties(is_private=private)).encode()
        status, _ = self._ask("PUT", f"/v1/repositories/{repository}/properties", authorization, body)
        if status == 403:
            raise Forbidden("Only administrators of a repository change who may read it")
        if status != 200:
            raise Unauthenticated("Requires authorization")

    def is_alive(self) -> bool:
        try:
            status, _ = self._ask("GET", "/v1/_ping", "")
        except Unavailable:
            return False
        return status == 200

    def _change_tag(self, method: str, repository: RepositoryName, tag: Tag, authorization: str, body: bytes) -> None:
        status, answer = self._ask(method, f"/v1/repositories/{repository}/tags/{quote(tag)}", authorization, body)
        if status in (401, 404):
            raise Unauthenticated("Requires authorization")
        if status == 403:
            raise Forbidden("The index does not permit this change of a tag")
        if status >= 400:
            raise Invalid(f"The index refused the tag with status {status}: {answer}")

    def _ask(self, method: str, path: str, authorization: str, body: bytes = b"") -> tuple[int, Any]:
        try:
            status, content = self._exchange(method, path, authorization, body)
        except urllib3.exceptions.HTTPError as error:
            raise IndexUnreachable("The index cannot be reached; try again later") from error
        if status in _GATEWAY_STATUSES:
            raise IndexUnreachable("The index cannot be reached; try again later")
        if status >= 500 or status == 429 or len(content) > MAX_ANSWER_BYTES:
            raise Unavailable("The index cannot answer now; try again later")
        try:
            return status, json.loads(content or b"null")
        except (ValueError, RecursionError) as error:
            raise Unavailable("The index answered with something other than JSON") from error

    def _exchange(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        try:
            return self._send(method, path, authorization, body)
        except urllib3.exceptions.ProtocolError:
            # The index may have closed a pooled connection just as it was picked: retry once, on another.
            return self._send(method, path, authorization, body)

    def _send(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        with self._pool.request(
            method, self._url + path, headers=headers, body=body or None, preload_content=False
        ) as response:
            return response.status, read_body(response, MAX_ANSWER_BYTES)
