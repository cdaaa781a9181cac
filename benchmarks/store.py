"""An S3-like store on this machine: Ceph's object gateway before one OSD that keeps everything in memory.

So what is measured is whoever stands before the store, and not this machine's disk.
"""

from __future__ import annotations

import secrets
import subprocess
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3.session
from botocore.config import Config

from benchmarks import processes
from benchmarks.processes import Server

BUCKET = "images"
ROOT = "bench"
"""Where the set-ups of this project keep their images in the bucket: all serve the same objects."""

ACCESS_KEY = "BENCHMARK"
SECRET_KEY = secrets.token_hex(16)
REGION = "us-east-1"

_URL_SECONDS = 7 * 24 * 3600


class ObjectStore:
    """Started by the first that asks for it; `held` are the ids of images that were pushed to `ROOT`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = processes.free_port()
        self._settings = {"CEPH_CONF": str(folder / "ceph.conf")}
        self.held: set[str] = set()
        self.servers: list[Server] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def settings(self) -> Mapping[str, str]:
        """As a registry of this project is told of it."""
        return {
            "WHARFINGER_REGISTRY_STORAGE": "s3",
            "WHARFINGER_REGISTRY_STORAGE_PATH": ROOT,
            "WHARFINGER_S3_BUCKET": BUCKET,
            "WHARFINGER_S3_ENDPOINT_URL": self.url,
            "WHARFINGER_S3_ACCESS_KEY": ACCESS_KEY,
            "WHARFINGER_S3_SECRET_KEY": SECRET_KEY,
        }

    @cached_property
    def client(self) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def start(self) -> None:
        """A second call does nothing. Raises DidNotStart."""
        if self.servers:
            return
        for part in ("mon", "osd"):
            (self._folder / part).mkdir(parents=True)
        monitor = f"v1:127.0.0.1:{processes.free_port()}"
        identity = str(uuid.uuid4())
        configuration = _CONFIGURATION.format(folder=self._folder, fsid=identity, monitor=monitor, port=self._port)
        (self._folder / "ceph.conf").write_text(configuration)
        script = _START.format(fsid=identity, monitor=monitor, osd=uuid.uuid4())
        command = ["sh", "-ec", script]
        self.servers.append(
            processes.start("store", command, self._folder, self.url, self._settings, working_directory=self._folder)
        )
        self._make_user()
        self.client.create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def layer_url(self, image_id: str) -> str:
        """A signed address of a layer that is held, good for days."""
        wanted = {"Bucket": BUCKET, "Key": f"{ROOT}/images/{image_id}/layer"}
        return str(self.client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=_URL_SECONDS))

    def _make_user(self) -> None:
        words = ["user", "create", "--uid=bench", "--display-name=bench"]
        keys = [f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}"]
        command = ["radosgw-admin", "-n", "client.rgw", *words, *keys]
        subprocess.run(
            command, cwd=self._folder, env=processes.environ(self._settings), check=True, capture_output=True
        )


# One session of processes, which is started, measured and ended as one server.
_START = """
monmaptool --create --clobber --fsid {fsid} --addv a '[{monitor}]' monmap
ceph-mon -i a --mkfs --monmap monmap
ceph-mon -i a -f &
ceph osd new {osd}
ceph-osd -i 0 --mkfs --osd-uuid {osd}
ceph-osd --no-mon-config -i 0 -f &
exec radosgw --no-mon-config -n client.rgw -f
"""

# tcp_nodelay: without it every small GET waits 40 ms. The ticks and intervals: a start takes one second, not fifteen.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = {monitor}
monmap = {folder}/monmap
ms_bind_msgr2 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
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
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_data = {folder}
rgw_enable_usage_log = false
rgw_enable_lc_threads = false
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 5
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_thread_pool_size = 128
"""
