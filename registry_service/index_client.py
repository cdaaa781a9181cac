"""The client of the index: validates tokens, checks access to images, consumes delete tokens, asks about tags.

A request about a token sends that token and no other: of several in one header, the index would accept any valid one.
The client fails closed: an index that is down or slow means `Unavailable`, never access.

However many clients wait, a process has few requests under way, over connections that it keeps, and the others in the
order in which they came. A question that one worker of the index leaves unanswered is put again on another connection.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote

import urllib3

from common import headers, request_record
from common.deadline import pool_with_deadline, read_body
from common.distribution import PREFIX
from common.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.properties import read_properties, write_properties
from common.settings import listed
from common.statements import PublicKeys, read_keys
from common.tokens import Token, bearer
from registry_service.metrics import INDEX_QUESTIONS, INDEX_SECONDS
from registry_service.turns import TooLate, Turns

CONNECTIONS = 8
"""Of one process. An index answers hundreds of questions a second on each; each of its workers answers two at once."""

PATIENCE = 8
"""A request may take this many timeouts in all, the queue included: 40 s, while daemons wait for a minute."""

RETRY_SECONDS = 5
"""When a client may try again, where nothing better is known."""

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""A repository's list of 10,000 images is about 1.5 MB."""


_GATEWAY_STATUSES = (502, 503, 504)
"""With these a proxy says that it did not reach the index, or an index that it is going down."""

_NOT_REACHED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProtocolError,
)


class IndexUnreachable(Unavailable):
    """Nobody answered, as opposed to an index that failed."""

    retry_after = RETRY_SECONDS

    def __init__(self) -> None:
        super().__init__("The index cannot be reached; try again later")


class IndexBusy(Unavailable):
    """More is asked of the index here than it can answer in time."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("The index has too many questions to answer; try again later")
        self.retry_after = retry_after


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
        """`url` is scheme://host:port, or several of them separated by commas, for processes of one index; `timeout` in
        seconds, see `pool_with_deadline`."""
        self._urls = listed(url)
        self._reached = 0
        self._timeout = timeout
        self._pool = pool_with_deadline(timeout, connections=CONNECTIONS)
        self.turns = Turns(CONNECTIONS)

    def images(self, repository: RepositoryName, authorization: str, store: str | None = None) -> dict[str, Standing]:
        """Validate a token: returns the ids that its repository lists, spelled as the index stores them (protocol
        §5.3), with what the index knows of each in this store.

        Raises Unauthenticated for a token that is invalid or revoked.
        """
        status, body = self._ask("GET", f"/v1/repositories/{repository}/images", authorization, store=store)
        if status != 200:
            raise Unauthenticated("Requires authorization")
        try:
            return {entry["id"]: Standing(entry.get("held", Standing.ANNOUNCED)) for entry in body}
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            raise Unavailable("The index answered with something other than a list of images") from error

    def identify(self, tokens: Iterable[Token]) -> None:
        """Raises Unauthenticated unless one of the tokens is valid, whatever it is for: who logs in has such a one."""
        status, _ = self._ask("GET", f"{PREFIX}/", f"Bearer {bearer(tokens)}")
        if status != 200:
            raise Unauthenticated("Requires authorization")

    def may_read(
        self, repository: RepositoryName, image: ImageId, authorization: str, store: str | None = None
    ) -> bool:
        """Whether the repository, or a public one, holds the image in this store (protocol §2.7)."""
        path = f"/v1/repositories/{repository}/layer/{image}/access"
        status, body = self._ask("GET", path, authorization, store=store)
        if status == 401:
            raise Unauthenticated("Requires authorization")
        return status == 200 and isinstance(body, dict) and body.get("access") is True

    def token_keys(self, authorization: str) -> tuple[PublicKeys, float]:
        """The keys of tokens for reading, and the index's time: whoever bears a token waits for them, so this goes
        before logins, too. Raises Unavailable, also of an index that has none."""
        status, body = self._ask("GET", "/v1/token_keys", authorization)
        try:
            if status == 200:
                return read_keys(body)
        except Invalid as error:
            raise Unavailable("The index answered with something other than keys") from error
        raise Unavailable("The index tells no keys of tokens")

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
            status, _ = self._ask("GET", "/v1/_ping", "", patience=1)
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

    def _ask(
        self,
        method: str,
        path: str,
        authorization: str,
        body: bytes = b"",
        *,
        store: str | None = None,
        patience: int = PATIENCE,
    ) -> tuple[int, Any]:
        sent = {"Content-Type": "application/json", **request_record.passed_on()}
        if authorization:
            sent["Authorization"] = authorization
        if store is not None:
            sent[headers.STORE] = store
        until = time.monotonic() + patience * self._timeout
        outcome = "failed"
        try:
            with INDEX_SECONDS.timed(), request_record.waiting_for("index"):
                answer = self._answer(method, path, sent, body, until, patience)
            outcome = "answered"
        except IndexBusy:
            outcome = "busy"
            raise
        except IndexUnreachable:
            outcome = "unreachable"
            raise
        finally:
            INDEX_QUESTIONS.add(outcome)
        return answer

    def _answer(
        self, method: str, path: str, sent: Mapping[str, str], body: bytes, until: float, patience: int
    ) -> tuple[int, Any]:
        try:
            with self.turns.turn(patience * self._timeout):
                status, content = self._exchange(method, path, sent, body, until)
        except TooLate as error:
            # Our own queue is full: nothing is known of the index, so nothing is let pass because of it.
            raise IndexBusy(max(RETRY_SECONDS, math.ceil(error.seconds))) from error
        except urllib3.exceptions.HTTPError as error:
            raise IndexUnreachable from error
        if status in _GATEWAY_STATUSES:
            raise IndexUnreachable
        if status >= 500 or status == 429 or len(content) > MAX_ANSWER_BYTES:
            raise Unavailable("The index cannot answer now; try again later")
        try:
            return status, json.loads(content or b"null")
        except (ValueError, RecursionError) as error:
            raise Unavailable("The index answered with something other than JSON") from error

    def _exchange(
        self, method: str, path: str, sent: Mapping[str, str], body: bytes, until: float
    ) -> tuple[int, bytes]:
        """Send until it is answered: a question that one worker is too slow for, another one may answer."""
        while True:
            try:
                return self._ask_one(method, path, sent, body)
            except (urllib3.exceptions.ReadTimeoutError, urllib3.exceptions.ConnectTimeoutError) as error:
                if not _is_repeatable(method, error) or time.monotonic() >= until:
                    raise

    def _ask_one(self, method: str, path: str, sent: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """With the process that was reached last, or the first of the others that is."""
        order = [*range(self._reached, len(self._urls)), *range(self._reached)]
        for number in order[:-1]:
            try:
                answer = self._send_again(method, self._urls[number] + path, sent, body)
            except _NOT_REACHED:
                continue
            self._reached = number
            return answer
        answer = self._send_again(method, self._urls[order[-1]] + path, sent, body)
        self._reached = order[-1]
        return answer

    def _send_again(self, method: str, url: str, sent: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        try:
            return self._send(method, url, sent, body)
        except urllib3.exceptions.ProtocolError:
            # The index may have closed a pooled connection just as it was picked: retry once, on another.
            return self._send(method, url, sent, body)

    def _send(self, method: str, url: str, sent: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        with self._pool.request(method, url, headers=sent, body=body or None, preload_content=False) as response:
            return response.status, read_body(response, MAX_ANSWER_BYTES)


def _is_repeatable(method: str, error: urllib3.exceptions.HTTPError) -> bool:
    """Whether somebody may answer who has not, and the request changes nothing or has not been sent."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return method == "GET"
    # Its kind, too, where nobody listens.
    return not isinstance(error, urllib3.exceptions.NewConnectionError)
