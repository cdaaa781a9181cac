"""Keeps contents as objects of one S3 bucket, at AWS or whatever speaks as it does (docs/storage.md).

An object appears whole when its PUT or its multipart upload is completed, which is all that replacing atomically takes.
What such a store has not, and what stands for it here:

    create      a PUT on condition that nothing is there; `candidates` at stores that ignore the condition
    move        a copy made by the store, part by part above what one request copies, then a delete
    reading on  what is being read may be replaced: a broken answer is resumed only if the object is still the same

Requests are repeated by botocore, a bounded number of times, with growing pauses. An answer that was lost makes two of
them ambiguous, the conditional PUT and the completion of an upload: both leave a mark in the object's metadata, by
which the repeated request is told that its predecessor did the work.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as CannotConnect
from urllib3.exceptions import HTTPError

from common.settings import SettingsError, load, one_of, seconds, setting, variable, whole_number
from registry_service.storage.candidates import FOLDER, Candidates
from registry_service.storage.driver import (
    BLOCK,
    Driver,
    PathNotFound,
    Reader,
    Stat,
    StorageFailure,
    StorageFull,
    StorageProblem,
    Writer,
)

MIB = 1024**2

PARTS = 10_000
"""A multipart upload has no more parts than these, anywhere."""

COPY_PART = 1024**3
"""Bytes that one request copies of an object too large for one."""

LEFTOVER_SECONDS = 48 * 3600.0
"""An upload begun this long ago and not completed belongs to a process that was killed."""

LONGEST_URL_SECONDS = 7 * 24 * 3600.0

_PAGE = 1000
_PAUSE_SECONDS = 0.1
_MARK = "wharfinger-mark"
_NO_RANGES = "the store ignores ranges"

_ABSENT = ("NoSuchKey", "404", "NotFound")
_FULL = ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "507")
_FORBIDDEN = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "403")
_ELSEWHERE = ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "301")


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} does not begin with http:// or https://")
    return text.rstrip("/")


def _bucket_name(text: str) -> str:
    if not text or "/" in text:
        raise ValueError(f"{text!r} is no name of a bucket")
    return text


def _file(text: str) -> str:
    if text and not Path(text).is_file():
        raise ValueError(f"{text} is not a file")
    return text


@dataclass(frozen=True, slots=True)
class S3Settings:
    """WHARFINGER_S3_*, or the table [s3]."""

    bucket: str = setting(_bucket_name, "Bucket, which must exist; the store's root is the storage path within it.")
    endpoint_url: str = setting(_url, "Where the store is, http(s)://host:port; empty means AWS.", "")
    region: str = setting(str, "Region of the bucket; empty means what AWS's own settings say, or us-east-1.", "")
    access_key: str = setting(str, "Access key; empty means the default chain: AWS_*, shared files, role.", "")
    secret_key: str = setting(str, "Secret key that belongs to the access key.", "", secret=True)
    addressing: str = setting(
        one_of("auto", "path", "virtual"),
        "Where the bucket's name goes: path, or virtual (host name); auto means virtual at AWS, path elsewhere.",
        "auto",
    )
    signature: str = setting(one_of("s3v4", "s3"), "Signature version; s3 is version 2, for old stores.", "s3v4")
    encryption: str = setting(
        one_of("", "AES256", "aws:kms"), "Server-side encryption asked for with each content; empty means none.", ""
    )
    encryption_key: str = setting(str, "Key for aws:kms; empty means the account's own.", "")
    ca_bundle: str = setting(_file, "File of certificates to trust instead of the system's.", "")
    checksums: str = setting(
        one_of("when_required", "when_supported"),
        "When checksums in headers and trailers are sent and demanded; older stores refuse when_supported.",
        "when_required",
    )
    part_bytes: int = setting(
        whole_number(5 * MIB), "Bytes of one part, kept in memory for each upload; a layer has up to 10,000.", 8 * MIB
    )
    copy_bytes: int = setting(whole_number(5 * MIB), "Bytes above which a content is copied part by part.", 5 * 1024**3)
    attempts: int = setting(whole_number(1), "How often a request is made before it fails.", 4)
    connect_timeout: float = setting(seconds, "Seconds a connection may take.", 5.0)
    read_timeout: float = setting(seconds, "Seconds the store may be silent.", 60.0)
    connections: int = setting(whole_number(1), "Idle connections kept open for the next requests.", 128)
    url_seconds: float = setting(seconds, "How long a signed URL is good.", 1200.0)
    url_endpoint: str = setting(_url, "Endpoint in signed URLs, where clients reach the store by another name.", "")

    def __post_init__(self) -> None:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError(f"{_named('access_key')} and {_named('secret_key')} go together")
        if self.encryption_key and self.encryption != "aws:kms":
            raise ValueError(f"{_named('encryption_key')} needs {_named('encryption')}=aws:kms")
        if not 1 <= self.url_seconds <= LONGEST_URL_SECONDS:
            raise ValueError(f"{_named('url_seconds')}: no store signs for other than 1 second to 7 days")


def _named(field: str) -> str:
    return variable("s3", field)


def from_environ(storage_path: str, environ: Mapping[str, str]) -> S3:
    """Raises SettingsError."""
    return S3(load(S3Settings, "s3", environ), storage_path)


class Refused(StorageFailure):
    """The store answered, and not as asked: its status and code, and how often botocore had asked before."""

    def __init__(self, path: str, error: ClientError) -> None:
        answer = error.response.get("ResponseMetadata", {})
        self.status = int(answer.get("HTTPStatusCode", 0))
        self.code = str(error.response.get("Error", {}).get("Code", ""))[:64]
        self.repeated = int(answer.get("RetryAttempts", 0))
        attempts = f" at attempt {self.repeated + 1}" if self.repeated else ""
        super().__init__(path, f"the store answers {self.status} {self.code}{attempts}")


class S3(Driver):
    """Objects of one bucket, whose keys begin with `storage_path`."""

    name = "s3"
    blocks = False

    def __init__(self, settings: S3Settings, storage_path: str) -> None:
        """Try the bucket out. Raises SettingsError saying what to mend."""
        self.settings = settings
        self._root = "".join(f"{name}/" for name in storage_path.split("/") if name)
        self._client = _connect(settings, settings.endpoint_url)
        self._signer = _connect(settings, settings.url_endpoint) if settings.url_endpoint else self._client
        self._dressing = _dressing(settings)
        self._deletes_many = True
        self._candidates = None if self._try_out() else Candidates(self)
        self._sweep()

    def get(self, path: str) -> bytes:
        with self.open_reader(path) as reader:
            return b"".join(reader)

    def put(self, path: str, content: bytes | bytearray) -> None:
        self.ask(path, "put_object", Body=content, **self._dressing)

    def create(self, path: str, content: bytes) -> bool:
        """Where the store ignores conditions, two creates meet by way of `candidates`."""
        if self._candidates is not None:
            return self._candidates.create(path, content)
        mark = new_mark()
        for _ in range(self.settings.attempts):
            try:
                self.ask(path, "put_object", Body=content, IfNoneMatch="*", Metadata=mark, **self._dressing)
            except Refused as refused:
                if refused.status == 412:
                    return bool(refused.repeated) and self.bears(path, mark)
                # AWS: another one is being created right now.
                if refused.status != 409:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return True
        raise StorageFailure(path, "others keep creating it")

    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        return _ObjectReader(self, path, offset, length)

    def open_writer(self, path: str) -> Writer:
        return _ObjectWriter(self, path)

    def stat(self, path: str) -> Stat:
        found = self.ask(path, "head_object")
        return Stat(found["ContentLength"], found["LastModified"].timestamp())

    def exists(self, path: str) -> bool:
        return self._is_object(path) or any(self._keys_below(path, MaxKeys=2))

    def list(self, path: str) -> Iterator[str]:
        names = self._names_below(path)
        first = next(names, None)
        if first is None:
            raise PathNotFound(path)
        return chain((first,), names)

    def delete(self, path: str) -> None:
        if self._is_object(path):
            self.ask(path, "delete_object")
            return
        found = False
        for page in self._pages(path):
            keys = [entry["Key"] for entry in page.get("Contents", ())]
            if keys:
                self._delete_keys(path, keys)
                found = True
        if not found:
            raise PathNotFound(path)

    def move(self, source: str, target: str) -> None:
        found = self.ask(source, "head_object")
        if source == target:
            return
        try:
            self._copy(source, target, found)
        except Refused as refused:
            # Not every store copies every object, Ceph's no encrypted one.
            if refused.status not in (405, 501):
                raise
            self._carry(source, target)
        self.ask(source, "delete_object")

    def url_for(self, path: str) -> str | None:
        wanted = {"Bucket": self.settings.bucket, "Key": self.key(path)}
        try:
            signed = self._signer.generate_presigned_url(
                "get_object", Params=wanted, ExpiresIn=int(self.settings.url_seconds)
            )
        except BotoCoreError as error:
            raise StorageFailure(path, _reason(error)) from error
        return str(signed)

    def local_path(self, path: str) -> Path | None:
        return None

    def key(self, path: str) -> str:
        return self._root + path

    def ask(self, path: str, operation: str, **arguments: Any) -> Any:
        """Make one request about the object at a path, repeated by botocore where that may help.

        Raises PathNotFound, StorageFull, Refused for another answer than asked for, StorageFailure for none.
        """
        return self._ask(path, operation, Key=self.key(path), **arguments)

    def bears(self, path: str, mark: Mapping[str, str]) -> bool:
        """Whether the object there was made by the request that carried this mark."""
        try:
            return bool(self.ask(path, "head_object").get("Metadata", {}).get(_MARK) == mark[_MARK])
        except PathNotFound:
            return False

    def begin_upload(self, path: str, mark: Mapping[str, str]) -> str:
        begun = self.ask(path, "create_multipart_upload", Metadata=mark, **self._dressing)
        return str(begun["UploadId"])

    def complete_upload(self, path: str, upload: str, etags: Sequence[str], mark: Mapping[str, str]) -> None:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        try:
            self.ask(path, "complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts})
        except Refused as refused:
            if refused.code != "NoSuchUpload" or not refused.repeated or not self.bears(path, mark):
                raise

    def abort_upload(self, path: str, upload: str) -> None:
        """Free the parts; what the store will not do now, a later start sweeps."""
        with suppress(StorageProblem):
            self.ask(path, "abort_multipart_upload", UploadId=upload)

    def _ask(self, path: str, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self.settings.bucket, **arguments)
        except ClientError as error:
            raise _problem(path, error) from error
        except BotoCoreError as error:
            raise StorageFailure(path, _reason(error)) from error

    def _is_object(self, path: str) -> bool:
        try:
            self.ask(path, "head_object")
        except PathNotFound:
            return False
        return True

    def _pages(self, path: str, **arguments: Any) -> Iterator[Any]:
        """Listings below a path, page by page.

        The first version of the request, because a store that does not know the second would answer as to the
        first, and botocore's paginator would take the first page for all.
        """
        marker = ""
        while True:
            page = self._ask(path, "list_objects", Prefix=f"{self.key(path)}/", Marker=marker, **arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            last = [entry["Key"] for entry in page.get("Contents", ())][-1:]
            following = page.get("NextMarker") or "".join(last)
            if following <= marker:
                raise StorageFailure(path, "the store's listing does not go on")
            marker = following

    def _keys_below(self, path: str, **arguments: Any) -> Iterator[str]:
        """Keys below a path, but not that of the path with a slash, which consoles make for a folder."""
        folder = f"{self.key(path)}/"
        for page in self._pages(path, **arguments):
            yield from (entry["Key"] for entry in page.get("Contents", ()) if entry["Key"] != folder)

    def _names_below(self, path: str) -> Iterator[str]:
        start = len(self.key(path)) + 1
        for page in self._pages(path, Delimiter="/", MaxKeys=_PAGE):
            keys = chain(
                (entry["Key"] for entry in page.get("Contents", ())),
                (entry["Prefix"][:-1] for entry in page.get("CommonPrefixes", ())),
            )
            yield from (key[start:] for key in keys if len(key) > start)

    def _delete_keys(self, path: str, keys: Sequence[str]) -> None:
        if self._deletes_many:
            try:
                self._delete_batch(path, keys)
            except Refused as refused:
                if refused.status not in (400, 405, 501):
                    raise
                self._deletes_many = False
            else:
                return
        for key in keys:
            with suppress(PathNotFound):
                self._ask(path, "delete_object", Key=key)

    def _delete_batch(self, path: str, keys: Sequence[str]) -> None:
        batch = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        failed = self._ask(path, "delete_objects", Delete=batch).get("Errors")
        if failed:
            raise StorageFailure(path, f"the store left {len(failed)} undeleted: {failed[0].get('Code')}")

    def _copy(self, source: str, target: str, found: Mapping[str, Any]) -> None:
        origin = {"Bucket": self.settings.bucket, "Key": self.key(source)}
        if found["ContentLength"] <= self.settings.copy_bytes:
            self._ask(source, "copy_object", CopySource=origin, Key=self.key(target), **self._dressing)
            return
        mark = new_mark()
        upload = self.begin_upload(target, mark)
        try:
            etags = [
                self._copy_part(source, target, upload, number, range_, found["ETag"])
                for number, range_ in enumerate(
                    copy_ranges(found["ContentLength"], min(COPY_PART, self.settings.copy_bytes)), 1
                )
            ]
            self.complete_upload(target, upload, etags, mark)
        except BaseException:
            self.abort_upload(target, upload)
            raise

    def _copy_part(self, source: str, target: str, upload: str, number: int, range_: str, etag: str) -> str:
        copied = self._ask(
            source,
            "upload_part_copy",
            Key=self.key(target),
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": self.settings.bucket, "Key": self.key(source)},
            CopySourceRange=range_,
            CopySourceIfMatch=etag,
        )
        return str(copied["CopyPartResult"]["ETag"])

    def _carry(self, source: str, target: str) -> None:
        """Copy by reading and writing."""
        with self.open_reader(source) as reader, self.open_writer(target) as writer:
            for block in reader:
                writer.write(block)
            writer.commit()

    def _try_out(self) -> bool:
        """List, and learn whether conditional PUTs are honoured. Raises SettingsError."""
        try:
            answer = self._client.list_objects(Bucket=self.settings.bucket, Prefix=self._root, MaxKeys=1)
            demand_region(self.settings, self._client.meta.region_name, answer)
            return self._honours_conditions()
        except (BotoCoreError, ClientError) as error:
            raise _complaint(self.settings, error) from error

    def _honours_conditions(self) -> bool:
        """Create a probe, which stays: where it is there from the last time, one request tells."""
        probe = {"Bucket": self.settings.bucket, "Key": self.key(f"{FOLDER}/probe")}
        for _ in range(2):
            try:
                self._client.put_object(**probe, Body=b"", IfNoneMatch="*", **self._dressing)
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status in (409, 412):
                    return True
                if status in (400, 501):
                    return False
                raise
        return False

    def _sweep(self) -> None:
        """Abort uploads that killed processes left. Not every store lists them, nor may every credential ask."""
        oldest = time.time() - LEFTOVER_SECONDS
        with suppress(StorageProblem):
            for upload in self._uploads():
                if upload["Initiated"].timestamp() < oldest:
                    self.abort_upload(upload["Key"].removeprefix(self._root), upload["UploadId"])

    def _uploads(self) -> Iterator[Any]:
        after: dict[str, str] = {}
        while True:
            page = self._ask("", "list_multipart_uploads", Prefix=self._root, **after)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


class _ObjectReader(Reader):
    """One answer of the store, and after a break the rest of the same object."""

    def __init__(self, store: S3, path: str, offset: int, length: int | None) -> None:
        self._store = store
        self._path = path
        self._position = offset
        self._left = 0
        self._body: Any = None
        if length == 0:
            store.stat(path)
            return
        try:
            answer = store.ask(path, "get_object", **_range(offset, None if length is None else offset + length - 1))
        except Refused as refused:
            if refused.status != 416:
                raise
            return
        self._body = answer["Body"]
        self._etag = answer["ETag"]
        self._left = answer["ContentLength"]
        if (offset or length is not None) and "ContentRange" not in answer:
            self._serve_of_whole(offset, length)
        if not self._left:
            # Read, an empty answer gives its connection back.
            self._body.read()

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            block = self._read()
            self._position += len(block)
            self._left -= len(block)
            yield block

    def close(self) -> None:
        if self._body is not None:
            self._body.close()

    def _serve_of_whole(self, offset: int, length: int | None) -> None:
        """The store sent everything where a range was asked for."""
        if offset:
            self.close()
            raise StorageFailure(self._path, _NO_RANGES)
        if length is not None:
            self._left = min(self._left, length)

    def _read(self) -> bytes:
        """The next block; after a break that of another answer, as long as each break brought something."""
        attempts = self._store.settings.attempts
        for attempt in range(attempts):
            if attempt:
                self._resume(attempt)
            with suppress(BotoCoreError, HTTPError, OSError):
                block: bytes = self._body.read(min(BLOCK, self._left))
                if block:
                    return block
        raise StorageFailure(self._path, f"the store's answer broke off {attempts} times")

    def _resume(self, attempt: int) -> None:
        self._body.close()
        time.sleep(_PAUSE_SECONDS * 2**attempt)
        rest = _range(self._position, self._position + self._left - 1)
        try:
            answer = self._store.ask(self._path, "get_object", IfMatch=self._etag, **rest)
        except PathNotFound as gone:
            raise StorageFailure(self._path, "it was deleted while it was read") from gone
        except Refused as refused:
            if refused.status not in (412, 416):
                raise
            raise StorageFailure(self._path, "it was replaced while it was read") from refused
        self._body = answer["Body"]
        if "ContentRange" not in answer:
            raise StorageFailure(self._path, _NO_RANGES)


class _ObjectWriter(Writer):
    """One part in memory. What fits it is one PUT; more is a multipart upload, aborted unless committed."""

    def __init__(self, store: S3, path: str) -> None:
        self._store = store
        self._path = path
        self._part = bytearray()
        self._mark = new_mark()
        self._upload: str | None = None
        self._etags: list[str] = []

    def write(self, block: bytes) -> None:
        size = self._store.settings.part_bytes
        rest = memoryview(block)
        while rest:
            if len(self._part) == size:
                self._send()
            room = size - len(self._part)
            self._part += rest[:room]
            rest = rest[room:]

    def commit(self) -> None:
        if self._upload is None:
            self._store.put(self._path, self._part)
        else:
            self._send()
            self._store.complete_upload(self._path, self._upload, self._etags, self._mark)
            self._upload = None

    def cancel(self) -> None:
        self._part = bytearray()
        upload, self._upload = self._upload, None
        if upload is not None:
            self._store.abort_upload(self._path, upload)

    def _send(self) -> None:
        if len(self._etags) == PARTS:
            raise StorageFailure(self._path, f"longer than {PARTS} parts: raise {_named('part_bytes')}")
        if self._upload is None:
            self._upload = self._store.begin_upload(self._path, self._mark)
        # A part of the size of the others is not emptied but left to whoever sends it.
        part, self._part = self._part, bytearray()
        number = len(self._etags) + 1
        sent = self._store.ask(self._path, "upload_part", UploadId=self._upload, PartNumber=number, Body=part)
        self._etags.append(sent["ETag"])


def copy_ranges(size: int, part: int) -> Iterator[str]:
    """The ranges that make up `size` bytes, each of `part` but for the last, as upload_part_copy takes them."""
    for first in range(0, size, part):
        yield f"bytes={first}-{min(first + part, size) - 1}"


def new_mark() -> dict[str, str]:
    """Metadata by which a request's own object is known again."""
    return {_MARK: secrets.token_hex(16)}


def _range(first: int, last: int | None) -> dict[str, str]:
    if not first and last is None:
        return {}
    return {"Range": f"bytes={first}-{'' if last is None else last}"}


def _dressing(settings: S3Settings) -> dict[str, str]:
    """What every request says that makes an object."""
    dressing = {"ServerSideEncryption": settings.encryption, "SSEKMSKeyId": settings.encryption_key}
    return {name: value for name, value in dressing.items() if value}


def _connect(settings: S3Settings, endpoint: str) -> Any:
    """A client, which any number of threads may use at once. Raises SettingsError."""
    addressing = "path" if settings.addressing == "auto" and endpoint else settings.addressing
    config = Config(
        signature_version=settings.signature,
        s3={"addressing_style": addressing},
        # Newer boto3 would send and demand checksums that older Ceph, GCS and others refuse.
        request_checksum_calculation=settings.checksums,
        response_checksum_validation=settings.checksums,
        retries={"mode": "standard", "total_max_attempts": settings.attempts},
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
        raise _complaint(settings, error) from error
    client.meta.events.register("before-call.s3.DeleteObjects", _seal_with_md5)
    return client


def _seal_with_md5(params: dict[str, Any], **_: Any) -> None:
    """This one request must bear a checksum, and only MD5 is known to all stores."""
    params["context"].get("checksum", {}).pop("request_algorithm", None)
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def _problem(path: str, error: ClientError) -> StorageProblem:
    refused = Refused(path, error)
    if refused.code in _ABSENT:
        return PathNotFound(path)
    if refused.code in _FULL or refused.status == 507:
        return StorageFull(path, refused.code)
    return refused


_REASONS: tuple[tuple[type[BotoCoreError], str], ...] = (
    (SSLError, "the store's certificate is not trusted"),
    (ReadTimeoutError, "the store does not answer in time"),
    (ConnectionClosedError, "the store closes the connection"),
    (CannotConnect, "the store cannot be reached"),
    (ResponseStreamingError, "the store's answer breaks off"),
    (IncompleteReadError, "the store's answer breaks off"),
    (NoCredentialsError, "there are no credentials"),
)


def _reason(error: BotoCoreError) -> str:
    """In words of ours: the exception's own hold URLs."""
    return next((words for kind, words in _REASONS if isinstance(error, kind)), type(error).__name__)


def _complaint(settings: S3Settings, error: Exception) -> SettingsError:
    """One line that says which setting to mend."""
    where = settings.endpoint_url or "AWS"
    if isinstance(error, ClientError):
        return SettingsError(f"s3: {_advice_on_answer(settings, Refused('', error), where)}")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        advice = f"there are no credentials: set {_named('access_key')} and {_named('secret_key')}, or AWS's own"
    elif isinstance(error, SSLError):
        advice = f"the certificate of {where} is not trusted: set {_named('ca_bundle')}"
    elif isinstance(error, CannotConnect | HTTPClientError):
        advice = f"nothing answers at {where} ({_reason(error)}): mend {_named('endpoint_url')}, or start the store"
    else:
        # Names and regions that cannot be, answers that are no XML.
        said = " ".join(str(error).split())[:200]
        advice = f"{where} does not serve bucket {settings.bucket!r}: {said}: mend the settings {_named('')}*"
    return SettingsError(f"s3: {advice}")


def _advice_on_answer(settings: S3Settings, refused: Refused, where: str) -> str:
    said = f"{where} answers {refused.status} {refused.code}"
    if refused.code == "NoSuchBucket":
        return f"there is no bucket {settings.bucket!r} at {where}: create it, or mend {_named('bucket')}"
    if refused.code in _FORBIDDEN:
        return (
            f"{said}: mend {_named('access_key')} and {_named('secret_key')}, "
            f"or let them list, read, write and delete in bucket {settings.bucket!r}"
        )
    if refused.code in _ELSEWHERE:
        return f"{said}: bucket {settings.bucket!r} lies in another region, mend {_named('region')}"
    return f"{said} to requests for bucket {settings.bucket!r}: mend {_named('endpoint_url')} and {_named('bucket')}"


def demand_region(settings: S3Settings, region: str, answer: Mapping[str, Any]) -> None:
    """botocore follows a bucket to its region, but a signed URL does not. Raises SettingsError."""
    actual = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", region)
    if actual != region:
        raise SettingsError(f"s3: bucket {settings.bucket!r} lies in {actual}: set {_named('region')}={actual}")
