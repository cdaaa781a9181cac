"""A real Ceph object gateway: one monitor, one OSD that keeps everything in memory, one radosgw.

Made from nothing in about a second, on loopback, without cephx, and ended with the process that started it.
"""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from common.settings import variable
from tests.servers.process import Process, ServerFailed, free_port, listening, require, server_environ, stop_together
from tests.servers.store import Store
from tests.servers.tls import Certificate

BUCKET = "images"
REGION = "us-east-1"
ACCESS_KEY = "AKWHARFINGER"
SECRET_KEY = "a-secret-key-of-the-tests"
SWIFT_USER = "wharfinger:swift"
SWIFT_KEY = "a-swift-key-of-the-tests"

# Fast on one machine, and truthful about what a test cares for:
# - `monmap` and --no-mon-config: without them one start in four fails with "wrong fsid".
# - tcp_nodelay: without it every small GET waits 40 ms.
# - objecter_tick_interval, paxos_propose_interval: from 15 seconds for a start to one.
# - garbage is collected within seconds, or memory would not come back between tests.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{monitor_port}
ms_bind_msgr2 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
monmap = {folder}/monmap
run_dir = {folder}
crash_dir = {folder}
admin_socket =
log_file =
log_to_stderr = true
err_to_stderr = true
debug_rgw = 0/0
debug_osd = 0/0
debug_mon = 0/0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_class_update_on_start = false
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 2
mon_data_avail_crit = 1
mon_max_pg_per_osd = 1000
mon_tick_interval = 1
mon_client_ping_interval = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
objecter_tick_interval = 0.25
[mon]
mon_data = {folder}/mon
mon_initial_members = a
mon_osd_prime_pg_temp = false
[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 17179869184
[client]
rgw_frontends = {frontends}
rgw_data = {folder}
rgw_dns_name = localhost
rgw_enable_usage_log = false
rgw_crypt_require_ssl = false
rgw_enable_lc_threads = false
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 5
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_thread_pool_size = 128
rgw_swift_account_in_url = true
rgw_swift_enforce_content_length = false
"""


class Radosgw:
    """One running gateway at `url`; `client` talks to it as an operator would."""

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        """With a certificate it also listens at `tls_url`."""
        self._folder = folder
        self._certificate = certificate
        self.port = free_port()
        self.tls_port = free_port()
        self._monitor_port = free_port()
        self._environ = server_environ({"CEPH_CONF": str(folder / "ceph.conf")})
        self.processes: list[Process] = []
        self._names = (f"store-{number}" for number in count())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def authority(self) -> Path | None:
        """Whose certificate to trust at `tls_url`."""
        return self._certificate and self._certificate.authority

    def start(self) -> None:
        """Raises ServerFailed."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        identity = str(uuid.uuid4())
        for part in ("mon", "osd"):
            (self._folder / part).mkdir(parents=True)
        self._configure(identity)
        self._start_monitor(identity)
        self._start_osd()
        gateway = ("radosgw", "--no-mon-config", "-n", "client.rgw", "-f")
        self._spawn(gateway, lambda: listening(self.port))
        self._make_user()
        self.client.create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        stop_together(*reversed(self.processes))

    @cached_property
    def client(self) -> Any:
        """A boto3 client of the gateway's user; anybody's own retries are none of its business."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
            ),
        )

    def store(self, **settings: object) -> Store:
        """An empty place in the bucket, as the S3 driver is told of it; `settings` are fields of its S3Settings."""
        given = {
            "bucket": BUCKET,
            "endpoint_url": self.url,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            **settings,
        }
        return Store("s3", next(self._names), {variable("s3", field): str(value) for field, value in given.items()})

    def uploads(self, *stores: Store) -> list[tuple[str, list[str]]]:
        """What was begun there and neither completed nor aborted: key, and the tags of the parts it holds."""
        client = self.client
        begun = [
            upload
            for store in stores
            for upload in client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{store.path}/").get("Uploads", ())
        ]
        return [(one["Key"], self._parts(client, one)) for one in begun]

    def _parts(self, client: Any, upload: dict[str, Any]) -> list[str]:
        listed = client.list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        return [part["ETag"] for part in listed.get("Parts", ())]

    def limit_user(self, objects: int) -> None:
        """How many objects the user may keep in all; -1 for as many as there is room."""
        self._admin("quota", "set", "--quota-scope=user", "--uid=wharfinger", f"--max-objects={objects}")
        self._admin("quota", "enable" if objects >= 0 else "disable", "--quota-scope=user", "--uid=wharfinger")

    def _configure(self, identity: str) -> None:
        frontends = f"beast endpoint=127.0.0.1:{self.port} tcp_nodelay=1"
        if self._certificate:
            frontends += (
                f" ssl_endpoint=127.0.0.1:{self.tls_port} ssl_certificate={self._certificate.certificate}"
                f" ssl_private_key={self._certificate.key}"
            )
        text = _CONFIGURATION.format(
            folder=self._folder, fsid=identity, monitor_port=self._monitor_port, frontends=frontends
        )
        (self._folder / "ceph.conf").write_text(text, encoding="utf-8")

    def _start_monitor(self, identity: str) -> None:
        address = f"[v1:127.0.0.1:{self._monitor_port}]"
        self._run("monmaptool", "--create", "--clobber", "--fsid", identity, "--addv", "a", address, "monmap")
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", "monmap")
        self._spawn(("ceph-mon", "-i", "a", "-f"), lambda: listening(self._monitor_port))

    def _start_osd(self) -> None:
        identity = str(uuid.uuid4())
        self._run("ceph", "osd", "new", identity)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        # What asks it for something waits until it is up.
        self._spawn(("ceph-osd", "--no-mon-config", "-i", "0", "-f"), lambda: True)

    def _make_user(self) -> None:
        self._admin(
            "user", "create", "--uid=wharfinger", "--display-name=Wharfinger",
            f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}",
        )  # fmt: skip
        self._admin(
            "subuser", "create", "--uid=wharfinger", f"--subuser={SWIFT_USER}", "--access=full",
            "--key-type=swift", f"--secret={SWIFT_KEY}",
        )  # fmt: skip

    def _admin(self, *words: str) -> None:
        self._run("radosgw-admin", "-n", "client.rgw", *words)

    def _spawn(self, command: Sequence[str], ready: Callable[[], bool]) -> None:
        # Ended by the kernel when the tests are: what it keeps in memory would stay.
        words = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        process = Process(command[0], words, self._folder, self._environ)
        process.start(ready)
        self.processes.append(process)

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, env=self._environ, cwd=self._folder, capture_output=True, text=True)
        if done.returncode:
            logs = "\n".join(process.tail() for process in self.processes)
            raise ServerFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}\n{logs}")


def start_radosgw(folder: Path, certificate: Certificate | None = None) -> Radosgw:
    """A running gateway. Raises ServerFailed, saying what to install where something is missing."""
    for program, package in (("ceph-mon", "ceph-mon"), ("ceph-osd", "ceph-osd"), ("radosgw", "radosgw")):
        require(program, package)
    # Three ports are chosen before anybody listens there; another test's server may be faster.
    for attempt in ("first", "second"):
        gateway = Radosgw(folder / attempt, certificate)
        with contextlib.suppress(ServerFailed):
            gateway.start()
            return gateway
    gateway = Radosgw(folder / "last", certificate)
    gateway.start()
    return gateway
