"""A real Keystone over SQLite, with a project `demo`, its user `demo`, and a catalogue of Swift and Glance."""

from __future__ import annotations

import base64
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from tests.servers.openstack_environment import HOME, PLACEHOLDER, execute, kept, run, serve
from tests.servers.process import free_port

USER, PASSWORD, PROJECT = "demo", "demo", "demo"
ADMIN = "admin"

_CONF = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{folder}/keystone.db?timeout=60
sqlite_synchronous = false
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = oslo_cache.dict
[revoke]
caching = false
"""


class Keystone:
    """Running when made; `swift` and `glance` are the addresses its catalogue gives."""

    def __init__(self, folder: Path, port: int, swift: str, glance: str) -> None:
        shutil.copytree(kept("keystone", _make), folder)
        self._database = folder / "keystone.db"
        self._port = port
        for marker, url in (("identity", f"http://127.0.0.1:{port}"), ("swift", swift), ("glance", glance)):
            self._point(f"{PLACEHOLDER}/{marker}", url)
        self._process = _serve(folder, port)

    @property
    def auth_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v3"

    @property
    def port(self) -> int:
        return self._port

    def token(self, user: str = USER) -> str:
        """One for the user `demo`, or for `admin`; each has a project and a password of that name."""
        return self._log_in(user).headers["X-Subject-Token"]

    def storage_url(self) -> str:
        """The Swift account of the project `demo`."""
        for service in self._log_in().json()["token"]["catalog"]:
            if service["type"] == "object-store":
                return str(service["endpoints"][0]["url"])
        raise LookupError("the catalogue has no Swift")

    def revoke_tokens(self) -> None:
        """Every token of the user `demo` given so far is worth nothing."""
        changed_at = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=1)
        user = self._log_in().json()["token"]["user"]["id"]
        execute(
            self._database,
            "INSERT INTO revocation_event (user_id, issued_before, revoked_at) VALUES (?, ?, ?)",
            user, str(changed_at), str(changed_at),
        )  # fmt: skip
        # Tokens are stamped with whole seconds.
        time.sleep(2)

    def close(self) -> None:
        self._process.stop()

    def _log_in(self, user: str = USER) -> requests.Response:
        domain = {"domain": {"name": "Default"}}
        password = {"user": {"name": user, "password": user, **domain}}
        asked = {"identity": {"methods": ["password"], "password": password},
                 "scope": {"project": {"name": user, **domain}}}  # fmt: skip
        answer = requests.post(f"{self.auth_url}/auth/tokens", json={"auth": asked}, timeout=60)
        answer.raise_for_status()
        return answer

    def _point(self, old: str, new: str) -> None:
        execute(self._database, "UPDATE endpoint SET url = replace(url, ?, ?)", old, new)


def _serve(folder: Path, port: int) -> Any:
    conf = folder / "keystone.conf"
    conf.write_text(_CONF.format(folder=folder), encoding="ascii")
    environ = {**os.environ, "OS_KEYSTONE_CONFIG_FILES": str(conf), "OS_KEYSTONE_CONFIG_DIR": str(folder)}
    return serve("keystone", "keystone.wsgi.api:application", port, folder, environ)


def _make(folder: Path) -> None:
    """The database and keys, with placeholders for addresses."""
    for name in ("fernet", "credential"):
        (folder / name).mkdir(mode=0o700)
        for number in "01":
            (folder / name / number).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
            (folder / name / number).chmod(0o600)
    conf = folder / "keystone.conf"
    conf.write_text(_CONF.format(folder=folder), encoding="ascii")
    manage = [HOME / "bin" / "keystone-manage", "--config-file", conf]
    run(*manage, "db_sync")
    identity = f"{PLACEHOLDER}/identity/v3"
    run(*manage, "bootstrap", "--bootstrap-password", "admin", "--bootstrap-region-id", "RegionOne",
        "--bootstrap-public-url", identity, "--bootstrap-internal-url", identity)  # fmt: skip
    port = free_port()
    server = _serve(folder, port)
    try:
        _Seed(f"http://127.0.0.1:{port}/v3").sow()
    finally:
        server.stop()


class _Seed:
    """Fills a new Keystone through its API, as its administrator."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        domain = {"domain": {"id": "default"}}
        password = {"user": {"name": "admin", "password": "admin", **domain}}
        asked = {
            "identity": {"methods": ["password"], "password": password},
            "scope": {"project": {"name": "admin", **domain}},
        }
        answer = self._session.post(f"{url}/auth/tokens", json={"auth": asked}, timeout=30)
        answer.raise_for_status()
        self._session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def sow(self) -> None:
        roles = {role["name"]: role["id"] for role in self._ask("GET", "roles").json()["roles"]}
        for name, role in (("demo", "member"), ("service", "admin")):
            project = self._create("project", name=name, domain_id="default")
            user = self._create("user", name=name, domain_id="default", password=name, default_project_id=project)
            self._ask("PUT", f"projects/{project}/users/{user}/roles/{roles[role]}")
        for kind, url in (
            ("object-store", f"{PLACEHOLDER}/swift/v1/AUTH_%(project_id)s"),
            ("image", f"{PLACEHOLDER}/glance"),
        ):
            service = self._create("service", name=kind, type=kind)
            for interface in ("public", "internal", "admin"):
                self._create("endpoint", service_id=service, interface=interface, url=url, region_id="RegionOne")

    def _create(self, kind: str, **values: str) -> str:
        created: str = self._ask("POST", f"{kind}s", {kind: values}).json()[kind]["id"]
        return created

    def _ask(self, method: str, path: str, body: object = None) -> requests.Response:
        answer = self._session.request(method, f"{self._url}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer
