"""Failures of S3 requests in the contract's words, and, at the start, as one line that says which setting to mend."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.exceptions import ConnectionError as CannotConnect

from common.settings import SettingsError
from registry_service.storage.driver import PathNotFound, StorageFull, StorageProblem
from registry_service.storage.retrying import Refused
from registry_service.storage.s3.connections import Unreachable
from registry_service.storage.s3.settings import S3Settings, named

TRANSIENT_CODES = ("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "InternalError")
"""Some stores send these with a status 400, as S3 itself does with the first."""

_ABSENT = ("NoSuchKey", "404", "NotFound")
_FULL = ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull")
_FORBIDDEN = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "403")
_ELSEWHERE = ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "301")


def refused_by(path: str, error: ClientError, attempt: int = 1) -> Refused:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(error.response.get("Error", {}).get("Code", ""))[:64]
    return Refused(path, status, attempt=attempt, code=code)


def problem_of(path: str, error: ClientError, attempt: int) -> StorageProblem:
    refused = refused_by(path, error, attempt)
    if refused.code in _ABSENT:
        return PathNotFound(path)
    if refused.code in _FULL or refused.status == 507:
        return StorageFull(path, refused.code)
    return refused


_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    ((SSLError, ssl.SSLCertVerificationError), "the store's certificate is not trusted"),
    ((ReadTimeoutError, TimeoutError), "the store does not answer in time"),
    ((ConnectionClosedError, ConnectionError, HTTPException), "the store closes the connection"),
    ((CannotConnect, Unreachable), "the store cannot be reached"),
    (NoCredentialsError, "there are no credentials"),
)


def reason_of(error: Exception) -> str:
    """In words of ours: the exception's own hold URLs."""
    return next((words for kind, words in _REASONS if isinstance(error, kind)), type(error).__name__)


def complaint_about(settings: S3Settings, error: Exception) -> SettingsError:
    """One line that says which setting to mend."""
    where = settings.endpoint_url or "AWS"
    if isinstance(error, ClientError):
        return SettingsError(f"s3: {_advice_on_answer(settings, refused_by('', error), where)}")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        advice = f"there are no credentials: set {named('access_key')} and {named('secret_key')}, or AWS's own"
    elif isinstance(error, SSLError):
        advice = f"the certificate of {where} is not trusted: set {named('ca_bundle')}"
    elif isinstance(error, CannotConnect | HTTPClientError):
        advice = f"nothing answers at {where} ({reason_of(error)}): mend {named('endpoint_url')}, or start the store"
    else:
        # Names and regions that cannot be, answers that are no XML.
        said = " ".join(str(error).split())[:200]
        advice = f"{where} does not serve bucket {settings.bucket!r}: {said}: mend the settings {named('')}*"
    return SettingsError(f"s3: {advice}")


def _advice_on_answer(settings: S3Settings, refused: Refused, where: str) -> str:
    said = f"{where} answers {refused.status} {refused.code}"
    if refused.code == "NoSuchBucket":
        return f"there is no bucket {settings.bucket!r} at {where}: create it, or mend {named('bucket')}"
    if refused.code in _FORBIDDEN:
        return (
            f"{said}: mend {named('access_key')} and {named('secret_key')}, "
            f"or let them list, read, write and delete in bucket {settings.bucket!r}"
        )
    if refused.code in _ELSEWHERE:
        return f"{said}: bucket {settings.bucket!r} lies in another region, mend {named('region')}"
    return f"{said} to requests for bucket {settings.bucket!r}: mend {named('endpoint_url')} and {named('bucket')}"


def demand_region(settings: S3Settings, region: str, answer: Mapping[str, Any]) -> None:
    """botocore follows a bucket to its region, but a signed URL does not. Raises SettingsError."""
    actual = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", region)
    if actual != region:
        raise SettingsError(f"s3: bucket {settings.bucket!r} lies in {actual}: set {named('region')}={actual}")
