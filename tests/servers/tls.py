"""A throw-away certificate authority and one certificate for 127.0.0.1 and localhost, made with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import require


@dataclass(frozen=True)
class Certificate:
    """Files: the authority to trust, the server's certificate and its key."""

    authority: Path
    certificate: Path
    key: Path


KINDS = {
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "rsa": ["-newkey", "rsa:2048"],
}


def make_certificate(folder: Path, kind: str = "ec") -> Certificate:
    """Make both in `folder`; valid for a day. The oldest daemons know `rsa` only."""
    openssl = require("openssl", "openssl")
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority_key = folder / "authority.key"
    new_key = [*KINDS[kind], "-nodes", "-days", "1"]
    _run(
        openssl, "req", "-x509", *new_key, "-subj", "/CN=Throw-away authority", "-out", made.authority,
        "-keyout", authority_key, "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    _run(
        openssl, "req", "-x509", *new_key, "-subj", "/CN=localhost", "-out", made.certificate, "-keyout", made.key,
        "-CA", made.authority, "-CAkey", authority_key, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
        "-addext", "basicConstraints=critical,CA:FALSE",
    )  # fmt: skip
    return made


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
