"""`wharfinger-registry check`: what it says of stores that work, and of each way in which one may not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_service.storage.check import Check, Finding
from registry_service.storage.driver import Driver, Reader, Stat, StorageFailure
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.clients.wire import Target
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.gcs import Gcs
from tests.servers.openstack import OpenStack
from tests.servers.radosgw import BUCKET, Radosgw


def check(storage: str, path: str, **environ: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "WHARFINGER_REGISTRY_STANDALONE": "true",
        "WHARFINGER_REGISTRY_STORAGE": storage,
        "WHARFINGER_REGISTRY_STORAGE_PATH": path,
    }
    command = [sys.executable, "-m", "registry_service.cli", "check"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings, **environ})
    assert "Traceback" not in done.stderr
    return done


def check_gcs(gcs: Gcs, bucket: str, delivery: str = "direct", **settings: object) -> subprocess.CompletedProcess[str]:
    store = gcs.store(bucket, **settings)
    return check(store.name, store.path, WHARFINGER_REGISTRY_DELIVERY=delivery, **store.environ)


def lines(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What was said of each step."""
    return {line[:14].strip(): line[15:] for line in done.stdout.splitlines()}


def findings(driver: Driver, delivery: str = "direct") -> dict[str, Finding]:
    return {finding.step: finding for finding in Check(Guard(driver), delivery).findings()}


STEPS = ["store", "layout", "write", "read", "ranged read", "clock", "create", "move", "list", "local file",
         "signed URL", "delete", "delivery"]  # fmt: skip


def test_a_folder(tmp_path: Path) -> None:
    done = check("filesystem", str(tmp_path))
    said = lines(done)
    assert done.returncode == 0
    assert list(said) == STEPS
    assert said["store"] == f"filesystem, at {tmp_path}"
    assert said["local file"] == "ok: nginx can send it"
    assert said["delivery"].startswith("ok: it is direct; what makes sense: direct, or nginx")
    assert not (tmp_path / "_probes").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = check("filesystem", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Error: storage path {tmp_path / 'none'} is not a directory: create it, or mend the setting"
    ]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["images/a/json", "repositories/library/busybox/tag_latest"], "will be served as it is"),
        (["repositories/library/busybox/tag_latest"], "but it has no images"),
        (["docker/registry/v2/blobs/a"], "a store of registry v2"),
        ([], "nothing is there yet; .*WHARFINGER_REGISTRY_STORAGE_PATH"),
    ],
)
def test_what_is_there_already(there: list[str], said: str) -> None:
    driver = Memory()
    for path in there:
        driver.put(path, b"1")
    assert re.search(said, findings(driver)["layout"].remark)
    assert all(driver.exists(path) for path in there)


def test_a_bucket(gcs: Gcs) -> None:
    bucket = gcs.new_bucket()
    done = check_gcs(gcs, bucket, "redirect")
    said = lines(done)
    assert done.returncode == 0, done.stdout
    assert list(said) == STEPS
    assert said["signed URL"] == f"ok: fetched from {gcs.endpoint} without credentials"
    assert "redirect only for clients that come without TLS" in said["delivery"]
    assert "ignature" not in done.stdout
    store = gcs.store(bucket)
    assert check(store.name, "/", **store.environ).returncode == 0


def test_credentials_that_may_only_read(gcs: Gcs) -> None:
    done = check_gcs(gcs, gcs.new_bucket(), credentials=gcs.key_file("objectViewer"))
    said = lines(done)
    assert done.returncode == 1
    assert said["write"].startswith("FAILED: gcs: storage failed at: _probes/check-")
    assert "let the credentials create and replace objects" in said["write"]
    assert list(said) == STEPS[:3]
    assert done.stderr == "Error: this store cannot be used as it is\n"


def test_credentials_that_sign_nothing(gcs: Gcs) -> None:
    done = check_gcs(gcs, gcs.new_bucket(is_public=True), credentials="anonymous")
    said = lines(done)
    assert done.returncode == 0
    assert said["signed URL"] == "ok: this store, or these credentials, sign none"
    assert "what makes sense: direct; there is no signed URL" in said["delivery"]


@pytest.mark.parametrize(("delivery", "status"), [("direct", 0), ("redirect", 1), ("nginx", 1)])
def test_signed_urls_that_lead_nowhere(gcs: Gcs, delivery: str, status: int) -> None:
    """Which matters to those deliveries that need them."""
    bucket = gcs.new_bucket()

    def refuse_strangers(exchange: Exchange) -> None:
        (Exchange.refuse if "X-Goog-Signature" in exchange.target else Exchange.pass_on)(exchange)

    with FaultProxy(Target.parse(gcs.endpoint)) as proxy:
        proxy.plan(refuse_strangers)
        done = check_gcs(gcs, bucket, delivery, endpoint=proxy.url)
    said = lines(done)
    assert done.returncode == status
    assert f"{proxy.url.removeprefix('http://')} answered 503; clients must reach that host" in said["signed URL"]
    assert said["signed URL"].startswith("FAILED" if status else "does not work")
    assert said["delete"] == "ok"


def test_a_bucket_that_is_not_there(gcs: Gcs) -> None:
    done = check_gcs(gcs, "nobody-made-this")
    assert done.returncode == 1
    assert done.stdout == ""
    assert (
        done.stderr == "Error: gcs bucket nobody-made-this does not exist: create it, or mend WHARFINGER_GCS_BUCKET\n"
    )


def test_a_bucket_of_ceph(radosgw: Radosgw) -> None:
    store = radosgw.store()
    done = check(store.name, store.path, WHARFINGER_REGISTRY_DELIVERY="redirect", **store.environ)
    assert done.returncode == 0, done.stdout
    assert list(lines(done)) == STEPS
    assert lines(done)["signed URL"] == f"ok: fetched from {radosgw.url} without credentials"
    assert list(radosgw.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{store.path}/_probes").get("Contents", ())) == []


def test_a_container_of_swift(openstack: OpenStack) -> None:
    container = openstack.swift.new_container()
    settings = container.environ(temporary_urls="container", temporary_url_key="k", segment_bytes=8 * 1024**2)
    done = check("swift", "registry", WHARFINGER_REGISTRY_DELIVERY="redirect", **settings)
    assert done.returncode == 0, done.stdout
    assert lines(done)["signed URL"].startswith("ok: fetched from http://127.0.0.1:")
    assert container.names() == []


def test_an_image_service_is_tried_as_well_as_what_keeps_the_rest(openstack: OpenStack, tmp_path: Path) -> None:
    project = openstack.project()
    with FaultProxy(Target.parse(openstack.glance.url)) as proxy:
        environ = project.environ(alternate_path=tmp_path, endpoint_url=proxy.url, attempts=1)
        done = check("glance", "checked", **environ)
        assert done.returncode == 0, done.stdout
        assert {"POST", "PUT", "PATCH", "GET", "DELETE"} <= {line.partition(" ")[0] for line in proxy.asked}
        assert lines(done)["signed URL"] == "ok: this store, or these credentials, sign none"
        for method, step in (("PUT", "write"), ("PATCH", "write"), ("DELETE", "delete")):
            assert not (tmp_path / "_probes").exists()
            proxy.plan(
                lambda exchange, method=method: (exchange.refuse if exchange.method == method else exchange.pass_on)()
            )
            failed = lines(check("glance", "checked", **environ))
            assert failed[step].startswith("FAILED: glance: storage failed at: _probes/check-"), failed


class Overwrites(Memory):
    def create(self, path: str, content: bytes) -> bool:
        self.put(path, content)
        return True


class Garbles(Memory):
    def get(self, path: str) -> bytes:
        return super().get(path)[::-1]


class IgnoresRanges(Memory):
    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        return super().open_reader(path)


class ShortensLists(Memory):
    def list(self, path: str) -> Iterator[str]:
        return iter(sorted(super().list(path))[:1])


class Copies(Memory):
    def move(self, source: str, target: str) -> None:
        self.put(target, self.get(source))


class Keeps(Memory):
    def delete(self, path: str) -> None:
        if not path.startswith("_probes/") or path.count("/") > 1:
            super().delete(path)


class IsLate(Memory):
    def stat(self, path: str) -> Stat:
        found = super().stat(path)
        return Stat(found.size, found.modified - 600)


class ShowsNoFile(Memory):
    def local_path(self, path: str) -> Path:
        return Path("/nowhere") / path


class HasNoHost(Memory):
    def url_for(self, path: str) -> str:
        return "http://127.0.0.1:9/nobody?Signature=secret"


@pytest.mark.parametrize(
    ("driver", "step", "problem"),
    [
        (Overwrites(), "create", "what was there was created again"),
        (Garbles(), "read", "something other came back than was written"),
        (IgnoresRanges(), "ranged read", "other bytes came back than those asked for"),
        (ShortensLists(), "list", "what was written is not listed"),
        (Copies(), "move", "what was moved is still where it was"),
        (Keeps(), "delete", "what was deleted is still there"),
        (IsLate(), "clock", r"this machine's clock is [+]60\d seconds from the store's"),
        (ShowsNoFile(), "local file", "there is no such file"),
        (HasNoHost(), "signed URL", "127.0.0.1:9 cannot be asked"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Memory) else "",
)
def test_each_step_finds_its_trouble(driver: Memory, step: str, problem: str) -> None:
    found = findings(driver, "redirect")
    assert re.search(problem, found[step].problem or "")
    assert found[step].mend
    assert found[step].is_fatal == (step != "clock")
    assert "secret" not in str(found[step])
    assert [name for name, finding in found.items() if finding.problem and name != step] in ([], ["create"])


class FailsToMove(Memory):
    def move(self, source: str, target: str) -> None:
        raise StorageFailure(source, "not today")


def test_nothing_is_left_when_a_step_fails() -> None:
    driver = FailsToMove()
    found = findings(driver)
    assert str(found["move"]).startswith("move           FAILED: memory: storage failed at: _probes/check-")
    assert found["list"].problem is None
    assert not driver.exists("_probes")


def test_nothing_is_left_when_nobody_hears_the_end() -> None:
    driver = Memory()
    steps = Check(Guard(driver), "direct").findings()
    assert [next(steps).step for _ in range(4)][-1] == "ranged read"
    assert driver.exists("_probes")
    steps.close()
    assert not driver.exists("_probes")
