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


@dataclass(frozen=True, slots=True)
class S3Settings:
    """WHARFINGER_S3_*, or the table [s3]."""

    bucket: str = setting(_bucket_name, "Bucket, which must exist; the store's root is the storage path within it.")
    endpoint_url: str = setting(url, "Where the store is, http(s)://host:port; empty means AWS.", "")
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
    ca_bundle: str = setting(file, "File of certificates to trust instead of the system's.", "")
    checksums: str = setting(
        one_of("when_required", "when_supported"),
        "When checksums in headers and trailers are sent and demanded; older stores refuse when_supported.",
        "when_required",
    )
    part_bytes: int = setting(
        whole_number(5 * MIB), "Bytes of one part, kept in memory for each upload; a layer has up to 10,000.", 8 * MIB
    )
    copy_bytes: int = setting(whole_number(5 * MIB), "Bytes above which a content is copied part by part.", 5 * 1024**3)
    attempts: int = setting(whole_number(1), "How often a request is made before it fails.", 5)
    connect_timeout: float = setting(seconds, "Seconds a connection may take.", 5.0)
    read_timeout: float = setting(seconds, "Seconds the store may be silent.", 60.0)
    connections: int = setting(
        whole_number(1), "Idle connections kept open for the next requests, for reading and for writing each.", 128
    )
    url_seconds: float = setting(seconds, "How long a signed URL is good.", 1200.0)
    url_endpoint: str = setting(url, "Endpoint in signed URLs, where clients reach the store by another name.", "")

    def __post_init__(self) -> None:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError(f"{named('access_key')} and {named('secret_key')} go together")
        if self.encryption_key and self.encryption != "aws:kms":
            raise ValueError(f"{named('encryption_key')} needs {named('encryption')}=aws:kms")
        if not 1 <= self.url_seconds <= LONGEST_URL_SECONDS:
            raise ValueError(f"{named('url_seconds')}: no store signs for other than 1 second to 7 days")


def named(field: str) -> str:
    return variable("s3", field)
