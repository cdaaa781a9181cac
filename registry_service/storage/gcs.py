"""Keeps contents as objects of one bucket of Google Cloud Storage, by its JSON API.

The vendor's library brings credentials, signatures, and the judgement of what is worth trying again. Requests are
sent from here, for what its files do not do: its reader asks anew for every chunk, so that a content replaced
meanwhile breaks it; its writer gives up when the store kept only part of a chunk, and cancels at the wrong URL.

Exclusive is exclusive here: `create` asks for generation 0. Deleting names the generation it has seen, so that a
delete tried again never takes what somebody else has put there since.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import google.auth
import google_crc32c
import requests
import urllib3
from google.api_core import exceptions as answers
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials, Signing
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud.storage import Client
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from common.cache import Cache
from common.settings import SettingsError, load, seconds, setting, url, whole_number
from registry_service.storage.driver import (
    BLOCK,
    Driver,
    PathNotFound,
    Reader,
    Stat,
    StorageFailure,
    StorageProblem,
    Writer,
)
from registry_service.storage.resuming import EmptyReader, RawBody, ResumingReader
from registry_service.storage.retrying import BROKEN, TRANSIENT_STATUSES, Refused, RetryPolicy

CHUNK = 8 * 1024**2
"""Bytes of a stream sent at a time, and kept in memory until the store has them; a multiple of 256 KiB."""

ANONYMOUS = "anonymous"

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)

_CONNECT_SECONDS = 10.0

_DELETERS = 8

_CONNECTIONS = 256

_URLS = 10_000
_URL_KEPT_SECONDS = 300.0

_LONGEST_ROOT = 120
"""Names have at most 1,024 bytes, paths at most 900."""

_INCOMPLETE = 308

T = TypeVar("T")


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", text):
        raise ValueError(f"{text!r} is not the name of a bucket")
    return text


def _hex(digest: str | None) -> str | None:
    """A digest as the API shows it, in base64; objects made of several have none."""
    return base64.b64decode(digest).hex() if digest else None


def _some_seconds(text: str) -> float:
    value = seconds(text)
    if value == 0:
        raise ValueError("must be more than 0 seconds")
    return value


def _signed_seconds(text: str) -> int:
    value = int(seconds(text))
    if not 0 < value <= 7 * 24 * 3600:
        raise ValueError(f"{text!r} is not from 1 to 604800 seconds, which is what signatures last")
    return value


@dataclass(frozen=True, slots=True)
class GcsSettings:
    """Where the bucket is and who asks."""

    bucket: str = setting(_bucket, "The bucket that keeps everything.")
    credentials: str = setting(
        str,
        "A service account's key file (JSON); anonymous for none; empty for the default credentials: "
        "GOOGLE_APPLICATION_CREDENTIALS, gcloud's, or the machine's own.",
        "",
    )
    project: str = setting(str, "The project that is billed, where the bucket lets requesters pay.", "")
    endpoint: str = setting(url, "Where the API is, as https://host, if it is not Google's public one.", "")
    timeout: float = setting(_some_seconds, "Seconds the store may take to answer, and between bytes.", 60.0)
    attempts: int = setting(whole_number(1), "How often a request is made before it fails.", 4)
    url_seconds: int = setting(_signed_seconds, "How long a signed URL is good.", 1200)


def from_environ(storage_path: str, environ: Mapping[str, str]) -> Gcs:
    """The bucket named in the settings, tried out. Raises SettingsError."""
    return Gcs(load(GcsSettings, "gcs", environ), storage_path)


class Gcs(Driver):
    """Objects named `root/path`."""

    name = "gcs"
    is_blocking = False

    def __init__(self, settings: GcsSettings, root: str) -> None:
        """Ask for one name, which everything else needs too. Raises SettingsError saying what to mend."""
        self._root = root.strip("/")
        if len(self._root.encode()) > _LONGEST_ROOT:
            raise SettingsError(f"storage path {self._root!r} is longer than {_LONGEST_ROOT} bytes")
        self._api = _Api(settings)
        _try_out(self._api, settings)

    def get(self, path: str) -> bytes:
        with self.open_reader(path) as reader:
            return b"".join(reader)

    def put(self, path: str, content: bytes) -> None:
        with _told(path):
            self._api.insert(self._at(path), content)

    def create(self, path: str, content: bytes) -> bool:
        with _told(path):
            return self._api.create(self._at(path), content)

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        if length == 0:
            self.stat(path)
            return EmptyReader()
        return _GcsReader(self._api, path, self._at(path), offset, length)

    def open_writer(self, path: str) -> Writer:
        return _GcsWriter(self._api, path, self._at(path))

    def stat(self, path: str) -> Stat:
        with _told(path):
            found = self._api.describe(self._at(path), "size,updated")
        return Stat(int(found["size"]), datetime.fromisoformat(found["updated"]).timestamp())

    def exists(self, path: str) -> bool:
        with _told(path):
            try:
                self._api.describe(self._at(path), "name")
            except answers.NotFound:
                return any("items" in page for page in self._pages(path, {"maxResults": "1"}))
        return True

    def list(self, path: str) -> Iterator[str]:
        return (name for name, _ in self.entries(path))

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        entries = self._entries(path)
        first = next(entries, None)
        if first is None:
            raise PathNotFound(path)
        return itertools.chain([first], entries)

    def delete(self, path: str) -> None:
        with _told(path):
            try:
                found = self._api.describe(self._at(path), "name,generation")
            except answers.NotFound:
                found = None
            if found is not None:
                self._api.delete(found)
            elif not self._delete_below(path):
                raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        """Copied inside the store, in as many requests as it wants for a large content, then deleted."""
        with _told(source):
            found = self._api.describe(self._at(source), "name,generation")
            self._api.rewrite(found, self._at(target))
            self._api.delete(found)

    def url_for(self, path: str) -> str | None:
        with _told(path):
            return self._api.sign(self._at(path))

    def local_path(self, path: str) -> Path | None:
        return None

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if self._root else path

    def _below(self, path: str) -> str:
        return self._at(path) + "/"

    def _entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        prefix = self._below(path)
        for page in self._pages(path, {"delimiter": "/", "fields": "items(name,md5Hash),prefixes,nextPageToken"}):
            found = [(item["name"], _hex(item.get("md5Hash"))) for item in page.get("items", ())]
            found += [(folder, None) for folder in page.get("prefixes", ())]
            for full, digest in found:
                # Consoles mark a folder by an object whose name is the prefix itself.
                if name := full.removeprefix(prefix).rstrip("/"):
                    yield name, digest

    def _delete_below(self, path: str) -> bool:
        """Whether there was anything."""
        deleted = False
        with ThreadPoolExecutor(_DELETERS, "gcs-delete") as pool:
            for page in self._pages(path, {"fields": "items(name,generation),nextPageToken"}):
                for _ in pool.map(self._api.delete, page.get("items", ())):
                    deleted = True
        return deleted

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Pages of what is below a path."""
        query = {**query, "prefix": self._below(path)}
        while True:
            with _told(path):
                page = self._api.page(query)
            yield page
            if "nextPageToken" not in page:
                return
            query["pageToken"] = page["nextPageToken"]


class _Api:
    """Requests about the objects of one bucket; each is tried again within bounds where that changes nothing.

    Failures are the library's: `google.api_core.exceptions` for an answer, those of `requests` and
    `google.auth` for none.
    """

    def __init__(self, settings: GcsSettings) -> None:
        credentials = _credentials(settings.credentials)
        self.endpoint = settings.endpoint or f"https://storage.{credentials.universe_domain}"
        self._session: requests.Session = AuthorizedSession(
            credentials, refresh_timeout=settings.timeout, auth_request=_tokens_only if settings.endpoint else None
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
        self._timeout = settings.timeout
        self.retry = RetryPolicy(settings.attempts)
        self._paid_by = {"userProject": settings.project} if settings.project else {}
        self._objects = f"b/{settings.bucket}/o"
        options = ClientOptions(api_endpoint=self.endpoint, universe_domain=credentials.universe_domain)
        client = Client(settings.project or None, credentials, self._session, client_options=options)
        self._signer = client.bucket(settings.bucket) if isinstance(credentials, Signing) else None
        self._url_lifetime = timedelta(seconds=settings.url_seconds)
        self._urls: Cache[str, str] = Cache(_URLS, min(settings.url_seconds / 4, _URL_KEPT_SECONDS))

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of names."""
        listed: dict[str, Any] = self.ask("GET", self._url(), query).json()
        return listed

    def describe(self, name: str, fields: str) -> dict[str, Any]:
        described: dict[str, Any] = self.ask("GET", self._url(name), {"fields": fields}).json()
        return described

    def _token_of(self, name: str) -> str | None:
        """The idempotency token `create` left on an object; None also where there is no object."""
        with suppress(answers.NotFound):
            token: str | None = self.describe(name, "metadata").get("metadata", {}).get("mark")
            return token
        return None

    def media(self, name: str, start: int, length: int | None, generation: str | None = None) -> requests.Response:
        """The open answer with the bytes of an object from `start` on."""
        headers = {"Accept-Encoding": "identity"}
        if start or length is not None:
            headers["Range"] = f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
        query = {"alt": "media", **({"generation": generation} if generation else {})}
        response = self.ask(
            "GET", self._url(name, "download/"), query, headers=headers, stream=True, expected=(200, 206)
        )
        if "Range" in headers and response.status_code != 206:
            response.close()
            raise answers.FailedPrecondition("Ranges are not served: is it stored with a Content-Encoding?")
        return response

    def insert(self, name: str, content: bytes) -> None:
        """Store a whole content in one request."""
        self.retried(lambda: self._insert(name, content))

    def create(self, name: str, content: bytes) -> bool:
        """As `insert`, unless something is there."""
        token = uuid.uuid4().hex

        def attempt(number: int) -> bool:
            try:
                self._insert(name, content, token)
            except answers.PreconditionFailed:
                # An earlier attempt's answer may have been lost: what is there then bears our token.
                return number > 1 and self._token_of(name) == token
            return True

        return self.retry.call(attempt, _is_transient)

    def _insert(self, name: str, content: bytes, token: str | None = None) -> None:
        """With an idempotency token, only where there is nothing. Raises PreconditionFailed."""
        document: dict[str, Any] = {"name": name, "contentType": "application/octet-stream", "crc32c": _crc32c(content)}
        if token is not None:
            document["metadata"] = {"mark": token}
        boundary = uuid.uuid4().hex
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(document)}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        only_new = {} if token is None else {"ifGenerationMatch": "0"}
        self.once(
            "POST",
            self._url(service="upload/"),
            (200,),
            params={"uploadType": "multipart", **only_new, **self._paid_by},
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            data=b"".join([head.encode(), content, f"\r\n--{boundary}--".encode()]),
        )

    def start_upload(self, name: str) -> str:
        """The URL of a new resumable session. Whoever has it may write; the store forgets it after a week."""
        document = {"name": name, "contentType": "application/octet-stream"}
        query = {"uploadType": "resumable"}
        return self.ask("POST", self._url(service="upload/"), query, json=document).headers["Location"]

    def rewrite(self, found: Mapping[str, Any], target: str) -> None:
        """Copy an object that `describe` has found."""
        url = f"{self._url(found['name'])}/rewriteTo/{self._objects}/{quote(target, safe='')}"
        query = {"ifSourceGenerationMatch": found["generation"], "fields": "done,rewriteToken"}
        while not (answer := self.ask("POST", url, query, data=b"").json())["done"]:
            query["rewriteToken"] = answer["rewriteToken"]

    def delete(self, found: Mapping[str, Any]) -> None:
        """Delete an object that `describe` or `page` has found; one gone or replaced since is left as it is."""
        with suppress(answers.NotFound, answers.PreconditionFailed):
            query = {"ifGenerationMatch": found["generation"]}
            self.ask("DELETE", self._url(found["name"]), query, expected=(204,))

    def sign(self, name: str) -> str | None:
        """A V4 signed URL; None where the credentials hold nothing to sign with."""
        if self._signer is None:
            return None
        url = self._urls.get(name)
        if url is None:
            # A millisecond of arithmetic, and at some credentials a request: a popular layer keeps its URL a while.
            url = self._signer.blob(name).generate_signed_url(
                version="v4", expiration=self._url_lifetime, api_access_endpoint=self.endpoint
            )
            self._urls.put(name, url)
        return url

    def ask(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        *,
        expected: tuple[int, ...] = (200,),
        **request: Any,
    ) -> requests.Response:
        """One request, retried where that may help."""
        params = {**(query or {}), **self._paid_by}
        return self.retried(lambda: self.once(method, url, expected, params=params, **request))

    def retried(self, act: Callable[[], T]) -> T:
        """Do something, and retry it where it failed in a way that is transient."""
        return self.retry.call(lambda _: act(), _is_transient)

    def once(self, method: str, url: str, expected: tuple[int, ...], **request: Any) -> requests.Response:
        # While a body is being sent, it is the connecting time-out that counts.
        connect = self._timeout if "data" in request else min(self._timeout, _CONNECT_SECONDS)
        response = self._session.request(
            method, url, timeout=(connect, self._timeout), allow_redirects=False, **request
        )
        if response.status_code not in expected:
            raise answers.from_http_response(response)
        return response

    def _url(self, name: str | None = None, service: str = "") -> str:
        url = f"{self.endpoint}/{service}storage/v1/{self._objects}"
        return url if name is None else f"{url}/{quote(name, safe='')}"


class _GcsReader(ResumingReader):
    """Pinned to one generation of the object."""

    def __init__(self, api: _Api, path: str, name: str, offset: int, length: int | None) -> None:
        self._api = api
        self._name = name
        self._generation: str | None = None
        self._is_pinned = False
        super().__init__(path, api.retry, offset, length)

    def _open(self, position: int, left: int | None) -> tuple[RawBody, int]:
        if self._is_pinned and self._generation is None:
            raise StorageFailure(self._path, "the store hung up, and does not say which generation it was reading")
        with _told(self._path):
            try:
                response = self._api.media(self._name, position, left, self._generation)
            except answers.RequestRangeNotSatisfiable as error:
                raise Refused(self._path, 416) from error
        self._generation, self._is_pinned = response.headers.get("X-Goog-Generation"), True
        return RawBody(response), _length(response)


class _GcsWriter(Writer):
    """Up to a chunk goes in one request; more through a resumable session, a chunk at a time."""

    def __init__(self, api: _Api, path: str, name: str) -> None:
        self._api = api
        self._path = path
        self._name = name
        self._pending = _Pending()
        self._checksum = google_crc32c.Checksum()
        self._upload: _Upload | None = None

    def write(self, block: bytes) -> None:
        self._checksum.update(block)
        self._pending.add(block)
        # The last chunk must not be empty, so a full one waits for a byte after it.
        while len(self._pending) > CHUNK:
            with _told(self._path):
                if self._upload is None:
                    self._upload = _Upload(self._api, self._api.start_upload(self._name))
                self._upload.send(self._pending.cut(CHUNK))

    def commit(self) -> None:
        with _told(self._path):
            if self._upload is None:
                self._api.insert(self._name, b"".join(self._pending))
            else:
                self._upload.send(self._pending, _in_base64(self._checksum.digest()))
                self._upload = None

    def cancel(self) -> None:
        upload, self._upload = self._upload, None
        self._pending = _Pending()
        if upload is not None:
            upload.cancel()


class _Upload:
    """One resumable session. What the store says it has kept decides what is sent next."""

    def __init__(self, api: _Api, url: str) -> None:
        self._api = api
        self._url = url
        self._kept = 0
        self._is_sure = True

    def send(self, chunk: _Pending, checksum: str | None = None) -> None:
        """Send the next bytes, which is the end where there is a checksum (CRC32C of all, in base64)."""
        end = self._kept + len(chunk)
        total = "*" if checksum is None else str(end)
        headers = {} if checksum is None else {"X-Goog-Hash": f"crc32c={checksum}"}
        while self._kept < end:
            self._api.retried(lambda: self._advance(chunk, end, total, headers))

    def cancel(self) -> None:
        """Let the store drop what it has; where that fails, it does so by itself after a week."""
        with suppress(GoogleAuthError, answers.GoogleAPICallError, *BROKEN):
            self._api.once("DELETE", self._url, (204, 499), data=b"")

    def _advance(self, chunk: _Pending, end: int, total: str, headers: Mapping[str, str]) -> None:
        """Send what is left of a chunk; after a failure ask first how much of it has arrived."""
        if not self._is_sure:
            self._put(chunk, end, f"*/{total}", headers, b"")
        if self._kept < end:
            before, self._is_sure = self._kept, False
            self._put(chunk, end, f"{before}-{end - 1}/{total}", headers, chunk)
            if self._kept == before:
                raise answers.ServiceUnavailable("The store kept nothing of a chunk")

    def _put(self, chunk: _Pending, end: int, what: str, headers: Mapping[str, str], data: bytes | _Pending) -> None:
        """Drop what the store then has from the chunk."""
        headers = {**headers, "Content-Range": f"bytes {what}"}
        response = self._api.once("PUT", self._url, (200, 201, _INCOMPLETE), headers=headers, data=data)
        kept = _kept(response) if response.status_code == _INCOMPLETE else end
        if not self._kept <= kept <= end:
            raise answers.DataLoss("The store has lost part of an upload")
        if kept == end and response.status_code == _INCOMPLETE and not what.endswith("*"):
            raise answers.ServiceUnavailable("The store has everything and does not finish")
        chunk.drop(kept - self._kept)
        self._kept, self._is_sure = kept, True


class _Pending:
    """Bytes yet to be sent, in pieces as they came; a body that can be sent again from any byte on."""

    def __init__(self, pieces: list[memoryview] | None = None) -> None:
        self._pieces = pieces or []
        self._size = sum(map(len, self._pieces))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self._pieces)

    def add(self, block: bytes) -> None:
        view = memoryview(block)
        # A piece is sent at once, within the time-out.
        self._pieces += [view[at : at + BLOCK] for at in range(0, len(view), BLOCK)]
        self._size += len(view)

    def cut(self, size: int) -> _Pending:
        """Take so many bytes off the front."""
        taken = []
        for piece in self:
            if size == 0:
                break
            taken.append(piece[:size])
            size -= len(taken[-1])
        front = _Pending(taken)
        self.drop(len(front))
        return front

    def drop(self, size: int) -> None:
        """Forget so many bytes of the front."""
        self._size -= size
        while size:
            piece = self._pieces.pop(0)
            if len(piece) > size:
                self._pieces.insert(0, piece[size:])
            size -= min(size, len(piece))


def _tokens_only(url: str, *arguments: Any, **named: Any) -> Any:
    """Requests of the credentials, for a store that is not Google's public one.

    By itself the library sends every token it gets to a service of Google's besides, to ask where it may be used.
    """
    if url.endswith("/allowedLocations"):
        raise TransportError("not asked")
    return Request()(url, *arguments, **named)


def _credentials(given: str) -> Any:
    """Raises SettingsError."""
    if given == ANONYMOUS:
        return AnonymousCredentials()
    try:
        if given:
            return service_account.Credentials.from_service_account_file(given, scopes=_SCOPES)
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except OSError as error:
        raise SettingsError(f"WHARFINGER_GCS_CREDENTIALS: cannot read {given} ({error.strerror})") from None
    except (GoogleAuthError, ValueError) as error:
        what = f"{given} is not a service account's key file" if given else "there are no default credentials"
        raise SettingsError(
            f"WHARFINGER_GCS_CREDENTIALS: {what} ({str(error).splitlines()[0]}): name a key file, or say anonymous"
        ) from None
    return credentials


def _try_out(api: _Api, settings: GcsSettings) -> None:
    """The cheapest request that fails when bucket, credentials or endpoint are wrong. Raises SettingsError."""
    bucket = settings.bucket
    try:
        api.page({"maxResults": "1", "fields": "items(name)"})
    except answers.NotFound:
        raise SettingsError(f"gcs bucket {bucket} does not exist: create it, or mend WHARFINGER_GCS_BUCKET") from None
    except (answers.Unauthorized, answers.Forbidden, GoogleAuthError) as error:
        raise SettingsError(
            f"gcs bucket {bucket} cannot be listed ({_reason(error)}): mend WHARFINGER_GCS_CREDENTIALS, "
            "or give the account the role Storage Object User on the bucket"
        ) from None
    except (answers.GoogleAPIError, *BROKEN) as error:
        raise SettingsError(
            f"gcs at {api.endpoint} does not answer as it should ({_reason(error)}): mend WHARFINGER_GCS_ENDPOINT, "
            "or the way there"
        ) from None


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Failures in the contract's words.

    The causes stay behind: their texts hold the URLs of upload sessions, with which anybody may write.
    """
    try:
        yield
    except StorageProblem:
        raise
    except answers.NotFound as error:
        if "specified bucket" in str(error):
            raise StorageFailure(path, "the bucket is no longer there") from None
        raise PathNotFound(path) from None
    except (answers.GoogleAPIError, GoogleAuthError, *BROKEN) as error:
        raise StorageFailure(path, _reason(error)) from None


def _is_transient(error: Exception) -> bool:
    if isinstance(error, answers.GoogleAPICallError):
        return error.code in TRANSIENT_STATUSES
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.SSLError)):
        return False
    return isinstance(error, (TransportError, *BROKEN))


def _reason(error: Exception) -> str:
    """A failure in a few words, without URLs."""
    if isinstance(error, answers.GoogleAPICallError):
        return f"answered {error.code or 'nonsense'}: {_said(error)}"
    if isinstance(error, RefreshError):
        return "the credentials are refused"
    if isinstance(error, GoogleAuthError):
        return "the credentials cannot be used, or their issuer cannot be reached"
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
        return "no answer in time"
    return "cannot be reached, or hung up"


def _said(error: Any) -> str:
    """What the store said, where it said it in its way; else the kind of failure."""
    for detail in error.errors:
        if isinstance(detail, dict) and detail.get("message"):
            return " ".join(str(detail["message"]).split())[:300]
    # Without a URL in front only where there was no response: these are our own words.
    return type(error).__name__ if error.response is not None else str(error.message)


def _length(response: requests.Response) -> int:
    headers = response.headers
    return int(headers.get("Content-Length") or headers["X-Goog-Stored-Content-Length"])


def _kept(response: requests.Response) -> int:
    """How many bytes a session has; no Range means none."""
    match = re.fullmatch(r"bytes=0-(\d+)", response.headers.get("Range", ""))
    return int(match[1]) + 1 if match else 0


def _crc32c(content: bytes) -> str:
    return _in_base64(google_crc32c.Checksum(content).digest())


def _in_base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
