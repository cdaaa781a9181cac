"""What is the S3 driver's own: settings, complaints at the start, parts, copies, signed URLs, listings, sweeping."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from common.settings import SettingsError
from registry_service.storage import factory
from registry_service.storage.driver import BLOCK, Driver, PathNotFound, StorageFailure, StorageFull
from registry_service.storage.s3 import driver as driver_module
from registry_service.storage.s3 import requests
from registry_service.storage.s3.driver import copy_ranges
from registry_service.storage.s3.errors import demand_region
from registry_service.storage.s3.settings import S3Settings
from tests.clients.wire import Target
from tests.conformance.drivers_contract import generated, read, together
from tests.conformance.drivers_faults import write
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.process import free_port
from tests.servers.radosgw import BUCKET, Radosgw
from tests.servers.services import ROOT
from tests.servers.store import Store

MIB = 1024**2


def opened(store: Store) -> Driver:
    return factory.create(store.name, store.path, store.environ)


def content(size: int) -> bytes:
    return b"".join(generated(size // BLOCK + 1))[:size]


@pytest.fixture
def driver(radosgw: Radosgw) -> Driver:
    return opened(radosgw.store())


@pytest.fixture
def proxy(radosgw: Radosgw) -> Iterator[FaultProxy]:
    with FaultProxy(Target.parse(radosgw.url)) as proxy:
        yield proxy


class TestSettings:
    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"bucket": ""}, "WHARFINGER_S3_BUCKET"),
            ({"bucket": "a/b"}, "WHARFINGER_S3_BUCKET"),
            ({"endpoint_url": "127.0.0.1:7480"}, "WHARFINGER_S3_ENDPOINT_URL"),
            ({"url_endpoint": "ftp://host"}, "WHARFINGER_S3_URL_ENDPOINT"),
            ({"secret_key": ""}, "WHARFINGER_S3_SECRET_KEY"),
            ({"addressing": "subdomain"}, "WHARFINGER_S3_ADDRESSING"),
            ({"signature": "v4"}, "WHARFINGER_S3_SIGNATURE"),
            ({"encryption": "yes"}, "WHARFINGER_S3_ENCRYPTION"),
            ({"encryption_key": "id"}, "WHARFINGER_S3_ENCRYPTION_KEY"),
            ({"ca_bundle": "/nowhere.pem"}, "WHARFINGER_S3_CA_BUNDLE"),
            ({"checksums": "never"}, "WHARFINGER_S3_CHECKSUMS"),
            ({"part_bytes": 1000}, "WHARFINGER_S3_PART_BYTES"),
            ({"attempts": 0}, "WHARFINGER_S3_ATTEMPTS"),
            ({"url_seconds": 700_000}, "WHARFINGER_S3_URL_SECONDS"),
            ({"bukkit": "a"}, "WHARFINGER_S3_BUKKIT"),
        ],
    )
    def test_wrong_ones_are_named(self, radosgw: Radosgw, wrong: dict[str, object], named: str) -> None:
        with pytest.raises(SettingsError, match=named) as caught:
            opened(radosgw.store(**wrong))
        assert "\n" not in str(caught.value)

    def test_secret_is_not_shown(self) -> None:
        assert "hush" not in repr(S3Settings(bucket="a", access_key="key", secret_key="hush"))


class TestStart:
    """One line, which says what to mend."""

    def complaint(self, store: Store) -> str:
        with pytest.raises(SettingsError) as caught:
            opened(store)
        said = str(caught.value)
        assert said.startswith("s3: ")
        assert "\n" not in said
        assert "secret" not in said
        return said

    def test_no_bucket(self, radosgw: Radosgw) -> None:
        said = self.complaint(radosgw.store(bucket="nowhere"))
        assert "there is no bucket 'nowhere'" in said
        assert "WHARFINGER_S3_BUCKET" in said

    def test_no_name_of_a_bucket(self, radosgw: Radosgw) -> None:
        assert "Invalid bucket name" in self.complaint(radosgw.store(bucket="no bucket"))

    @pytest.mark.parametrize("wrong", [{"access_key": "AKNOBODY"}, {"secret_key": "another-secret"}])
    def test_wrong_credential(self, radosgw: Radosgw, wrong: dict[str, object]) -> None:
        said = self.complaint(radosgw.store(**wrong))
        assert "403" in said
        assert "WHARFINGER_S3_ACCESS_KEY and WHARFINGER_S3_SECRET_KEY" in said

    def test_no_credential(self, radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, "/nowhere")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        said = self.complaint(radosgw.store(access_key="", secret_key=""))
        assert "there are no credentials: set WHARFINGER_S3_ACCESS_KEY" in said

    def test_nobody_there(self, radosgw: Radosgw) -> None:
        said = self.complaint(radosgw.store(endpoint_url=f"http://127.0.0.1:{free_port()}"))
        assert "nothing answers" in said
        assert "WHARFINGER_S3_ENDPOINT_URL" in said

    def test_untrusted(self, radosgw: Radosgw) -> None:
        said = self.complaint(radosgw.store(endpoint_url=radosgw.tls_url))
        assert "not trusted: set WHARFINGER_S3_CA_BUNDLE" in said

    def test_no_s3_at_all(self, radosgw: Radosgw) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"It works!")

            def log_message(self, *_: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            said = self.complaint(radosgw.store(endpoint_url=f"http://127.0.0.1:{server.server_port}"))
            server.shutdown()
        assert "WHARFINGER_S3_ENDPOINT_URL" in said or "WHARFINGER_S3_*" in said

    def test_a_proxy_behind_tls(self, radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "https://127.0.0.1:1")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert "let HTTP_PROXY begin with http://" in self.complaint(radosgw.store())

    def test_forbidden_to_write(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        proxy.plan(lambda exchange: exchange.refuse(403) if exchange.method == "PUT" else exchange.pass_on())
        store = radosgw.store(endpoint_url=proxy.url)
        assert "or let them list, read, write and delete" in self.complaint(store)

        # With something to read it is served, and all is well once writing is allowed.
        proxy.pass_everything()
        opened(store).put("a", b"1")
        proxy.plan(lambda exchange: exchange.refuse(403) if exchange.method == "PUT" else exchange.pass_on())
        driver = opened(store)
        assert driver.get("a") == b"1"
        for act in (driver.create, driver.put):
            with pytest.raises(StorageFailure, match="403"):
                act("b", b"1")
        proxy.pass_everything()
        assert driver.create("b", b"1")
        assert not driver.create("b", b"2")

    def test_region_of_the_bucket(self) -> None:
        answer = {"ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}}}
        demand_region(S3Settings(bucket="a"), "eu-west-1", answer)
        demand_region(S3Settings(bucket="a"), "us-east-1", {"ResponseMetadata": {"HTTPHeaders": {}}})
        with pytest.raises(SettingsError, match="set WHARFINGER_S3_REGION=eu-west-1"):
            demand_region(S3Settings(bucket="a"), "us-east-1", answer)

    def test_second_start_asks_three_times(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        """Each worker starts: listing, one conditional PUT, uploads to sweep."""
        store = radosgw.store(endpoint_url=proxy.url)
        opened(store)
        proxy.pass_everything()
        opened(store)
        assert [line.split()[0] for line in proxy.asked] == ["GET", "PUT", "GET"]

    def test_default_chain_of_credentials(self, radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> None:
        environ = radosgw.store().environ
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", environ["WHARFINGER_S3_ACCESS_KEY"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", environ["WHARFINGER_S3_SECRET_KEY"])
        driver = opened(radosgw.store(access_key="", secret_key=""))
        driver.put("a", b"1")
        assert driver.get("a") == b"1"

    def test_default_chain_of_files(self, radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """What `aws configure` writes: a profile's key, and its region."""
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        environ = radosgw.store().environ
        key, secret = environ["WHARFINGER_S3_ACCESS_KEY"], environ["WHARFINGER_S3_SECRET_KEY"]
        credentials, settings = tmp_path / "credentials", tmp_path / "config"
        credentials.write_text(f"[harbour]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        settings.write_text("[profile harbour]\nregion = eu-west-1\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))
        monkeypatch.setenv("AWS_PROFILE", "harbour")
        driver = opened(radosgw.store(access_key="", secret_key=""))
        driver.put("a", b"1")
        assert driver.get("a") == b"1"
        assert "%2Feu-west-1%2Fs3%2F" in (driver.url_for("a") or "")


class TestDocumentedSettings:
    """Those of docs/storage.md, with another place and other keys, as the driver is told them."""

    def as_documented(self, heading: str, store: Store) -> Store:
        section = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2]
        block = section.partition("```sh\n")[2].partition("```")[0]
        said = dict(line.split("=", 1) for line in block.splitlines())
        placed = ("BUCKET", "ENDPOINT_URL", "ACCESS_KEY", "SECRET_KEY")
        assert {f"WHARFINGER_S3_{name}" for name in placed} <= set(said)
        return replace(store, environ={**said, **{name: store.environ[name] for name in said if name in store.environ}})

    def use(self, store: Store) -> None:
        driver = opened(store)
        write(driver, "a/staged", content(11 * MIB))
        driver.move("a/staged", "a/layer")
        assert read(driver.open_reader("a/layer", 5, 100)) == content(105)[5:]
        assert urllib3.request("GET", driver.url_for("a/layer") or "").data == content(11 * MIB)
        assert together(8, lambda number: driver.create("a/mark", str(number).encode())).count(True) == 1
        assert sorted(driver.list("a")) == ["layer", "mark"]
        driver.delete("a")
        assert not driver.exists("a")

    def test_ceph(self, radosgw: Radosgw) -> None:
        self.use(self.as_documented("Ceph", radosgw.store()))

    def test_hmac_keys_of_google_cloud_storage(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        """What that endpoint lacks, this one is made to lack: conditions, copies of parts, deletion of many."""
        lacked: set[str] = set()

        def lack(exchange: Exchange) -> None:
            if exchange.target.endswith("?delete"):
                lacked.add("delete")
                exchange.refuse(400)
            if "partNumber" in exchange.target and exchange.request.header("x-amz-copy-source"):
                lacked.add("copy")
                exchange.refuse(501)
            if exchange.request.header("If-None-Match"):
                # It is signed, and cannot be taken away. The probe's are the only ones, and yes is said to all of them.
                lacked.add("condition")
                exchange.refuse(200)
            exchange.pass_on()

        proxy.plan(lack)
        heading = "Google Cloud Storage by its S3-interoperable endpoint"
        self.use(self.as_documented(heading, radosgw.store(endpoint_url=proxy.url)))
        assert lacked == {"condition", "delete"}

    def test_the_bucket_in_the_host_name(
        self, radosgw: Radosgw, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name that nobody here resolves: the way leads through a proxy, which knows the gateway."""
        hosts: set[str] = set()

        def lead(exchange: Exchange) -> None:
            hosts.add(exchange.request.header("Host"))
            method, url, version = exchange.request.line.split(" ")
            parts = urlsplit(url)
            path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            exchange.request = replace(exchange.request, line=f"{method} {path} {version}")
            exchange.pass_on()

        proxy.plan(lead)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        driver = opened(radosgw.store(endpoint_url=f"http://localhost:{radosgw.port}", addressing="virtual"))
        write(driver, "a/b", content(11 * MIB))
        driver.move("a/b", "a/c")
        assert read(driver.open_reader("a/c")) == content(11 * MIB)
        assert list(driver.list("a")) == ["c"]
        driver.delete("a")
        assert not driver.exists("a")
        assert hosts == {f"{BUCKET}.localhost:{radosgw.port}"}


class TestRequests:
    def test_over_tls(self, radosgw: Radosgw) -> None:
        store = radosgw.store(endpoint_url=radosgw.tls_url, ca_bundle=radosgw.authority, part_bytes=5 * MIB)
        driver = opened(store)
        write(driver, "a", content(6 * MIB))
        assert read(driver.open_reader("a", 1)) == content(6 * MIB)[1:]
        driver.move("a", "b")
        assert (driver.url_for("b") or "").startswith(radosgw.tls_url)

    @pytest.mark.parametrize(
        ("size", "requests"),
        [(0, 1), (1, 1), (5 * MIB - 1, 1), (5 * MIB, 1), (5 * MIB + 1, 4), (10 * MIB, 4), (10 * MIB + 1, 5)],
    )
    def test_one_put_while_it_fits_a_part(self, radosgw: Radosgw, proxy: FaultProxy, size: int, requests: int) -> None:
        driver = opened(radosgw.store(endpoint_url=proxy.url, part_bytes=5 * MIB))
        proxy.pass_everything()
        with driver.open_writer("a") as writer:
            writer.write(content(size))
            writer.commit()
        assert len(proxy.asked) == requests
        assert read(driver.open_reader("a")) == content(size)

    def test_no_checksums_unless_required(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        driver = opened(radosgw.store(endpoint_url=proxy.url, part_bytes=5 * MIB))
        sent: list[str] = []

        def listen(exchange: Exchange) -> None:
            sent.extend(name.lower() for name, _ in exchange.request.headers)
            exchange.pass_on()

        proxy.plan(listen)
        write(driver, "a/b", content(6 * MIB))
        driver.put("a/c", b"1")
        driver.delete("a")
        assert "content-md5" in sent
        assert not [name for name in sent if "checksum" in name or "trailer" in name or name == "transfer-encoding"]

    def test_encryption_is_asked_for_wherever_something_is_made(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        driver = opened(radosgw.store(endpoint_url=proxy.url, part_bytes=5 * MIB, encryption="AES256"))
        asked: list[tuple[str, str]] = []

        def listen(exchange: Exchange) -> None:
            asked.append((exchange.request.line, exchange.request.header("x-amz-server-side-encryption")))
            exchange.pass_on()

        proxy.plan(listen)
        driver.put("a", b"1")
        driver.create("b", b"1")
        write(driver, "c", content(6 * MIB))
        driver.move("a", "d")
        making = [said for line, said in asked if line.startswith("PUT") and "partNumber" not in line]
        making += [said for line, said in asked if line.startswith("POST") and "?uploads" in line]
        assert making == ["AES256"] * 4

    def test_reading_costs_one_request(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        driver = opened(radosgw.store(endpoint_url=proxy.url))
        driver.put("a", b"1")
        proxy.pass_everything()
        driver.get("a")
        driver.stat("a")
        driver.url_for("a")
        assert [line.split()[0] for line in proxy.asked] == ["GET", "HEAD"]

    def test_connections_are_used_again(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        driver = opened(radosgw.store(endpoint_url=proxy.url))
        driver.put("a", b"x" * 3 * BLOCK)
        driver.put("empty", b"")

        def use() -> None:
            driver.get("a")
            driver.get("empty")
            driver.stat("a")
            driver.exists("nothing")
            read(driver.open_reader("a", 1, 5))
            read(driver.open_reader("a", 3 * BLOCK))

        use()
        before = proxy.connections
        use()
        assert proxy.connections == before

    def test_more_readers_than_idle_connections(self, radosgw: Radosgw) -> None:
        driver = opened(radosgw.store(connections=2))
        driver.put("a", content(3 * BLOCK))
        assert together(24, lambda _: driver.get("a")) == [content(3 * BLOCK)] * 24

    def test_credential_replaced_while_its_urls_are_remembered(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        driver = opened(radosgw.store(endpoint_url=proxy.url))
        driver.put("a", b"1")
        driver.get("a")
        proxy.plan(lambda exchange: exchange.refuse(403), times=1)
        assert driver.get("a") == b"1"
        proxy.plan(lambda exchange: exchange.refuse(403))
        with pytest.raises(StorageFailure, match="403"):
            driver.get("a")
        assert len(proxy.asked) == 2

    def test_full_store(self, radosgw: Radosgw, driver: Driver) -> None:
        radosgw.limit_user(0)
        try:
            with pytest.raises(StorageFull) as caught:
                driver.put("a", b"1")
        finally:
            radosgw.limit_user(-1)
        assert caught.value.message == "s3: no space is left for: a: QuotaExceeded"
        driver.put("a", b"1")

    def test_store_that_ignores_ranges(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        driver = opened(radosgw.store(endpoint_url=proxy.url))
        driver.put("a", content(BLOCK))
        proxy.plan(lambda exchange: exchange.pass_on_without("Range"))
        with pytest.raises(StorageFailure, match="ignores ranges"):
            driver.open_reader("a", 5)
        assert driver.get("a") == content(BLOCK)


class TestWriting:
    def test_longer_than_all_parts(self, radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> None:
        store = radosgw.store()
        driver = opened(store)
        monkeypatch.setattr(driver_module, "PARTS", 2)
        with pytest.raises(StorageFailure, match="WHARFINGER_S3_PART_BYTES"):
            write(driver, "a", content(17 * MIB))
        assert not driver.exists("a")
        assert radosgw.uploads(store) == []

    def test_created_with_equal_content_by_two(self, driver: Driver) -> None:
        """It is not the content by which a creator knows its own."""
        assert together(8, lambda _: driver.create("a", b"same")).count(True) == 1

    def test_create_beside_creations_under_way(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        """As AWS answers them."""
        driver = opened(radosgw.store(endpoint_url=proxy.url, attempts=3))
        proxy.plan(lambda exchange: exchange.refuse(409), times=2)
        assert driver.create("a", b"1") is True
        proxy.plan(lambda exchange: exchange.refuse(409))
        with pytest.raises(StorageFailure, match="others keep creating it"):
            driver.create("b", b"1")
        assert len(proxy.asked) == 3

    def test_what_killed_processes_left_is_swept(self, radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> None:
        store = radosgw.store()
        opened(store).open_writer("a").write(content(17 * MIB))
        neighbour = radosgw.store()
        other = opened(neighbour).open_writer("b")
        other.write(content(17 * MIB))
        assert len(radosgw.uploads(store, neighbour)) == 2
        opened(store)
        assert len(radosgw.uploads(store, neighbour)) == 2
        monkeypatch.setattr(requests, "LEFTOVER_SECONDS", -1.0)
        opened(store)
        assert [key.rpartition("/")[2] for key, _ in radosgw.uploads(store, neighbour)] == ["b"]
        other.cancel()
        assert radosgw.uploads(store, neighbour) == []


class TestMoving:
    @pytest.mark.parametrize("size", [5 * MIB, 5 * MIB + 1, 11 * MIB])
    def test_part_by_part(self, radosgw: Radosgw, size: int) -> None:
        store = radosgw.store(copy_bytes=5 * MIB)
        driver = opened(store)
        write(driver, "a", content(size))
        driver.put("b", b"old")
        driver.move("a", "b")
        assert read(driver.open_reader("b")) == content(size)
        assert not driver.exists("a")
        assert radosgw.uploads(store) == []

    def test_failed_half_way(self, radosgw: Radosgw, proxy: FaultProxy) -> None:
        store = radosgw.store(endpoint_url=proxy.url, copy_bytes=5 * MIB, attempts=2)
        driver = opened(store)
        write(driver, "a", content(11 * MIB))
        proxy.plan(lambda exchange: exchange.refuse() if "partNumber=2" in exchange.target else exchange.pass_on())
        with pytest.raises(StorageFailure):
            driver.move("a", "b")
        assert not driver.exists("b")
        assert driver.stat("a").size == 11 * MIB
        assert radosgw.uploads(store) == []

    def test_ranges_beyond_what_one_request_copies(self) -> None:
        gib = 1024**3
        ranges = list(copy_ranges(5 * gib + 1, gib))
        assert ranges[0] == f"bytes=0-{gib - 1}"
        assert ranges[4] == f"bytes={4 * gib}-{5 * gib - 1}"
        assert ranges[5] == f"bytes={5 * gib}-{5 * gib}"
        assert len(ranges) == 6
        assert len(list(copy_ranges(5 * 1024 * gib, driver_module.COPY_PART))) <= driver_module.PARTS

    def test_onto_itself(self, driver: Driver) -> None:
        driver.put("a", b"1")
        driver.move("a", "a")
        assert driver.get("a") == b"1"


class TestNames:
    def test_all_characters_of_a_path_over_pages(self, driver: Driver) -> None:
        """Listings are encoded in ways of their own; each page goes on after a name that needed it."""
        names = {f"{number:03}{ending}" for number in range(280) for ending in ("%2F", "+a", "~.", "%252F%")}
        together(8, lambda part: [driver.put(f"a+%/{name}/x", b"") for name in sorted(names)[part::8]])
        assert sorted(driver.list("a+%")) == sorted(names)
        driver.move("a+%/000%2F/x", "a+%/000+a/%~")
        assert sorted(driver.list("a+%/000+a")) == ["%~", "x"]
        driver.delete("a+%")
        assert not driver.exists("a+%")

    def test_folders_that_consoles_make_are_nothing(self, radosgw: Radosgw) -> None:
        store = radosgw.store()
        driver = opened(store)
        radosgw.client.put_object(Bucket=BUCKET, Key=f"{store.path}/images/", Body=b"")
        assert not driver.exists("images")
        with pytest.raises(PathNotFound):
            driver.list("images")
        driver.put("images/a", b"1")
        assert list(driver.list("images")) == ["a"]
        driver.delete("images")
        assert not driver.exists("images/a")

    @pytest.mark.parametrize("path", ["/registry", "registry/", "/registry/"])
    def test_root_as_docker_registry_wrote_it(self, radosgw: Radosgw, path: str) -> None:
        radosgw.client.put_object(Bucket=BUCKET, Key="registry/images/abc/json", Body=b"{}")
        assert opened(replace(radosgw.store(), path=path)).get("images/abc/json") == b"{}"

    def test_root_of_the_bucket(self, radosgw: Radosgw) -> None:
        radosgw.client.create_bucket(Bucket="whole")
        driver = opened(replace(radosgw.store(bucket="whole"), path=""))
        driver.put("images/abc/json", b"{}")
        assert radosgw.client.get_object(Bucket="whole", Key="images/abc/json")["Body"].read() == b"{}"


class TestSignedUrls:
    def fetch(self, url: str | None) -> tuple[int, bytes]:
        assert url is not None
        answer = urllib3.request("GET", url)
        return answer.status, answer.data

    @pytest.mark.parametrize("signature", ["s3v4", "s3"])
    def test_anybody_may_get(self, radosgw: Radosgw, signature: str) -> None:
        driver = opened(radosgw.store(signature=signature))
        driver.put("a/b+%2F", b"1")
        assert self.fetch(driver.url_for("a/b+%2F")) == (200, b"1")
        assert self.fetch(driver.url_for("a/nothing"))[0] == 404
        assert self.fetch((driver.url_for("a/b+%2F") or "").partition("?")[0])[0] == 403

    def test_for_a_while(self, radosgw: Radosgw) -> None:
        driver = opened(radosgw.store(url_seconds=1))
        driver.put("a", b"1")
        url = driver.url_for("a")
        time.sleep(2.1)
        assert self.fetch(url)[0] == 403
        assert self.fetch(driver.url_for("a")) == (200, b"1")

    def test_one_address_for_a_popular_layer(self, radosgw: Radosgw) -> None:
        driver = opened(radosgw.store())
        url = driver.url_for("a")
        time.sleep(1.1)
        assert driver.url_for("a") == url
        assert driver.url_for("b") != url

    def test_by_another_name(self, radosgw: Radosgw) -> None:
        driver = opened(radosgw.store(url_endpoint=f"http://localhost:{radosgw.port}"))
        driver.put("a", b"1")
        url = driver.url_for("a") or ""
        assert url.startswith(f"http://localhost:{radosgw.port}/{BUCKET}/")
        assert self.fetch(url) == (200, b"1")

    @pytest.mark.parametrize(
        ("endpoint", "addressing", "expected"),
        [
            ("", "auto", "https://layers.s3.amazonaws.com/images/a?"),
            ("", "path", "https://s3.amazonaws.com/layers/images/a?"),
            ("https://ceph.example.com", "auto", "https://ceph.example.com/layers/images/a?"),
            ("https://ceph.example.com:7480", "virtual", "https://layers.ceph.example.com:7480/images/a?"),
            ("https://storage.googleapis.com", "auto", "https://storage.googleapis.com/layers/images/a?"),
        ],
    )
    def test_where_the_bucket_stands(self, radosgw: Radosgw, endpoint: str, addressing: str, expected: str) -> None:
        """Signed for a name that need not be reached from here."""
        settings = S3Settings(bucket="layers", access_key="a", secret_key="b", addressing=addressing)
        client = requests.connect(settings, endpoint)
        wanted = {"Bucket": "layers", "Key": "images/a"}
        assert client.generate_presigned_url("get_object", Params=wanted).startswith(expected)

    def test_for_the_region(self, radosgw: Radosgw) -> None:
        url = opened(radosgw.store(region="eu-west-1")).url_for("a") or ""
        assert "%2Feu-west-1%2Fs3%2Faws4_request&" in url
