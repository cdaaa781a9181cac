"""A stand-in for Google Cloud Storage as a child of the tests: its address, key files, buckets and mishaps."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.process import Process, free_port, listening
from tests.servers.store import Store

PROJECT = "harbour"
ROLES = ("objectAdmin", "objectViewer", "objectCreator")


class Gcs(Process):
    """The server of `gcs_server`, with a service account for each role."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__("gcs", [sys.executable, "-m", "tests.servers.gcs_server", str(self.port), str(folder)], folder)
        self._http = urllib3.PoolManager(retries=False)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make_accounts(self) -> None:
        """What the server and its clients must know of each other before it starts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        accounts = {email(role): self._new_account(role) for role in ROLES}
        (self.folder / "accounts.json").write_text(json.dumps(accounts), encoding="utf-8")

    def __enter__(self) -> Gcs:
        self.make_accounts()
        self.start(lambda: listening(self.port))
        return self

    def key_file(self, role: str = "objectAdmin") -> Path:
        """A service account's key, as Google's console hands it out."""
        return self.folder / f"{role}.json"

    def new_bucket(self, is_public: bool = False) -> str:
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self._control("POST", "bucket", {"name": name, "public": is_public})
        return name

    def store(self, bucket: str, **settings: object) -> Store:
        """A root in a bucket, as the account that may do everything unless settings say otherwise."""
        given = {"bucket": bucket, "endpoint": self.endpoint, "credentials": self.key_file(), **settings}
        return Store(
            "gcs", "/registry", {f"WHARFINGER_GCS_{name.upper()}": str(value) for name, value in given.items()}
        )

    def drop_bucket(self, name: str) -> None:
        self._control("DELETE", f"bucket/{name}")

    def plan(self, *mishaps: dict[str, Any]) -> None:
        """Replace what is to go wrong (see `gcs_server.Mishap`), and forget what was seen."""
        self._control("POST", "mishaps", list(mishaps))

    def seen(self) -> list[str]:
        """`METHOD target` of every request since the last plan."""
        return list(self._control("GET", "seen"))

    def revoke_tokens(self) -> None:
        self._control("POST", "revoke")

    def open_sessions(self, bucket: str) -> list[str]:
        """Names of the objects whose resumable uploads hold bytes and were neither finished nor cancelled."""
        return list(self._control("GET", f"sessions/{bucket}"))

    def _control(self, method: str, what: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document)
        answer = self._http.request(method, f"{self.endpoint}/_control/{what}", body=body)
        assert answer.status == 200
        return answer.json()

    def _new_account(self, role: str) -> dict[str, str]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        document = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": uuid.uuid4().hex,
            "private_key": private.decode(),
            "client_email": email(role),
            "token_uri": f"{self.endpoint}/token",
        }
        self.key_file(role).write_text(json.dumps(document), encoding="utf-8")
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {"key": public.decode(), "role": f"roles/storage.{role}"}


def email(role: str) -> str:
    return f"{role.lower()}@{PROJECT}.iam.gserviceaccount.com"
