"""The JSON API of Google Cloud Storage for the objects of one bucket: requests, credentials, signatures, failures."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
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
from common.settings import SettingsError
from registry_service.storage.driver import PathNotFound, StorageFailure, StorageProblem
from registry_service.storage.gcs.settings import GcsSettings
from registry_service.storage.retrying import BROKEN, TRANSIENT_STATUSES, RetryPolicy

ANONYMOUS = "anonymous"

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)

_CONNECT_SECONDS = 10.0

_CONNECTIONS = 256

_URLS = 10_000
_URL_KEPT_SECONDS = 300.0

T = TypeVar("T")


class Api:
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


@contextmanager
def failures_named(path: str) -> Iterator[None]:
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
        raise StorageFailure(path, reason_of(error)) from None


def _is_transient(error: Exception) -> bool:
    if isinstance(error, answers.GoogleAPICallError):
        return error.code in TRANSIENT_STATUSES
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.SSLError)):
        return False
    return isinstance(error, (TransportError, *BROKEN))


def reason_of(error: Exception) -> str:
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


def _crc32c(content: bytes) -> str:
    return in_base64(google_crc32c.Checksum(content).digest())


def in_base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
