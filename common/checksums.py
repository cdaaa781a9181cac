"""Checksums in the protocol's format, `algorithm:hex`; a tarsum's algorithm includes its version (protocol §4)."""

from __future__ import annotations

import hmac
import re

from common.errors import Invalid

_CHECKSUM = re.compile(r"(?P<algorithm>[A-Za-z0-9.+_-]{1,32}):(?P<hex>[A-Fa-f0-9]{32,128})")


class Checksum(str):
    """A checksum: `sha256:…`, `tarsum+sha256:…` or `tarsum.v1+sha256:…`; hex digits are lower case."""

    __slots__ = ()

    def __new__(cls, text: str) -> Checksum:
        """Raises Invalid."""
        match = _CHECKSUM.fullmatch(text.strip())
        if match is None:
            raise Invalid("Invalid checksum: expected algorithm:hex")
        return super().__new__(cls, f"{match['algorithm']}:{match['hex'].lower()}")

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    def agrees_with(self, other: Checksum) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.encode(), other.encode())
