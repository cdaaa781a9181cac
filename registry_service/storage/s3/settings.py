"""The S3 driver's settings."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings import file, one_of, seconds, setting, url, variable, whole_number

MIB = 1024**2

LONGEST_URL_SECONDS = 7 * 24 * 3600.0


def _bucket_name(text: str) -> str:
    if not text or "/" in text:
        raise ValueError(f"{text!r} is no name of a bucket")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """WHARFINGER_S3_*, or the table [s3]."""

    bucket: str = setting(_bucket_name, "Bucket, which must exist; the storage path is the root within it.")
    endpoint_url: str = setting(url, "Endpoint URL of the store, http(s)://host:port; empty means AWS.", "")
    region: str = setting(
        str, "Region of the bucket; empty means the one in AWS's own configuration, or us-east-1.", ""
    )
    access_key: str = setting(
        str, "Access key; empty means the default credential chain: AWS_*, shared files, role.", ""
    )
    secret_key: str = setting(str, "Secret key of the access key.", "", secret=True)
    addressing: str = setting(
        one_of("auto", "path", "virtual"),
        "Addressing style: path, or virtual (bucket in the host name); auto means virtual at AWS, path elsewhere.",
        "auto",
    )
    signature: str = setting(one_of("s3v4", "s3"), "Signature version; s3 is version 2, for old stores.", "s3v4")
    encryption: str = setting(
        one_of("", "AES256", "aws:kms"), "Server-side encryption of each object; empty means none.", ""
    )
    encryption_key: str = setting(str, "Key id for aws:kms; empty means the account's default key.", "")
    ca_bundle: str = setting(file, "CA bundle to trust instead of the system's.", "")
    checksums: str = setting(
        one_of("when_required", "when_supported"),
        "When to send and require checksums in headers and trailers; older stores reject when_supported.",
        "when_required",
    )
    part_bytes: int = setting(
        whole_number(5 * MIB),
        "Size of a multipart part in bytes, one in memory per upload; a layer has at most 10,000.",
        8 * MIB,
    )
    copy_bytes: int = setting(
        whole_number(5 * MIB), "Size in bytes above which an object is copied in parts.", 5 * 1024**3
    )
    attempts: int = setting(whole_number(1), "Maximum attempts of a request.", 5)
    connect_timeout: float = setting(seconds, "Connect timeout, in seconds.", 5.0)
    read_timeout: float = setting(seconds, "Read timeout, in seconds.", 60.0)
    connections: int = setting(
        whole_number(1), "Maximum idle connections in the pool, for reads and for writes each.", 128
    )
    url_seconds: float = setting(seconds, "Lifetime of a signed URL, in seconds.", 1200.0)
    url_endpoint: str = setting(url, "Endpoint in signed URLs, if clients reach the store by another name.", "")

    def __post_init__(self) -> None:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError(f"{named('access_key')} and {named('secret_key')} go together")
        if self.encryption_key and self.encryption != "aws:kms":
            raise ValueError(f"{named('encryption_key')} needs {named('encryption')}=aws:kms")
        if not 1 <= self.url_seconds <= LONGEST_URL_SECONDS:
            raise ValueError(f"{named('url_seconds')}: no store signs for other than 1 second to 7 days")


def named(field: str) -> str:
    return variable("s3", field)
