"""The GCS driver's settings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.settings import seconds, setting, url, whole_number


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", text):
        raise ValueError(f"{text!r} is not the name of a bucket")
    return text


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


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsSettings:
    """Where the bucket is and who asks."""

    bucket: str = setting(_bucket, "Bucket, which must exist; the storage path is the root within it.")
    credentials: str = setting(
        str,
        "Key file (JSON) of a service account; anonymous for none; empty for the default credentials: "
        "GOOGLE_APPLICATION_CREDENTIALS, gcloud's, or the machine's own.",
        "",
    )
    project: str = setting(str, "Project to bill, if the bucket has requester pays.", "")
    endpoint: str = setting(url, "Endpoint URL of the API, as https://host, if it is not Google's public one.", "")
    timeout: float = setting(
        _some_seconds, "Read timeout, in seconds: until the response begins, and between bytes.", 60.0
    )
    attempts: int = setting(whole_number(1), "Maximum attempts of a request.", 4)
    url_seconds: int = setting(_signed_seconds, "Lifetime of a signed URL, in seconds.", 1200)
