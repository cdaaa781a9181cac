"""The client's tarsum against sums that Go's own implementation is known to make (protocol §4.2)."""

from __future__ import annotations

import io
import tarfile

import pytest

from tests.clients.images import make_chain, unpack
from tests.clients.tarsum import tarsum


def tar_of(
    name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, pax: dict[str, str] | None = None
) -> bytes:
    """A tar of one file whose owner, where it has content, is the one of Go's examples."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.size, entry.mode, entry.mtime = kind, len(content), 0, 0
        if content:
            entry.uid = entry.gid = 1000
            entry.uname, entry.gname = "slartibartfast", "users"
        entry.pax_headers = pax or {}
        tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def zeros() -> bytes:
    """A megabyte of zeros in an old-style entry, whose type is NUL."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("/testdata0")
        entry.type, entry.size, entry.mode, entry.mtime = tarfile.AREGTYPE, 1 << 20, 0o755, 0
        tar.addfile(entry, io.BytesIO(bytes(1 << 20)))
    return target.getvalue()


XATTRS = {"SCHILY.xattr.user.key1": "value1", "SCHILY.xattr.user.key2": "value2"}
OTHER_XATTRS = {"SCHILY.xattr.user.KEY1": "value1", "SCHILY.xattr.user.key2": "value2"}
UNCOUNTED = {"SCHILY.xattr.user.NOT": "CALCULATED"}


@pytest.mark.parametrize(
    ("tar", "version", "expected"),
    [
        (b"", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"\0" * 1024, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (tar_of("file.txt"), 0, "626c4a2e9a467d65c33ae81f7f3dedd4de8ccaee72af73223c4bc4718cbc7bbd"),
        (tar_of("file.txt"), 1, "6ffd43a1573a9913325b4918e124ee982a99c0f3cba90fc032a65f5e20bdd465"),
        (tar_of("another.txt", b"test"), 1, "b38166c059e11fb77bef30bf16fba7584446e80fcc156ff46d47e36c5305d8ef"),
        (
            tar_of("xattrs.txt", b"test", pax=XATTRS),
            1,
            "4cc2e71ac5d31833ab2be9b4f7842a14ce595ec96a37af4ed08f87bc374228cd",
        ),
        (
            tar_of("xattrs.txt", b"test", pax=OTHER_XATTRS),
            1,
            "65f4284fa32c0d4112dd93c3637697805866415b570587e4fd266af241503760",
        ),
        (
            tar_of("xattrs.txt", b"test", pax=UNCOUNTED),
            0,
            "c12bb6f1303a9ddbf4576c52da74973c00d14c109bcfa76b708d5da1154a07fa",
        ),
        (zeros(), 0, "8bf12d7e67c51ee2e8306cba569398b1b9f419969521a12ffb9d8875e8836738"),
    ],
)
def test_known_sums(tar: bytes, version: int, expected: str) -> None:
    label = "tarsum.v1+sha256" if version else "tarsum+sha256"
    assert tarsum(b"", tar, version) == f"{label}:{expected}"


@pytest.mark.parametrize("packing", ["gzip", "xz", "plain"])
def test_packing_and_trailer_make_no_difference(packing: str) -> None:
    for image in make_chain(3, packing=packing, trailer=False):
        assert tarsum(image.json, unpack(image.layer)) == image.tarsum
