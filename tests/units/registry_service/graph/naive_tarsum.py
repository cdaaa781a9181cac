"""Tarsum once more, straight from its description and as slowly as can be, with the standard library's tarfile.

for each tar entry:  h = SHA256( concat(k_i || v_i) || file body )       as lower-case hex
total = SHA256( J || concat(sorted hex strings) )
"""

from __future__ import annotations

import hashlib
import io
import math
import tarfile


def naive_tarsum(json: bytes, tar: bytes, version: int = 0, hash_: str = "sha256") -> str:
    sums = []
    with tarfile.open(fileobj=io.BytesIO(tar), encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            text = "".join(key + value for key, value in _headers(info, version))
            body = archive.extractfile(info) if info.isreg() and not info.islnk() else None
            content = body.read() if body else b""
            sums.append(hashlib.new(hash_, text.encode("utf-8", "surrogateescape") + content).hexdigest())
    label = f"tarsum{'.v1' if version else ''}+{hash_}"
    return f"{label}:{hashlib.new(hash_, json + ''.join(sorted(sums)).encode()).hexdigest()}"


def _headers(info: tarfile.TarInfo, version: int) -> list[tuple[str, str]]:
    is_device = info.ischr() or info.isblk()
    # tarfile takes the slash off directories; daemons leave it on.
    headers = [
        ("name", info.name + "/" if info.isdir() else info.name),
        ("mode", str(info.mode)),
        ("uid", str(info.uid)),
        ("gid", str(info.gid)),
        ("size", str(info.size)),
        ("mtime", str(math.floor(info.mtime))),
        ("typeflag", info.type.decode()),
        ("linkname", info.linkname),
        ("uname", info.uname),
        ("gname", info.gname),
        ("devmajor", str(info.devmajor if is_device else 0)),
        ("devminor", str(info.devminor if is_device else 0)),
    ]
    if version == 0:
        return headers
    xattrs = {
        key.removeprefix("SCHILY.xattr."): value
        for key, value in info.pax_headers.items()
        if key.startswith("SCHILY.xattr.")
    }
    return [pair for pair in headers if pair[0] != "mtime"] + [
        (key, xattrs[key]) for key in sorted(xattrs, key=lambda key: key.encode())
    ]
