"""Requests to one S3 bucket: connections, signatures, retries.

Two ways lead there. `ask` goes through boto3, which knows all of S3 and takes 1.5 ms of processor time for a request.
`fetch`, `look` and `page`, for all that a pull asks, have boto3 sign a URL, remember it, and send it over connections
of their own (`connections`): a tenth of the time, which is what most of a pull would be spent on.

Either retries what is transient (`retrying`). botocore's own retries are off: all requests of a process share a
quota of them, and when it is used up none is retried.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from xml.etree import ElementTree as ET

import boto3.session
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
)
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from common.cache import Cache
from common.settings import SettingsError
from registry_service.storage.driver import PathNotFound, StorageFailure, StorageProblem
from registry_service.storage.retrying import BROKEN, NoAnswer, Refused, RetryPolicy
from registry_service.storage.s3.connections import Answer, Connections
from registry_service.storage.s3.errors import (
    TRANSIENT_CODES,
    complaint_about,
    demand_region,
    problem_of,
    reason_of,
    refused_by,
)
from registry_service.storage.s3.settings import S3Settings

PROBE = "_exclusive/probe"
"""Where it is tried whether conditional PUTs are honoured; the probe stays."""

LEFTOVER_SECONDS = 48 * 3600.0
"""An upload begun this long ago and not completed belongs to a process that was killed."""

REMEMBERED_URLS = 4096

_OWN_URL_SECONDS = 1800
_PAGE = 1000
_TOKEN = "wharfinger-mark"
"""Metadata that holds an idempotency token."""
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing: keys of objects with their entity tags, prefixes with the slash they end with."""

    objects: Mapping[str, str]
    prefixes: Sequence[str]
    goes_on_after: str
    """Empty for the last one."""


@dataclass(frozen=True, slots=True)
class _Signable:
    """A request that boto3 signs; `others` may use what is signed."""

    operation: str
    parameters: tuple[tuple[str, Any], ...]
    for_others: bool = False


class Bucket:
    """One bucket, in which everything asked for lies below `storage_path`."""

    def __init__(self, settings: S3Settings, storage_path: str) -> None:
        """Try the bucket out. Raises SettingsError saying what to mend."""
        self.settings = settings
        self.retry = RetryPolicy(settings.attempts, TRANSIENT_CODES)
        self.root = "".join(f"{name}/" for name in storage_path.split("/") if name)
        self._client = connect(settings, settings.endpoint_url)
        self._signer = connect(settings, settings.url_endpoint) if settings.url_endpoint else self._client
        self._dressing = _dressing(settings)
        self._urls: Cache[_Signable, str] = Cache(REMEMBERED_URLS, min(300.0, settings.url_seconds / 4))
        proxy = _proxy(self._client.meta.endpoint_url)
        self._honours_conditions = self._try_out()
        self._connections = self._connect(proxy)
        self.sweep()

    @property
    def honours_conditions(self) -> bool:
        """Whether it honours conditional PUTs. Raises StorageFailure while it may only be read."""
        if self._honours_conditions is None:
            try:
                self._honours_conditions = self._try_conditions()
            except ClientError as error:
                raise refused_by(PROBE, error) from error
            except BotoCoreError as error:
                raise StorageFailure(PROBE, reason_of(error)) from error
        return self._honours_conditions

    def key(self, path: str) -> str:
        return self.root + path

    def ask(self, path: str, operation: str, **arguments: Any) -> Any:
        """Make one of boto3's requests about the object at a path.

        Raises PathNotFound, StorageFull, Refused for another answer than asked for, StorageFailure for none.
        """
        arguments.setdefault("Key", self.key(path))
        return self.ask_bucket(path, operation, **arguments)

    def ask_bucket(self, path: str, operation: str, **arguments: Any) -> Any:
        """Make one of boto3's requests that names no object; the path is for failures. Raises as `ask`."""
        request = getattr(self._client, operation)
        return self._retried(path, lambda: request(Bucket=self.settings.bucket, **arguments))

    def make(self, path: str, operation: str, **arguments: Any) -> Any:
        """As `ask`, for what makes an object: it is encrypted as the settings say."""
        return self.ask(path, operation, **arguments, **self._dressing)

    def fetch(self, path: str, **headers: str) -> Answer:
        """GET the object at a path: an answer to read and close. Raises as `ask`."""
        wanted = _Signable("get_object", (("Key", self.key(path)),))
        answer: Answer = self._retried(path, lambda: self._send("GET", wanted, headers))
        return answer

    def look(self, path: str) -> HTTPMessage:
        """The headers of the object at a path. Raises as `ask`."""
        wanted = _Signable("head_object", (("Key", self.key(path)),))
        answer: Answer = self._retried(path, lambda: self._send("HEAD", wanted, {}))
        # Read, an empty answer gives its connection back.
        answer.read()
        return answer.headers

    def page(self, path: str, marker: str, *, most: int = _PAGE, one_component: bool = False) -> Page:
        """A page of what is below a path, behind `marker`, down to the next slash if `one_component`. Raises as `ask`.

        The first version of the request, because a store that does not know the second would answer as to the first.
        """
        wanted = {"Prefix": f"{self.key(path)}/", "Marker": marker, "MaxKeys": most, "EncodingType": "url"}
        if one_component:
            wanted["Delimiter"] = "/"
        signable = _Signable("list_objects", tuple(wanted.items()))
        try:
            found: Page = self._retried(path, lambda: _read_page(self._send("GET", signable, {}).read()))
        except ET.ParseError as error:
            raise StorageFailure(path, "the store's listing is no XML") from error
        if found.goes_on_after and found.goes_on_after <= marker:
            raise StorageFailure(path, "the store's listing does not go on")
        return found

    def signed_url(self, path: str) -> str:
        """A URL for others; it may have been signed up to a quarter of its time ago."""
        wanted = _Signable("get_object", (("Key", self.key(path)),), for_others=True)
        try:
            return self._remembered(wanted) or self._sign(wanted)
        except BotoCoreError as error:
            raise StorageFailure(path, reason_of(error)) from error

    def bears(self, path: str, token: Mapping[str, str]) -> bool:
        """Whether the object there was made by the request that carried this idempotency token."""
        try:
            return self.look(path).get(f"x-amz-meta-{_TOKEN}") == token[_TOKEN]
        except PathNotFound:
            return False

    def begin_upload(self, path: str, token: Mapping[str, str]) -> str:
        """Where the answer is lost, an upload stays begun; without parts it takes no room until it is swept."""
        return str(self.make(path, "create_multipart_upload", Metadata=token)["UploadId"])

    def complete_upload(self, path: str, upload: str, etags: Sequence[str], token: Mapping[str, str]) -> None:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        try:
            self.ask(path, "complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts})
        except Refused as refused:
            # An earlier request may have done it, and its answer was lost.
            if refused.code != "NoSuchUpload" or refused.attempt == 1 or not self.bears(path, token):
                raise

    def abort_upload(self, path: str, upload: str) -> None:
        """Free the parts; what the store will not do now, a later start sweeps."""
        with suppress(StorageProblem):
            self.ask(path, "abort_multipart_upload", UploadId=upload)

    def _retried(self, path: str, request: Callable[[], Any]) -> Any:
        def attempt(number: int) -> Any:
            try:
                return request()
            except ClientError as error:
                raise problem_of(path, error, number) from error
            except (HTTPClientError, *BROKEN) as error:
                raise NoAnswer(path, reason_of(error)) from error
            except BotoCoreError as error:
                raise StorageFailure(path, reason_of(error)) from error

        return self.retry.call(attempt)

    def _send(self, method: str, wanted: _Signable, headers: Mapping[str, str]) -> Answer:
        remembered = self._remembered(wanted)
        answer = self._connections.send(method, remembered or self._sign(wanted), headers)
        if answer.status == 403 and remembered:
            # Signed with a credential that was replaced since, perhaps.
            answer.close()
            answer = self._connections.send(method, self._sign(wanted), headers)
        if answer.status not in (200, 206):
            raise ClientError(_refusal(answer), wanted.operation)
        return answer

    def _remembered(self, wanted: _Signable) -> str | None:
        return self._urls.get(wanted)

    def _sign(self, wanted: _Signable) -> str:
        """The whole address for others; path and query for us, who know where it is."""
        client, lifetime = self._client, _OWN_URL_SECONDS
        if wanted.for_others:
            client, lifetime = self._signer, int(self.settings.url_seconds)
        parameters = {"Bucket": self.settings.bucket, **dict(wanted.parameters)}
        url = str(client.generate_presigned_url(wanted.operation, Params=parameters, ExpiresIn=lifetime))
        if not wanted.for_others:
            url = urlunsplit(urlsplit(url)._replace(scheme="", netloc=""))
        self._urls.put(wanted, url)
        return url

    def _connect(self, proxy: str | None) -> Connections:
        """To where boto3 would send a request about any object."""
        wanted = {"Bucket": self.settings.bucket, "Key": self.key(PROBE)}
        url = str(self._client.generate_presigned_url("get_object", Params=wanted))
        return Connections(
            url,
            proxy,
            get_cert_path(_trusted(self.settings)),
            connect_timeout=self.settings.connect_timeout,
            read_timeout=self.settings.read_timeout,
            idle=self.settings.connections,
        )

    def _try_out(self) -> bool | None:
        """List, and learn whether conditional PUTs are honoured; None where there is something to read, and writing is
        forbidden. Raises SettingsError."""
        try:
            answer = self._client.list_objects(Bucket=self.settings.bucket, Prefix=self.root, MaxKeys=1)
            demand_region(self.settings, self._client.meta.region_name, answer)
        except (BotoCoreError, ClientError) as error:
            raise complaint_about(self.settings, error) from error
        try:
            return self._try_conditions()
        except (BotoCoreError, ClientError) as error:
            if not _is_forbidden(error) or not answer.get("Contents"):
                raise complaint_about(self.settings, error) from error
        logger.warning("bucket %s is served for reading only: the credentials may not write", self.settings.bucket)
        return None

    def _try_conditions(self) -> bool:
        """Create a probe, which stays: where it is there from the last time, one request tells."""
        for _ in range(2):
            try:
                self._client.put_object(
                    Bucket=self.settings.bucket, Key=self.key(PROBE), Body=b"", IfNoneMatch="*", **self._dressing
                )
            except ClientError as error:
                status = refused_by(PROBE, error).status
                if status in (409, 412):
                    return True
                if status in (400, 501):
                    return False
                raise
        return False

    def sweep(self) -> None:
        """Abort uploads that killed processes left. Not every store lists them, nor may every credential ask."""
        oldest = time.time() - LEFTOVER_SECONDS
        with suppress(StorageProblem):
            for upload in self._uploads():
                if upload["Initiated"].timestamp() < oldest:
                    self.abort_upload(upload["Key"].removeprefix(self.root), upload["UploadId"])

    def _uploads(self) -> Iterator[Any]:
        after: dict[str, str] = {}
        while True:
            page = self.ask_bucket("", "list_multipart_uploads", Prefix=self.root, **after)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def new_token() -> dict[str, str]:
    """An idempotency token as metadata: by it a request's own object is known again."""
    return {_TOKEN: secrets.token_hex(16)}


def _is_forbidden(error: Exception) -> bool:
    return isinstance(error, ClientError) and refused_by(PROBE, error).status == 403


def _refusal(answer: Answer) -> dict[str, Any]:
    """As boto3 tells of one."""
    try:
        found = _CODE.search(answer.read(64 * 1024))
    except (HTTPException, OSError):
        found = None
    answer.close()
    code = found[1].decode() if found else str(answer.status)
    return {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": answer.status}}


def _read_page(document: bytes) -> Page:
    root = ET.fromstring(document)  # noqa: S314 - of our own store, which boto3 reads no other way
    space = root.tag[: root.tag.rfind("}") + 1]

    def said(entry: ET.Element, name: str) -> str:
        return entry.findtext(space + name) or ""

    decode = unquote if said(root, "EncodingType") == "url" else str
    objects = {decode(said(entry, "Key")): said(entry, "ETag") for entry in root.iter(f"{space}Contents")}
    prefixes = [decode(said(entry, "Prefix")) for entry in root.iter(f"{space}CommonPrefixes")]
    if said(root, "IsTruncated") != "true":
        return Page(objects, prefixes, "")
    # Ceph's NextMarker is not encoded as its names are.
    return Page(objects, prefixes, max((*objects, *prefixes), default="") or said(root, "NextMarker"))


def _dressing(settings: S3Settings) -> dict[str, str]:
    """What every request says that makes an object."""
    dressing = {"ServerSideEncryption": settings.encryption, "SSEKMSKeyId": settings.encryption_key}
    return {name: value for name, value in dressing.items() if value}


def connect(settings: S3Settings, endpoint: str) -> Any:
    """A client, which any number of threads may use at once. Raises SettingsError."""
    addressing = "path" if settings.addressing == "auto" and endpoint else settings.addressing
    config = Config(
        signature_version=settings.signature,
        s3={"addressing_style": addressing},
        # Newer boto3 would send and demand checksums that older Ceph, GCS and others refuse.
        request_checksum_calculation=settings.checksums,
        response_checksum_validation=settings.checksums,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        max_pool_connections=settings.connections,
        tcp_keepalive=True,
        user_agent_extra="wharfinger",
    )
    try:
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key or None, aws_secret_access_key=settings.secret_key or None
        )
        client = session.client(
            "s3",
            region_name=settings.region or session.region_name or "us-east-1",
            endpoint_url=endpoint or None,
            verify=settings.ca_bundle or None,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise complaint_about(settings, error) from error
    client.meta.events.register("before-call.s3.DeleteObjects", _seal_with_md5)
    if settings.signature == "s3":
        client.meta.events.register("before-sign.s3", _end_bucket_with_slash)
    return client


def _proxy(endpoint: str) -> str | None:
    """The one that the environment names. Raises SettingsError."""
    scheme = urlsplit(endpoint).scheme
    proxy: str | None = get_environ_proxies(endpoint).get(scheme)
    if proxy and not proxy.startswith("http://"):
        raise SettingsError(f"s3: the way to the proxy has to be plain: let {scheme.upper()}_PROXY begin with http://")
    return proxy


def _trusted(settings: S3Settings) -> str | bool:
    return settings.ca_bundle or botocore.session.get_session().get_config_variable("ca_bundle") or True


def _end_bucket_with_slash(request: Any, **_: Any) -> None:
    """By version 2 botocore signs /bucket/ where it sends /bucket, and Ceph compares with what it was sent."""
    parts = urlsplit(request.url)
    if parts.path.count("/") == 1:
        request.url = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/"))


def _seal_with_md5(params: dict[str, Any], **_: Any) -> None:
    """This one request must bear a checksum, and only MD5 is known to all stores."""
    params["context"].get("checksum", {}).pop("request_algorithm", None)
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
