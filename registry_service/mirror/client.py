"""The client of one source, which speaks to it as a daemon would: ping, index, then its registries (§1.3 to §1.5).

A source may be an index with its registries or a registry alone, ours or another's. Responses are
validated for form here and not trusted further: ids, sizes and checksums are verified where they are stored.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.response import BaseHTTPResponse

from common import headers
from common.cache import Cache
from common.checksums import Checksum
from common.deadline import read_body
from common.distribution import PREFIX, is_below
from common.errors import Invalid, NotFound, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.tokens import bearer, read_authorization
from registry_service.mirror.sources import MirrorSource
from registry_service.proxies import Connections

MAX_LIST_BYTES = 32 * 1024 * 1024
"""A repository's list of 10,000 images is about 1.5 MB."""

MAX_JSON_BYTES = 4 * 1024 * 1024
"""No image's JSON comes near this."""

BLOCK = 256 * 1024
"""At most so much of a layer is read at a time; what has come is passed on without waiting for more."""

via_mirrors: ContextVar[tuple[str, ...]] = ContextVar("via_mirrors", default=())
"""The mirrors that the current request has passed through; requests to a source on its behalf say so too."""

_CONNECT_SECONDS = 5.0
_REDIRECTS = 5
# Spelled in three ways through the years (protocol §3.6).
_CHECKSUM_HEADERS = (headers.CHECKSUM_PAYLOAD, "X-Docker-Payload-Checksum", headers.CHECKSUM)
_TOKEN_WORD = re.compile(r"\s*token\s+", re.IGNORECASE)
_RANGE_START = re.compile(r"(?:bytes\s+)?([0-9]+)-")

logger = logging.getLogger(__name__)


class SourceUnavailable(Unavailable):
    """The source is down, slow or failing: the same question may be answered later."""


class SourceRefused(SourceUnavailable):
    """The source does not take the mirror's credentials, or its token any more."""


class SourceWrong(SourceUnavailable):
    """What the source answered cannot be right, and asking again at once would bring the same."""


class NotAtSource(NotFound):
    """The source says that there is no such thing."""


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image as its source describes it: JSON verbatim, layer bytes if it says, checksums if it says any."""

    json: bytes
    size: int | None
    checksums: tuple[Checksum, ...]


@dataclass
class _Session:
    """What the index's answer leaves a daemon with; cookies are kept by host."""

    token: str
    endpoints: tuple[str, ...]
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)


class Source:
    """Requests to one source over pooled connections; share one among all greenlets of a process.

    Every request raises NotAtSource or SourceUnavailable.
    """

    def __init__(self, settings: MirrorSource, timeout: float, mirror: str, proxy: str = "") -> None:
        """`timeout`: seconds for each silence; `mirror` is our name in the header that breaks loops; `proxy` see
        `Connections`.
        """
        self._settings = settings
        self._mirror = mirror
        limits = urllib3.Timeout(connect=min(timeout, _CONNECT_SECONDS), read=timeout)
        self._pool = Connections(proxy, limits)
        self._sessions: Cache[RepositoryName, _Session] = Cache(1024)
        self._stands_alone: bool | None = None

    @property
    def url(self) -> str:
        """The source as it is set, without credentials."""
        return self._settings.url

    @property
    def host(self) -> str:
        """The source as people know it, without credentials."""
        return urlsplit(self._settings.url).netloc

    def images(self, repository: RepositoryName) -> list[dict[str, Any]]:
        """The ids a repository lists, as its index says."""
        return self._list(repository)[0]

    def tags(self, repository: RepositoryName) -> dict[str, str] | list[Any]:
        """Ids by tag, or the list of `{"layer": …, "name": …}` that some sources have instead."""
        tags = self._ask_json(repository, f"/v1/repositories/{repository}/tags", MAX_LIST_BYTES)
        if not isinstance(tags, dict | list):
            raise SourceWrong(f"{self.host} answered with something other than tags")
        return tags

    def tag_description(self, repository: RepositoryName, tag: Tag | None) -> dict[str, Any]:
        """Who pushed a tag, or `latest` for None (protocol §3.9)."""
        middle = "" if tag is None else f"/tags/{quote(tag)}"
        described = self._ask_json(repository, f"/v1/repositories/{repository}{middle}/json", MAX_JSON_BYTES)
        return described if isinstance(described, dict) else {}

    def ancestry(self, repository: RepositoryName, image: ImageId) -> list[ImageId]:
        """The image first, its base last."""
        listed = self._ask_json(repository, f"/v1/images/{image}/ancestry", MAX_LIST_BYTES)
        try:
            ancestry = [ImageId(one) for one in listed]
        except (TypeError, NotFound) as error:
            raise SourceWrong(f"{self.host} answered with something other than an ancestry") from error
        if ancestry[:1] != [image]:
            raise SourceWrong(f"{self.host} answered with the ancestry of another image")
        return ancestry

    def image_of(self, repository: RepositoryName, digest: str) -> ImageId:
        """The image that a manifest of this digest is of, as registries tell it that offer what this mirror does."""
        with self._ask(repository, f"{PREFIX}/{repository}/manifests/{digest}") as response:
            told = response.headers.get(headers.IMAGE, "")
        try:
            return ImageId(told)
        except NotFound as error:
            raise NotAtSource(f"{self.host} does not tell images by digests") from error

    def describe(self, repository: RepositoryName, image: ImageId) -> SourceImage:
        """JSON, size and checksums, whatever of them the source tells."""
        with self._ask(repository, f"/v1/images/{image}/json") as response:
            size = response.headers.get(headers.SIZE, "").strip()
            checksums = [one for name in _CHECKSUM_HEADERS for one in response.headers.getlist(name)]
            return SourceImage(
                _body(response, MAX_JSON_BYTES),
                int(size) if size.isascii() and size.isdigit() and int(size) > 0 else None,
                tuple(filter(None, map(_checksum, checksums))),
            )

    def layer(self, repository: RepositoryName, image: ImageId, offset: int, size: int | None) -> Iterator[bytes]:
        """The layer's bytes from `offset` on, as they come; an end is as the source framed it.

        `size` is that of the whole layer; without it nothing but the whole can be asked for.
        """
        # With an end, because docker-registry counts an open one wrong by one (protocol §3.7).
        asked = {"Range": f"bytes={offset}-{size - 1}"} if size is not None and offset else {}
        with self._ask(repository, f"/v1/images/{image}/layer", asked) as response, _failures(self.host):
            skipped = 0
            for block in _blocks(response):
                passed = min(len(block), self._unwanted(response, offset, size) - skipped)
                skipped += passed
                if block[passed:]:
                    yield block[passed:]

    def _unwanted(self, response: BaseHTTPResponse, offset: int, size: int | None) -> int:
        """How many bytes come before those asked for. Raises SourceWrong for other bytes, or another number of them."""
        start = offset
        if response.status == 206:
            match = _RANGE_START.match(response.headers.get("Content-Range", f"bytes {offset}-"))
            start = -1 if match is None else int(match[1])
        unwanted = offset if response.status == 200 else 0
        announced = _announced(response)
        if start != offset or (size is not None and announced not in (None, size - offset + unwanted)):
            raise SourceWrong(f"{self.host} announced a layer of another size than its image's")
        if size is None and announced is None and not response.headers.get("Transfer-Encoding"):
            raise SourceWrong(f"{self.host} does not say where a layer ends")
        return unwanted

    # sessions: what an index's answer leads to

    def _begin(self, response: BaseHTTPResponse) -> _Session:
        items = [item.strip() for line in response.headers.getlist(headers.ENDPOINTS) for item in line.split(",")]
        # Some put the scheme's word inside the token (protocol §5.1).
        tokens = [_TOKEN_WORD.sub("", token, count=1) for token in response.headers.getlist(headers.TOKEN)]
        session = _Session(",".join(tokens), tuple(map(self._endpoint, filter(None, items))) or (self._settings.url,))
        _keep_cookies(session, self._settings.url, response)
        return session

    def _endpoint(self, item: str) -> str:
        """An announced registry as a URL; it has the index's scheme, unless somebody wrote one all the same."""
        url = item if "://" in item else f"{urlsplit(self._settings.url).scheme}://{item}"
        return url.rstrip("/").removesuffix("/v1")

    def _session(self, repository: RepositoryName) -> _Session:
        return self._sessions.get(repository) or self._list(repository)[1]

    def _list(self, repository: RepositoryName) -> tuple[list[dict[str, Any]], _Session]:
        """What the source's index lists; every answer brings a token, with which a session begins (protocol §2.4)."""
        path = f"/v1/repositories/{repository}/images"
        asked = {headers.TOKEN: "true", **self._basic()}
        with self._get(self._settings.url + path, asked, _Session("", ())) as response:
            listed = _json(response, MAX_LIST_BYTES)
            if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
                raise SourceWrong(f"{self.host} answered with something other than a list of images")
            session = self._begin(response)
        self._sessions.put(repository, session)
        return listed, session

    def _ask(self, repository: RepositoryName, path: str, asked: dict[str, str] | None = None) -> BaseHTTPResponse:
        """Request from the repository's registries; retried once with a new token where the token is refused."""
        session = self._session(repository)
        try:
            return self._ask_endpoints(session, path, asked or {})
        except SourceRefused:
            if self._sessions.get(repository) is session:
                self.images(repository)
            return self._ask_endpoints(self._session(repository), path, asked or {})

    def _ask_endpoints(self, session: _Session, path: str, asked: dict[str, str]) -> BaseHTTPResponse:
        failure: NotAtSource | SourceUnavailable | None = None
        for endpoint in session.endpoints:
            try:
                credentials = self._credentials(session, endpoint, path)
                return self._get(endpoint + path, {**asked, **credentials}, session)
            except NotAtSource as error:
                failure = failure or error
            except SourceUnavailable as error:
                failure = error
        raise failure or SourceWrong(f"{self.host} named no registry")

    def _ask_json(self, repository: RepositoryName, path: str, limit: int) -> Any:
        with self._ask(repository, path) as response:
            return _json(response, limit)

    # credentials (protocol §1.4)

    def _basic(self) -> dict[str, str]:
        if not self._settings.user:
            return {}
        pair = f"{self._settings.user}:{self._settings.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def _credentials(self, session: _Session, endpoint: str, path: str) -> dict[str, str]:
        """The password goes to the source itself and to nobody it names, the token to whomever it names."""
        if endpoint == self._settings.url and self._wants_basic():
            return self._basic()
        if not session.token:
            return {}
        if is_below(path):
            return {"Authorization": f"Bearer {bearer(read_authorization(f'Token {session.token}') or ())}"}
        return {"Authorization": f"Token {session.token}"}

    def _wants_basic(self) -> bool:
        """Over TLS a registry alone is sent the password with every request."""
        if not self._settings.user or not self._settings.url.startswith("https://"):
            return False
        if self._stands_alone is None:
            self._stands_alone = self._ping()
        return self._stands_alone

    def _ping(self) -> bool:
        """Whether the source says that it stands alone, which silence says too (protocol §1.3)."""
        with self._send(f"{self._settings.url}/v1/_ping", self._basic()) as response:
            said = response.headers.get(headers.STANDALONE)
            try:
                body = _json(response, MAX_JSON_BYTES)
            except SourceWrong:
                body = None
        if said is None:
            said = str(body.get("standalone", True)) if isinstance(body, dict) else "true"
        return said.lower() in ("true", "1")

    # the wire

    def _get(self, url: str, asked: dict[str, str], session: _Session) -> BaseHTTPResponse:
        """A response of 200 or 206, its body still to be read. Raises what any other status means."""
        cookies = session.cookies.get(urlsplit(url).netloc)
        if cookies:
            asked = {**asked, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        response = self._send(url, asked)
        if response.status in (200, 206):
            _keep_cookies(session, url, response)
            return response
        response.close()
        if response.status in (401, 403):
            raise SourceRefused(f"{self.host} refused the mirror's credentials with status {response.status}")
        if 400 <= response.status < 500 and response.status not in (408, 429):
            raise NotAtSource("Not found at the mirror's source")
        raise SourceUnavailable(f"{self.host} answered with status {response.status}; try again later")

    def _send(self, url: str, asked: dict[str, str]) -> BaseHTTPResponse:
        via = ",".join((*via_mirrors.get(), self._mirror))
        sent = {"User-Agent": "wharfinger-mirror", headers.MIRROR: via, **asked}
        with _failures(self.host):
            try:
                return self._exchange(url, sent)
            except urllib3.exceptions.MaxRetryError as error:
                if not isinstance(error.reason, urllib3.exceptions.ProtocolError):
                    raise
                # The source may have closed a pooled connection just as it was picked: once more, on another.
                return self._exchange(url, sent)

    def _exchange(self, url: str, sent: dict[str, str]) -> BaseHTTPResponse:
        """Redirects are followed; where one leads to another host, Authorization and cookies are left out."""
        redirects = urllib3.Retry(total=None, connect=0, read=0, redirect=_REDIRECTS, status=0, other=0)
        return self._pool.request(
            "GET", url, headers=sent, retries=redirects, redirect=True, preload_content=False, decode_content=False
        )


@contextmanager
def _failures(host: str) -> Iterator[None]:
    """Whatever goes wrong on the wire is the source's being unavailable; it names the host and no more."""
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        logger.debug("%s: %r", host, error)
        raise SourceUnavailable(f"{host} cannot be reached, or broke off; try again later") from error


def _announced(response: BaseHTTPResponse) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _blocks(response: BaseHTTPResponse) -> Iterator[bytes]:
    if response.headers.get("Transfer-Encoding"):
        yield from response.stream(BLOCK, decode_content=False)
    else:
        while block := response.read1(BLOCK, decode_content=False):
            yield block


def _body(response: BaseHTTPResponse, limit: int) -> bytes:
    with _failures("The source"):
        body = read_body(response, limit)
    if len(body) > limit:
        raise SourceWrong(f"The source answered with more than {limit} bytes")
    return body


def _json(response: BaseHTTPResponse, limit: int) -> Any:
    try:
        return json.loads(_body(response, limit))
    except (ValueError, RecursionError) as error:
        raise SourceWrong("The source answered with something other than JSON") from error


def _checksum(text: str) -> Checksum | None:
    try:
        return Checksum(text)
    except Invalid:
        return None


def _keep_cookies(session: _Session, url: str, response: BaseHTTPResponse) -> None:
    kept = session.cookies.setdefault(urlsplit(url).netloc, {})
    for line in response.headers.getlist("Set-Cookie"):
        name, is_pair, value = line.partition(";")[0].partition("=")
        if is_pair:
            kept[name.strip()] = value.strip()
