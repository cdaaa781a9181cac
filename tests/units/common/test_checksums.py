"""Checksums as the wire spells them."""

from __future__ import annotations

import pytest

from common.checksums import Checksum
from common.errors import Invalid

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        (f"sha256:{HEX}", "sha256"),
        (f"tarsum+sha256:{HEX}", "tarsum+sha256"),
        (f"tarsum.v1+sha256:{HEX}", "tarsum.v1+sha256"),
        (f"tarsum.dev+sha512:{HEX * 2}", "tarsum.dev+sha512"),
        (f" sha256:{HEX.upper()} ", "sha256"),
    ],
)
def test_what_clients_send(text: str, algorithm: str) -> None:
    checksum = Checksum(text)
    assert checksum.algorithm == algorithm
    assert checksum == text.strip().lower()


@pytest.mark.parametrize(
    "text", ["", "sha256", "sha256:", HEX,
             f"sha256:{HEX}x", "sha256:abc", f"sha 256:{HEX}", f"sha256:{HEX * 3}", f":{HEX}",
             f"sha256:{HEX}\nX-Other: y", f"{'a' * 33}:{HEX}"]
)  # fmt: skip
def test_what_is_no_checksum(text: str) -> None:
    with pytest.raises(Invalid, match="algorithm:hex"):
        Checksum(text)


def test_checksums_agree_letter_by_letter() -> None:
    checksum = Checksum(f"sha256:{HEX}")
    assert checksum.agrees_with(Checksum(f"sha256:{HEX.upper()}"))
    assert not checksum.agrees_with(Checksum(f"sha256:{HEX[::-1]}"))
    assert not checksum.agrees_with(Checksum(f"sha512:{HEX}"))
