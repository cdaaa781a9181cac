"""Digests of the OCI distribution protocol, valid by construction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from common.errors import Invalid, NotFound, Unavailable

SHA256 = "sha256"

_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+(?:[+._-][a-z0-9]+)*):(?P<encoded>[A-Za-z0-9=_-]+)")
_SHA256_HEX = re.compile(r"[a-f0-9]{64}")


class Digest(str):
    """`sha256:` and 64 lower-case hex digits."""

    __slots__ = ()

    @staticmethod
    def parse(text: str) -> Digest:
        """Raises Invalid for what is no digest, and NotFound for one of another algorithm: nothing here has it."""
        match = _DIGEST.fullmatch(text)
        if match is None:
            raise Invalid("Invalid digest: expected algorithm:encoded")
        if match["algorithm"] != SHA256:
            raise NotFound("Nothing is known here by this algorithm of digests")
        return Digest.of_hex(match["encoded"])

    @staticmethod
    def of_hex(encoded: str) -> Digest:
        """Raises Invalid."""
        if _SHA256_HEX.fullmatch(encoded) is None:
            raise Invalid("Invalid digest: sha256 has 64 lower-case hex digits")
        return Digest(f"{SHA256}:{encoded}")

    @staticmethod
    def of(content: bytes) -> Digest:
        return Digest.of_hex(hashlib.sha256(content).hexdigest())

    @property
    def hex(self) -> str:
        return self.partition(":")[2]


def verified(digest: Digest, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks of a blob of ours; raises Unavailable behind the last one where they are no such blob."""
    hashed = hashlib.sha256()
    for block in blocks:
        hashed.update(block)
        yield block
    found = hashed.hexdigest()
    if found != digest.hex:
        raise Unavailable(f"What should be {digest} came to sha256:{found}: the layer is damaged, or was just replaced")
