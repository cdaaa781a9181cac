"""What is Google's in the gcs driver: credentials, signatures, sessions, generations, and what is said of failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
import urllib3

from common.settings import SettingsError
from registry_service.storage import factory
from registry_service.storage.driver import Driver, PathNotFound, StorageFailure
from tests.clients.wire import Target
from tests.conformance.drivers_contract import generated, read
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.gcs import Gcs
from tests.servers.process import eventually, free_port
from tests.servers.services import ROOT
from tests.servers.store import Store

MIB = 1024**2


@pytest.fixture
def bucket(gcs: Gcs) -> str:
    return gcs.new_bucket()


@pytest.fixture
def driver(gcs: Gcs, bucket: str) -> Driver:
    return opened(gcs.store(bucket))


def opened(store: Store) -> Driver:
    return factory.create(store.name, store.path, store.environ)


def fetch(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, headers=headers, retries=False)


def write(driver: Driver, path: str, blocks: int) -> bytes:
    with driver.open_writer(path) as writer:
        for block in generated(blocks):
            writer.write(block)
        writer.commit()
    return b"".join(generated(blocks))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bucket": "nobody-made-this"}, "gcs bucket nobody-made-this does not exist: .*WHARFINGER_GCS_BUCKET"),
        ({"bucket": "No Name"}, "WHARFINGER_GCS_BUCKET: 'No Name' is not the name of a bucket"),
        ({"credentials": "/nowhere.json"}, r"WHARFINGER_GCS_CREDENTIALS: cannot read /nowhere.json \(No such file"),
        ({"credentials": "setup.cfg"}, "WHARFINGER_GCS_CREDENTIALS: setup.cfg is not a service account's key file"),
        ({"credentials": "anonymous"}, "cannot be listed .*WHARFINGER_GCS_CREDENTIALS"),
        ({"endpoint": "gs://here"}, "WHARFINGER_GCS_ENDPOINT: 'gs://here' does not begin with http"),
        ({"endpoint": f"http://127.0.0.1:{free_port()}", "attempts": 1}, "gcs at http.* does not answer .*_ENDPOINT"),
        ({"url_seconds": 604801}, "WHARFINGER_GCS_URL_SECONDS"),
        ({"timeout": 0}, "WHARFINGER_GCS_TIMEOUT: must be more than 0 seconds"),
    ],
)
def test_what_is_wrong_is_said_at_the_start(gcs: Gcs, bucket: str, settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        opened(gcs.store(settings.pop("bucket", bucket), **settings))
    assert "\n" not in str(caught.value)


def test_a_role_that_may_not_list(gcs: Gcs, bucket: str) -> None:
    with pytest.raises(SettingsError, match=r"answered 403: .*does not have storage.objects.list.*Storage Object User"):
        opened(gcs.store(bucket, credentials=gcs.key_file("objectCreator")))


def test_a_key_the_project_does_not_know(gcs: Gcs, bucket: str, tmp_path: Path) -> None:
    stolen = json.loads(gcs.key_file("objectViewer").read_text()) | {"client_email": "somebody@elsewhere.com"}
    (tmp_path / "key.json").write_text(json.dumps(stolen))
    with pytest.raises(SettingsError, match="the credentials are refused"):
        opened(gcs.store(bucket, credentials=tmp_path / "key.json"))


def test_a_root_too_long_for_names(gcs: Gcs, bucket: str) -> None:
    with pytest.raises(SettingsError, match="longer than 120 bytes"):
        factory.create("gcs", "r" * 121, gcs.store(bucket).environ)


def test_default_credentials(gcs: Gcs, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(gcs.key_file()))
    driver = opened(gcs.store(bucket, credentials=""))
    driver.put("a", b"1")
    assert fetch(str(driver.url_for("a"))).data == b"1"


def test_no_default_credentials(gcs: Gcs, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(SettingsError, match="there are no default credentials"):
        opened(gcs.store(bucket, credentials=""))


def test_a_token_that_ran_out_is_renewed(gcs: Gcs, driver: Driver) -> None:
    driver.put("a", b"1")
    gcs.revoke_tokens()
    assert driver.get("a") == b"1"


def test_tokens_are_shown_to_the_endpoint_alone(gcs: Gcs, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultProxy(Target.parse(gcs.endpoint)) as elsewhere:
        monkeypatch.setenv("HTTPS_PROXY", elsewhere.url)
        before = set(threading.enumerate())
        opened(gcs.store(bucket)).put("a", b"1")
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
        assert elsewhere.asked == []


def test_who_may_not_write(gcs: Gcs, bucket: str, driver: Driver) -> None:
    driver.put("a", b"1")
    viewer = opened(gcs.store(bucket, credentials=gcs.key_file("objectViewer")))
    assert viewer.get("a") == b"1"
    for act in (lambda: viewer.put("a", b"2"), lambda: viewer.delete("a"), lambda: viewer.move("a", "b")):
        with pytest.raises(StorageFailure, match="gcs: storage failed at: a: answered 403: objectviewer@harbour"):
            act()
    assert driver.get("a") == b"1"


def test_a_bucket_that_goes_is_no_absence(gcs: Gcs, bucket: str, driver: Driver) -> None:
    driver.put("a", b"1")
    gcs.drop_bucket(bucket)
    for act in (driver.get, driver.stat, driver.exists, driver.list, driver.delete):
        with pytest.raises(StorageFailure, match="the bucket is no longer there"):
            act("a")


def test_a_signed_url_is_all_one_needs(driver: Driver) -> None:
    driver.put("images/a+b%252F~/layer", b"0123456789")
    url = str(driver.url_for("images/a+b%252F~/layer"))
    assert fetch(url).data == b"0123456789"
    part = fetch(url, Range="bytes=3-5")
    assert (part.status, part.data, part.headers["Content-Range"]) == (206, b"345", "bytes 3-5/10")


def test_a_signed_url_is_good_for_nothing_else(driver: Driver) -> None:
    driver.put("a", b"1")
    driver.put("b", b"1")
    url = str(driver.url_for("a"))
    for tampered in (url.replace("/a?", "/b?"), url.replace("Expires=1200", "Expires=1201"), url[:-2] + "00"):
        refused = fetch(tampered)
        assert refused.status == 403
        assert b"<Code>SignatureDoesNotMatch</Code>" in refused.data
    assert fetch(url.partition("?")[0]).status == 403
    assert urllib3.request("PUT", url, body=b"2", retries=False).status >= 400


def test_a_signed_url_runs_out(gcs: Gcs, bucket: str) -> None:
    driver = opened(gcs.store(bucket, url_seconds=1))
    driver.put("a", b"1")
    url = str(driver.url_for("a"))
    eventually(lambda: fetch(url).status == 400, lambda: "still good")
    assert b"<Code>ExpiredToken</Code>" in fetch(url).data


def test_a_signed_url_is_given_again_for_a_while(gcs: Gcs, bucket: str) -> None:
    driver = opened(gcs.store(bucket, url_seconds=4))
    url = driver.url_for("a")
    assert url == driver.url_for("a") != driver.url_for("b")
    eventually(lambda: driver.url_for("a") != url, lambda: "the same for ever")


def test_nothing_to_sign_with(gcs: Gcs) -> None:
    driver = opened(gcs.store(gcs.new_bucket(is_public=True), credentials="anonymous"))
    driver.put("a", b"1")
    assert driver.url_for("a") is None


def test_a_request_each(gcs: Gcs, driver: Driver) -> None:
    driver.put("d/e", b"1")
    for act in (
        lambda: driver.put("a", b"1"),
        lambda: driver.create("b", b"1"),
        lambda: write(driver, "c", 8),
        lambda: driver.get("a"),
        lambda: driver.stat("a"),
        lambda: driver.exists("a"),
        lambda: list(driver.list("d")),
    ):
        gcs.plan()
        act()
        assert len(gcs.seen()) == 1


def test_a_chunk_kept_in_part_is_sent_on(gcs: Gcs, driver: Driver) -> None:
    gcs.plan({"method": "PUT", "path": "upload_id", "keep": 3 * MIB, "times": 2})
    content = write(driver, "layer", 70)
    chunks = [line for line in gcs.seen() if line.startswith("PUT")]
    assert len(chunks) == 3 + 2
    assert read(driver.open_reader("layer")) == content


def test_a_store_that_keeps_nothing_is_given_up(gcs: Gcs, bucket: str) -> None:
    driver = opened(gcs.store(bucket, attempts=2))
    gcs.plan({"method": "PUT", "path": "upload_id", "keep": 0, "times": 99})
    with pytest.raises(StorageFailure, match="The store kept nothing of a chunk"):
        write(driver, "layer", 70)
    assert len([line for line in gcs.seen() if line.startswith("PUT")]) == 2
    assert gcs.open_sessions(bucket) == []
    assert not driver.exists("layer")


def test_what_arrives_damaged_is_not_published(gcs: Gcs, bucket: str, driver: Driver) -> None:
    gcs.plan({"method": "PUT", "path": "upload_id", "damaged": True})
    with pytest.raises(StorageFailure, match="answered 400: Provided CRC32C"):
        write(driver, "layer", 70)
    gcs.plan({"method": "POST", "path": "multipart", "damaged": True})
    with pytest.raises(StorageFailure, match="answered 400: Provided CRC32C"):
        driver.put("small", bytes(5000))
    assert not driver.exists("layer")
    assert not driver.exists("small")
    assert gcs.open_sessions(bucket) == []


def test_a_repeated_delete_spares_what_came_since(gcs: Gcs, bucket: str, driver: Driver) -> None:
    driver.put("mark", b"old")

    def lose_the_answer(exchange: Exchange) -> None:
        if exchange.method == "DELETE" and driver.exists("mark"):
            try:
                exchange.swallow()
            finally:
                driver.put("mark", b"new")
        exchange.pass_on()

    with FaultProxy(Target.parse(gcs.endpoint)) as proxy:
        shaky = opened(gcs.store(bucket, endpoint=proxy.url))
        proxy.plan(lose_the_answer, times=3)
        shaky.delete("mark")
    assert driver.get("mark") == b"new"


def test_a_lost_answer_is_not_taken_for_another_s_creation(gcs: Gcs, driver: Driver) -> None:
    gcs.plan({"method": "POST", "path": "ifGenerationMatch=0", "when": "after"})
    assert driver.create("mine", b"1") is True
    assert driver.create("mine", b"1") is False
    gcs.plan({"method": "POST", "path": "ifGenerationMatch=0", "when": "before"})
    assert driver.create("mine", b"1") is False


def test_the_mark_of_a_folder_is_no_name(gcs: Gcs, bucket: str, driver: Driver) -> None:
    """Consoles make an object named as the folder is, with a slash at the end."""
    driver.driver._api.insert("registry/images/", b"")
    with pytest.raises(PathNotFound):
        driver.list("images")
    driver.put("images/a", b"1")
    assert list(driver.list("images")) == ["a"]


def test_requester_pays(gcs: Gcs, bucket: str) -> None:
    driver = opened(gcs.store(bucket, project="harbour"))
    gcs.plan()
    content = write(driver, "a", 40)
    driver.move("a", "b")
    assert read(driver.open_reader("b")) == content
    driver.delete("b")
    assert all("userProject=harbour" in line for line in gcs.seen() if "upload_id" not in line)


def test_names_in_an_old_store(gcs: Gcs, bucket: str) -> None:
    """Keys begin with the storage path without its slash."""
    factory.create("gcs", "/registry/", gcs.store(bucket).environ).put("images/a/json", b"{}")
    driver = factory.create("gcs", "", gcs.store(bucket).environ)
    assert list(driver.list("registry")) == ["images"]
    assert quote("registry/images/a/json") in str(driver.url_for("registry/images/a/json"))


def test_grpc_is_not_needed(gcs: Gcs, bucket: str) -> None:
    """Where it cannot be imported all works, and nothing that is installed brings it."""
    program = (
        "import os, sys; sys.modules['grpc'] = None\n"
        "from registry_service.storage import factory\n"
        "driver = factory.create('gcs', sys.argv[1], os.environ)\n"
        "driver.put('a', b'1'); print(driver.get('a'), [name for name in sys.modules if name.startswith('grpc.')])"
    )
    store = gcs.store(bucket)
    command = [sys.executable, "-c", program, store.path]
    done = subprocess.run(command, env={**os.environ, **store.environ}, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["b'1'", "[]"], done.stderr
    assert "grpc" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_waits_hold_nobody_up_under_gevent(tmp_path: Path) -> None:
    module = "tests.units.registry_service.storage.gcs_in_one_hub"
    command = [sys.executable, "-m", "gevent.monkey", "--module", module, str(tmp_path)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert child.stdout == "ok\n", child.stderr
