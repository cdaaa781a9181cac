"""A real Glance over SQLite and a folder, which believes Keystone's tokens."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.servers.openstack_environment import HOME, kept, run, serve

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
api_limit_max = 100
[database]
connection = sqlite:///{folder}/glance.db
[glance_store]
default_backend = fs
[fs]
filesystem_store_datadir = {folder}/images
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
    """Running when made; its listings have pages of at most 100 images."""

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
    conf.write_text(_CONF.format(folder=folder, port=port, keystone=keystone), encoding="ascii")
    return conf


def _make(folder: Path) -> None:
    run(HOME / "bin" / "glance-manage", "--config-file", _configure(folder, 1, "http://127.0.0.1:1"), "db_sync")
