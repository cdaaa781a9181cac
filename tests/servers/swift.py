"""A real Swift: one device, one replica, a proxy that knows tempauth and another that asks Keystone.

Its limits are set low, so that ordinary tests cross them: listings of 200 names, objects of 64 MiB, manifests of
40 segments.
"""

from __future__ import annotations

import os
import pwd
import socket
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import requests

from tests.servers.openstack_environment import require_openstack
from tests.servers.process import Process, free_port, listening, require

USER, PASSWORD, READER, READER_PASSWORD = "test:tester", "testing", "test:reader", "reading"

LISTING_LIMIT = 200
MANIFEST_LIMIT = 40
OBJECT_LIMIT = 64 * 1024**2

CHUNK = 1024**2
"""What its servers hand on at once: of gigabytes, 64 KiB at a time take three times as long."""

_MIDDLEWARE = (
    "catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl {auth} copy slo dlo symlink proxy-server"
)

_PROXY = """
[pipeline:main]
pipeline = {pipeline}
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
client_chunk_size = {chunk}
object_chunk_size = {chunk}
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
max_manifest_segments = {manifest_limit}
rate_limit_under_size = 0
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
"""

_TEMPAUTH = """
[filter:tempauth]
use = egg:swift#tempauth
user_admin_admin = admin .admin .reseller_admin
user_test_tester = testing .admin
user_test_reader = reading
"""

_KEYSTONE = """
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}/v3
auth_url = {keystone}/v3
auth_type = password
user_domain_id = default
project_domain_id = default
project_name = service
username = service
password = service
delay_auth_decision = true
include_service_catalog = false
cache = swift.cache
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
"""


_OBJECT = f"""
container_update_timeout = 60
network_chunk_size = {CHUNK}
disk_chunk_size = {CHUNK}
"""


class Swift:
    """Running when made. `containers` are made by tests, each for itself."""

    def __init__(self, folder: Path, keystone: str) -> None:
        self._python = require_openstack()
        self._folder = folder
        self._etc = folder / "etc"
        self._etc.mkdir(parents=True)
        (folder / "devices" / "d1").mkdir(parents=True)
        self._port, self._keystone_port, self._memcached_port = free_port(), free_port(), free_port()
        self._backends = {name: free_port() for name in ("account", "container", "object")}
        self._names = (f"store{number}" for number in count())
        self._configure(keystone)
        self._memcached = self._start_memcached()
        self._swift = self._start()

    @property
    def auth_url(self) -> str:
        """Where tempauth gives tokens."""
        return f"http://127.0.0.1:{self._port}/auth/v1.0"

    @property
    def port(self) -> int:
        return self._port

    @property
    def keystone_url(self) -> str:
        """The proxy that believes Keystone."""
        return f"http://127.0.0.1:{self._keystone_port}"

    def new_name(self) -> str:
        """A container's name that nobody has had."""
        return next(self._names)

    def new_container(self) -> SwiftContainer:
        """An empty one, in tempauth's account `test`."""
        container = SwiftContainer(self, self.new_name())
        container.ask("PUT").raise_for_status()
        return container

    def forget_tokens(self) -> None:
        """Every token given so far is worth nothing: tempauth keeps them in memcached."""
        with socket.create_connection(("127.0.0.1", self._memcached_port), timeout=30) as memcached:
            memcached.sendall(b"flush_all\r\n")
            assert memcached.recv(4) == b"OK\r\n"

    def close(self) -> None:
        self._swift.stop()
        self._memcached.stop()

    def log_in(self, user: str = USER, password: str = PASSWORD) -> tuple[str, str]:
        """An account's address and a token for it."""
        answer = requests.get(self.auth_url, headers={"X-Auth-User": user, "X-Auth-Key": password}, timeout=30)
        answer.raise_for_status()
        return answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]

    def _configure(self, keystone: str) -> None:
        self._write("swift", "[swift-hash]\nswift_hash_path_suffix = tests\nswift_hash_path_prefix = tests")
        with (self._etc / "swift.conf").open("a", encoding="ascii") as file:
            file.write(f"[swift-constraints]\ncontainer_listing_limit = {LISTING_LIMIT}\n")
            file.write(f"max_file_size = {OBJECT_LIMIT}\n")
            file.write("[storage-policy:0]\nname = only\ndefault = yes\n")
        for name, port in self._backends.items():
            extra = "log_requests = false\n" + (_OBJECT if name == "object" else "")
            app = f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n{extra}"
            self._write(f"{name}-server", self._defaults(port) + app)
        for name, port, auth, section in (
            ("proxy", self._port, "tempauth", _TEMPAUTH),
            ("proxy-keystone", self._keystone_port, "authtoken keystoneauth", _KEYSTONE.format(keystone=keystone)),
        ):
            values = {"memcached": self._memcached_port, "manifest_limit": MANIFEST_LIMIT, "chunk": CHUNK}
            proxy = _PROXY.format(pipeline=_MIDDLEWARE.format(auth=auth), **values)
            self._write(f"{name}-server", self._defaults(port) + proxy + section)

    def _defaults(self, port: int) -> str:
        return (
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {pwd.getpwuid(os.getuid())[0]}\n"
            f"swift_dir = {self._etc}\ndevices = {self._folder}/devices\nmount_check = false\nfallocate_reserve = 0\n"
            f"disable_fallocate = true\nlog_level = WARNING\nlog_address = {self._folder}/no-log\n"
        )

    def _write(self, name: str, text: str) -> None:
        (self._etc / f"{name}.conf").write_text(text + "\n", encoding="ascii")

    def _start_memcached(self) -> Process:
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        command = [require("memcached", "memcached"), *user, "-l", "127.0.0.1", "-p", str(self._memcached_port)]
        process = Process("memcached", [*command, "-m", "16", "-U", "0"], self._folder)
        process.start(lambda: listening(self._memcached_port))
        return process

    def _start(self) -> Process:
        program = Path(__file__).with_name("swift_child.py")
        ports = [str(port) for port in self._backends.values()]
        process = Process("swift", [str(self._python), "-P", str(program), str(self._etc), *ports], self._folder)
        everyone = [self._port, self._keystone_port, *self._backends.values()]
        process.start(lambda: all(listening(port) for port in everyone))
        return process


@dataclass
class SwiftContainer:
    """A container, reached without the driver's help."""

    server: Swift
    name: str
    _login: tuple[str, str] = ("", "")
    _expiring: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._login = self.server.log_in()

    def environ(self, **settings: object) -> dict[str, str]:
        """The driver's settings for it."""
        if settings.get("temporary_urls") == "container":
            settings = {"segments_container": self.name, **settings}
        values = {"container": self.name, "auth_url": self.server.auth_url, "auth_version": 1,
                  "user": USER, "password": PASSWORD, **settings}  # fmt: skip
        return {f"WHARFINGER_SWIFT_{name}".upper(): str(value) for name, value in values.items()}

    def ask(self, method: str, name: str = "", segments: bool = False, **kept: Any) -> requests.Response:
        """One request to the container, to an object in it, or to its segments'."""
        for _ in range(2):
            url, token = self._login
            given = {"X-Auth-Token": token, **kept.get("headers", {})}
            place = f"{url}/{self.name}{'_segments' if segments else ''}" + (f"/{name}" if name else "")
            answer = requests.request(method, place, timeout=60, **{**kept, "headers": given})
            if answer.status_code != 401:
                break
            self._login = self.server.log_in()
        return answer

    def names(self, segments: bool = False) -> list[str]:
        """Everything in it, or in its segments' container, page by page."""
        found: list[str] = []
        while True:
            answer = self.ask("GET", segments=segments, params={"marker": found[-1] if found else ""})
            page = answer.text.split() if answer.ok else []
            found += page
            if len(page) < LISTING_LIMIT:
                return found

    def unsettled(self) -> list[str]:
        """What is in the segments' container and belongs to no content of the container."""
        inside = self.names(segments=True)
        if not inside:
            return []
        known = [self.ask("HEAD", name).headers.get("X-Object-Meta-Wharfinger-Upload", "") for name in self.names()]
        uploads = {upload.partition("/")[2] for upload in known}
        loose = [name for name in inside if uploads.isdisjoint(name.split("/")) and name not in self._expiring]
        return [name for name in loose if not self._expires(name)]

    def _expires(self, segment: str) -> bool:
        """Whether its content was replaced a moment ago; nothing takes that back, so that it is asked once."""
        if "X-Delete-At" in self.ask("HEAD", segment, segments=True).headers:
            self._expiring.add(segment)
        return segment in self._expiring

    def account_key(self) -> str:
        """The account's Temp-URL-Key, which all tests share."""
        return "the account's"
