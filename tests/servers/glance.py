"""A real Glance over SQLite and a folder, which believes Keystone's tokens."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.servers.keystone import ADMIN, PASSWORD, PROJECT, USER, Keystone
from tests.servers.openstack_environment import HOME, kept, run, serve

PAGE = 40

_PASTE = """
[pipeline:glance-api]
pipeline = versionnegotiation authtoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
"""

_CONF = """
[DEFAULT]
workers = 0
enabled_backends = fs:file
public_endpoint = http://127.0.0.1:{port}
limit_param_default = 25
api_limit_max = {page}
[database]
connection = sqlite:///{folder}/glance.db?timeout=60
sqlite_synchronous = false
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = {folder}/images
filesystem_thin_provisioning = true
filesystem_store_chunk_size = 1048576
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[paste_deploy]
config_file = {folder}/paste.ini
[oslo_concurrency]
lock_path = {folder}
[keystone_authtoken]
www_authenticate_uri = {keystone}/v3
auth_url = {keystone}/v3
auth_type = password
user_domain_id = default
project_domain_id = default
project_name = service
username = service
password = service
service_token_roles_required = false
"""


class Glance:
    """Running when made; its listings have pages of at most PAGE images."""

    def __init__(self, folder: Path, port: int, keystone: str) -> None:
        shutil.copytree(kept("glance", _make), folder)
        _configure(folder, port, keystone)
        self.folder = folder
        self.port = port
        environ = {**os.environ, "OS_GLANCE_CONFIG_DIR": str(folder), "OS_GLANCE_CONFIG_FILES": "glance-api.conf"}
        self._process = serve("glance", "glance.wsgi.api:application", port, folder, environ)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._process.stop()


def _configure(folder: Path, port: int, keystone: str) -> Path:
    for name in ("images", "staging", "tasks"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "paste.ini").write_text(_PASTE, encoding="ascii")
    conf = folder / "glance-api.conf"
    conf.write_text(_CONF.format(folder=folder, port=port, keystone=keystone, page=PAGE), encoding="ascii")
    return conf


def _make(folder: Path) -> None:
    run(HOME / "bin" / "glance-manage", "--config-file", _configure(folder, 1, "http://127.0.0.1:1"), "db_sync")


@dataclass
class Project:
    """The project `demo` and its images, reached without the driver's help."""

    keystone: Keystone
    glance: Glance
    _token: str = ""

    def environ(self, **settings: object) -> dict[str, str]:
        """The driver's settings for it, with a driver behind that needs none."""
        return self.only(
            **{"auth_url": self.keystone.auth_url, "user": USER, "password": PASSWORD, "project": PROJECT,
               "alternate": "memory" if "alternate_path" not in settings else "filesystem", **settings}
        )  # fmt: skip

    @staticmethod
    def only(**settings: object) -> dict[str, str]:
        """These settings as environment."""
        return {f"WHARFINGER_GLANCE_{name}".upper(): str(value) for name, value in settings.items()}

    def images(self, root: str) -> list[dict[str, Any]]:
        """The images below a root."""
        return [image for image in self._everything() if image.get("wharfinger_path", "").startswith(f"{root}/")]

    def begun(self) -> list[str]:
        """Images that nobody finds."""
        return [image["id"] for image in self._everything() if "wharfinger_path" not in image]

    def patch(self, image: str, **properties: str) -> None:
        changes = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in properties.items()]
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        self._ask("PATCH", f"images/{image}", headers=headers, json=changes)

    def admin_image(self, **properties: str) -> str:
        """An active image of the project `admin`; returns its id."""
        admin = {"X-Auth-Token": self.keystone.token(ADMIN)}
        wanted = {"disk_format": "raw", "container_format": "docker", **properties}
        image: str = self._ask("POST", "images", headers=admin, json=wanted).json()["id"]
        data = {**admin, "Content-Type": "application/octet-stream"}
        self._ask("PUT", f"images/{image}/file", headers=data, data=b"theirs")
        return image

    def _everything(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        place = "images?visibility=private"
        while place:
            page = self._ask("GET", place).json()
            found += page["images"]
            place = page.get("next", "").removeprefix("/v2/")
        return found

    def _ask(self, method: str, place: str, headers: dict[str, str] | None = None, **kept: Any) -> requests.Response:
        for _ in range(2):
            given = {"X-Auth-Token": self._token, **(headers or {})}
            answer = requests.request(method, f"{self.glance.url}/v2/{place}", headers=given, timeout=60, **kept)
            if answer.status_code != 401:
                break
            self._token = self.keystone.token()
        answer.raise_for_status()
        return answer
