"""The HTTP client of registries: reads images, ancestries and tags, and changes tags and repositories.

Each request carries a token that the index issued, which the registry validates like any other. Responses are bounded
and never trusted to be well formed; a registry that does not respond raises `Unavailable`, and redirects are not
followed.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import urllib3

from common import headers, request_record
from common.checksums import Checksum
from common.deadline import pool_with_deadline, read_body
from common.distribution import IMAGES, PREFIX
from common.errors import Failure, Invalid, NotFound, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.properties import read_properties
from common.tokens import Token, bearer
from index_service.metrics import REGISTRY_QUESTIONS, REGISTRY_SECONDS

MAX_JSON_BYTES = 4 * 1024 * 1024
"""A registry takes no image whose JSON is larger."""

MAX_TAGS_BYTES = 32 * 1024 * 1024
MAX_SIZE = 2**45
"""Of one layer; the sum of a repository's longest list stays below what a database counts to."""

MAX_CHECKSUMS = 5
MAX_MANIFESTS = 5

_MEDIA_TYPE = re.compile(r"[a-z0-9]+/[A-Za-z0-9.+_-]{1,100}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"[A-Za-z0-9.+~_-]{1,64}")
_STORE_ID = re.compile(r"[0-9a-f]{32}")

AGENT = "wharfinger-index"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageDescription:
    """An image at a registry: the JSON's bytes as they were pushed, its layer's size in bytes, and the checksums that
    the registry verified."""

    json: bytes
    size: int
    checksums: tuple[Checksum, ...] = ()


@dataclass(frozen=True, slots=True)
class Ancestry:
    """An image first, its base last; the repository keeps the first `apart` of them apart."""

    images: list[ImageId]
    apart: int = 0
    store: str | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """When a tag was pushed, and the version of the daemon; None and empty where nobody knows."""

    at: datetime | None
    client: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of an image, as `/v2/` names it."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Translation:
    """An image by `/v2/`: its manifests, first what clients get that take all of them, and the bytes of a pull; or the
    problem, why it has none. Neither while nobody knows."""

    manifests: tuple[Manifest, ...] = ()
    size: int | None = None
    problem: str = ""

    @property
    def digest(self) -> str | None:
        return self.manifests[0].digest if self.manifests else None


class StillTranslating(Unavailable):
    """The registry goes on, and tells the outcome later."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"The registry {endpoint} is still translating")


class RegistryFailed(Unavailable):
    """The registry is down, slow, or sends an invalid response."""

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"The registry {endpoint} {reason}, try again later")


class RegistryRefused(Unavailable):
    """The registry refuses the index's own token: it uses another index, or cannot reach this one."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"The registry {endpoint} does not believe this index's token")


class RegistryClient:
    """Sends requests over pooled connections; share one client among the threads of a process.

    `urls` maps endpoints to their URLs; the default is http://endpoint. `timeout` is in seconds, see
    `pool_with_deadline`.
    """

    def __init__(self, urls: Mapping[str, str], timeout: float) -> None:
        self._urls = dict(urls)
        self._pool = pool_with_deadline(timeout, connections=16)

    def describe(self, endpoint: str, token: Token, image: ImageId) -> ImageDescription:
        """Raises NotFound for a missing or unfinished image; RegistryFailed, RegistryRefused."""
        answer = self._ask("GET", endpoint, f"/v1/images/{image}/json", token, most=MAX_JSON_BYTES)
        return ImageDescription(answer.body, _size(answer.size), _checksums(answer.checksums))

    def ancestry(self, endpoint: str, token: Token, image: ImageId) -> Ancestry:
        """Of an image that the registry has: which one of its id a mirror will fetch is not known before.

        Raises as `describe` does.
        """
        only_held = {headers.MIRROR: headers.EVERY_MIRROR}
        answer = self._ask("GET", endpoint, f"/v1/images/{image}/ancestry", token, more=only_held)
        listed = self._decoded(endpoint, answer.body)
        if not isinstance(listed, list):
            raise RegistryFailed(endpoint, "told an ancestry that is none")
        images = [id_ for id_ in map(_image, listed) if id_ is not None]
        return Ancestry(images, _number(answer.apart), _store(answer.store))

    def translation(self, endpoint: str, token: Token, image: ImageId) -> Translation:
        """What an image is by `/v2/`. Raises StillTranslating, and as `describe` does: NotFound also where a registry
        has no `/v2/`."""
        path = f"{PREFIX}/{token.repository}/{IMAGES}/{image}"
        sent = {"Authorization": f"Bearer {bearer([token])}", "User-Agent": AGENT}
        answer = self._exchange("GET", endpoint, path, sent, b"", MAX_JSON_BYTES)
        if answer.status == 202:
            raise StillTranslating(endpoint)
        if answer.status != 200:
            raise _refusal(endpoint, answer.status)
        told = self._decoded(endpoint, answer.body)
        translation = _translation(told) if isinstance(told, dict) else None
        if translation is None:
            raise RegistryFailed(endpoint, "told manifests that are none")
        return translation

    def tags(self, endpoint: str, token: Token, repository: RepositoryName) -> dict[Tag, ImageId]:
        """All tags; invalid entries are skipped. Raises as `describe` does."""
        answer = self._ask("GET", endpoint, f"/v1/repositories/{repository}/tags", token, most=MAX_TAGS_BYTES)
        listed = self._decoded(endpoint, answer.body)
        if not isinstance(listed, dict):
            raise RegistryFailed(endpoint, "told tags that are none")
        pairs = ((_tag(name), _image(image)) for name, image in listed.items())
        return {tag: image for tag, image in pairs if tag is not None and image is not None}

    def pushed(self, endpoint: str, token: Token, repository: RepositoryName, tag: Tag) -> Pushed:
        """When a tag was pushed, and by what, as far as the store knows. Raises as `describe` does."""
        answer = self._ask("GET", endpoint, f"{_tag_path(repository, tag)}/json", token)
        told = self._decoded(endpoint, answer.body)
        return _pushed(told) if isinstance(told, dict) else Pushed(None, "")

    def is_private(self, endpoint: str, token: Token, repository: RepositoryName) -> bool:
        """Whether the registry's store marks a repository as private. Raises as `describe` does."""
        answer = self._ask("GET", endpoint, f"/v1/repositories/{repository}/properties", token)
        try:
            return read_properties(self._decoded(endpoint, answer.body))
        except Invalid as error:
            raise RegistryFailed(endpoint, "told properties that are none") from error

    def set_tag(
        self, endpoint: str, tokens: Sequence[Token], repository: RepositoryName, tag: Tag, image: ImageId
    ) -> None:
        """The first token writes; one of them is of a repository that holds the image. Raises as `describe` does."""
        self._ask("PUT", endpoint, _tag_path(repository, tag), *tokens, body=json.dumps(image).encode())

    def delete_tag(self, endpoint: str, token: Token, repository: RepositoryName, tag: Tag) -> None:
        """Raises as `describe` does."""
        self._ask("DELETE", endpoint, _tag_path(repository, tag), token)

    def delete_repository(self, endpoint: str, token: Token, repository: RepositoryName) -> None:
        """The repository and all its tags; images stay. Raises as `describe` does."""
        self._ask("DELETE", endpoint, f"/v1/repositories/{repository}/", token)

    def is_alive(self, endpoint: str) -> bool:
        """Whether a registry responds at the endpoint."""
        try:
            return self._exchange("GET", endpoint, "/v1/_ping", {}, b"", MAX_JSON_BYTES).status == 200
        except RegistryFailed:
            return False

    def _ask(
        self,
        method: str,
        endpoint: str,
        path: str,
        *tokens: Token,
        body: bytes = b"",
        most: int = MAX_JSON_BYTES,
        more: Mapping[str, str] | None = None,
    ) -> _Reply:
        authorization = f"Token {','.join(map(str, tokens))}"
        sent = {"Authorization": authorization, "User-Agent": AGENT, "Content-Type": "application/json", **(more or {})}
        answer = self._exchange(method, endpoint, path, sent, body, most)
        if answer.status != 200:
            raise _refusal(endpoint, answer.status)
        return answer

    def _exchange(
        self, method: str, endpoint: str, path: str, sent: Mapping[str, str], body: bytes, most: int
    ) -> _Reply:
        url = self._urls.get(endpoint, f"http://{endpoint}") + path
        outcome = "failed"
        try:
            with REGISTRY_SECONDS.timed(), request_record.waiting_for("registry"):
                answer = self._send_well(method, url, sent, body, most)
            outcome = "answered" if answer.status < 400 else "refused" if answer.status < 500 else "failed"
        except urllib3.exceptions.HTTPError as error:
            logger.info("registry %s: %s", endpoint, error)
            raise RegistryFailed(endpoint, "cannot be reached") from error
        finally:
            REGISTRY_QUESTIONS.add(outcome)
        if len(answer.body) > most:
            raise RegistryFailed(endpoint, "says more than can be true")
        return answer

    def _send_well(self, method: str, url: str, sent: Mapping[str, str], body: bytes, most: int) -> _Reply:
        try:
            return self._send(method, url, sent, body, most)
        except urllib3.exceptions.ProtocolError:
            if method == "DELETE":
                raise
            # The registry may have closed a pooled connection just as it was picked: retry once, on another.
            return self._send(method, url, sent, body, most)

    def _send(self, method: str, url: str, sent: Mapping[str, str], body: bytes, most: int) -> _Reply:
        with self._pool.request(
            method,
            url,
            headers={**sent, **request_record.passed_on()},
            body=body or None,
            redirect=False,
            preload_content=False,
        ) as response:
            told = response.headers
            return _Reply(
                status=response.status,
                body=read_body(response, most),
                size=told.get(headers.SIZE),
                apart=told.get(headers.APART),
                store=told.get(headers.STORE),
                checksums=told.getlist(headers.CHECKSUM_PAYLOAD),
            )

    def _decoded(self, endpoint: str, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RegistryFailed(endpoint, "answers with something other than JSON") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    body: bytes
    size: str | None
    apart: str | None
    store: str | None
    checksums: list[str]


def _refusal(endpoint: str, status: int) -> Failure:
    if status == 404:
        return NotFound("The registry does not have it")
    if status in (401, 403):
        return RegistryRefused(endpoint)
    if status == 400:
        # docker-registry's status for an unfinished image (protocol §3.1).
        return NotFound("The registry does not have it yet")
    return RegistryFailed(endpoint, f"answers with {status}")


def _tag_path(repository: RepositoryName, tag: Tag) -> str:
    return f"/v1/repositories/{repository}/tags/{quote(tag, safe='')}"


def _size(text: str | None) -> int:
    """The size is unknown if it is negative, which Docker accepts, or missing, as from old registries."""
    return min(_number(text), MAX_SIZE)


def _number(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 19:
        return 0
    return int(text)


def _store(text: str | None) -> str | None:
    return text if text is not None and _STORE_ID.fullmatch(text) else None


def _checksums(texts: list[str]) -> tuple[Checksum, ...]:
    found = []
    for text in texts[:MAX_CHECKSUMS]:
        with suppress(Invalid):
            found.append(Checksum(text))
    return tuple(found)


def _translation(told: dict[str, Any]) -> Translation | None:
    """None for what makes no sense."""
    problem, size, listed = told.get("problem"), _bytes(told.get("size")), told.get("manifests")
    if isinstance(problem, str) and problem:
        return Translation(problem=problem)
    if not isinstance(listed, list) or size is None:
        return None
    manifests = tuple(map(_manifest, listed[:MAX_MANIFESTS]))
    known = tuple(each for each in manifests if each is not None)
    return Translation(known, size) if known and len(known) == len(manifests) else None


def _manifest(told: Any) -> Manifest | None:
    if not isinstance(told, dict):
        return None
    media_type, digest, size = told.get("mediaType"), told.get("digest"), _bytes(told.get("size"))
    if size is None or not (isinstance(media_type, str) and _MEDIA_TYPE.fullmatch(media_type)):
        return None
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        return None
    return Manifest(media_type, digest, size)


def _bytes(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MAX_SIZE else None


def _pushed(told: dict[str, Any]) -> Pushed:
    version, at = told.get("docker_version"), told.get("last_update")
    client = f"docker/{version}" if isinstance(version, str) and _VERSION.fullmatch(version) else ""
    if not isinstance(at, int) or not 0 < at < time.time():
        return Pushed(None, client)
    return Pushed(datetime.fromtimestamp(at, UTC), client)


def _image(value: Any) -> ImageId | None:
    try:
        return ImageId(value) if isinstance(value, str) else None
    except NotFound:
        return None


def _tag(value: Any) -> Tag | None:
    """Also a tag that could not be created today: its owners want to see it in an old store, and may delete it."""
    try:
        return Tag(value) if isinstance(value, str) and value.isprintable() else None
    except Invalid:
        return None
