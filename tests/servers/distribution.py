"""Debian's docker-registry (distribution 2.8.2): a registry of today, to which images are brought and copied.

It may demand a login (htpasswd), or tokens, which `Tokens` issues as an index of its own would.
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.clients.wire import Target
from tests.servers.process import Process, free_port, listening, require, server_environ
from tests.servers.services import Account
from tests.servers.tls import Certificate, make_certificate

HARBOUR = Account("harbour", "harbour-password")
_HTPASSWD = "harbour:$2b$05$abcdefghijklmnopqrstuuFD0WSHEz35Sv0p0hi04TAe7EG1Z3R5i\n"
"""By bcrypt, which is the only kind it takes."""


def distribution(folder: Path, port: int, **sections: Mapping[str, Any]) -> Process:
    """A registry that was started on a port of 127.0.0.1; what is said of a section of its configuration counts."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
        **sections,
    }
    config = folder / "config.yml"
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = [require("docker-registry", "docker-registry"), "serve", str(config)]
    process = Process("distribution", command, folder, server_environ({}))
    process.start(lambda: listening(port))
    return process


@contextmanager
def running(folder: Path, **sections: Mapping[str, Any]) -> Iterator[Target]:
    port = free_port()
    with distribution(folder, port, **sections):
        yield Target("http", "127.0.0.1", port)


def demanding_login(folder: Path) -> dict[str, Any]:
    """The section `auth` of a registry that only HARBOUR may use."""
    path = folder / "htpasswd"
    path.write_text(_HTPASSWD)
    return {"htpasswd": {"realm": "harbour", "path": str(path)}}


class Tokens:
    """Issues tokens to HARBOUR for whatever is asked for, and to nobody else for anything."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self._certificate = make_certificate(folder, "rsa")
        tokens = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tokens.asked.append(self.path)
                is_known = self.headers.get("Authorization") == HARBOUR_BASIC
                asked = parse_qs(urlsplit(self.path).query).get("scope", [])
                body = json.dumps({"token": tokens.issue(asked), "expires_in": 60} if is_known else {}).encode()
                self.send_response(200 if is_known else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The tests read `asked`."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def section(self) -> dict[str, Any]:
        """`auth` of a registry that takes these tokens."""
        return {
            "token": {
                "realm": f"http://127.0.0.1:{self._server.server_address[1]}/token",
                "service": "harbour",
                "issuer": "tokens",
                "rootcertbundle": str(self._certificate.certificate),
            }
        }

    def issue(self, scopes: list[str]) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        claims = {"iss": "tokens", "aud": "harbour", "sub": HARBOUR.name, "iat": now, "nbf": now - 5, "exp": now + 60}
        return _signed(self._certificate, {**claims, "jti": str(now), "access": access})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


HARBOUR_BASIC = f"Basic {base64.b64encode(f'{HARBOUR.name}:{HARBOUR.password}'.encode()).decode()}"


def _signed(certificate: Certificate, claims: Mapping[str, Any]) -> str:
    der = x509.load_pem_x509_certificate(certificate.certificate.read_bytes()).public_bytes(Encoding.DER)
    header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    key = load_pem_private_key(certificate.key.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return f"{signed}.{_encoded(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
