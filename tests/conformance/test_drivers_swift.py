"""The Swift driver against a real Swift: tempauth, Keystone, and what only Swift can get wrong."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from common.settings import SettingsError, load
from registry_service.storage import factory
from registry_service.storage.driver import BLOCK, BadPath, Driver, PathNotFound, StorageFailure, StorageFull
from registry_service.storage.guard import Guard
from registry_service.storage.swift.account import SwiftSettings
from registry_service.storage.swift.driver import READERS_SECONDS, Swift
from tests.clients.wire import Target
from tests.conformance.drivers_contract import generated, read, together
from tests.conformance.drivers_faults import DriverFaults, write
from tests.conformance.drivers_gevent import check_cooperation
from tests.conformance.drivers_shared import (
    SharedDriverContract,
    Start,
    first_line,
    keep_large,
)
from tests.conformance.drivers_slow import SlowStoreContract
from tests.servers import keystone
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.openstack import OpenStack
from tests.servers.openstack_tls import TlsFront
from tests.servers.store import Store
from tests.servers.swift import LISTING_LIMIT, MANIFEST_LIMIT, OBJECT_LIMIT, READER, READER_PASSWORD, SwiftContainer
from tests.servers.tls import make_certificate

ROOT = "registry"
SEGMENT = 300_000
LONG = b"".join(generated(6, "long"))
"""Six blocks, which make several segments."""


def driver_for(container: SwiftContainer, /, **settings: object) -> Driver:
    return factory.create("swift", f"/{ROOT}", container.environ(**{"segment_bytes": SEGMENT, **settings}))


@pytest.fixture
def container(openstack: OpenStack) -> SwiftContainer:
    return openstack.swift.new_container()


@pytest.fixture
def driver(container: SwiftContainer) -> Driver:
    """Makes several segments of what others would keep in one."""
    return driver_for(container)


@pytest.fixture
def proxy(openstack: OpenStack) -> Iterator[FaultProxy]:
    with FaultProxy(Target("http", "127.0.0.1", openstack.swift.port)) as proxy:
        yield proxy


def through(proxy: FaultProxy, container: SwiftContainer, /, **settings: object) -> Driver:
    return driver_for(container, auth_url=f"{proxy.url}/auth/v1.0", attempts=1, **settings)


class TestSwift(SharedDriverContract):
    names_each = LISTING_LIMIT // 8 * 3
    turns = 20

    @pytest.fixture
    def store(self, container: SwiftContainer) -> Store:
        return Store("swift", f"/{ROOT}", container.environ())

    def test_size_beyond_32_bits(self, container: SwiftContainer, start: Start, driver: Driver) -> None:
        """In more segments than one manifest has here; moved without being copied."""
        keep_large(start, driver, "layer", "moved/layer")
        driver.delete("moved")
        assert container.names() == container.names(segments=True) == []


class TestSwiftInTrouble(DriverFaults):
    long_blocks = 8

    @pytest.fixture(scope="class")
    @classmethod
    def proxy(cls, openstack: OpenStack) -> Iterator[FaultProxy]:
        with FaultProxy(Target("http", "127.0.0.1", openstack.swift.port)) as proxy:
            yield proxy

    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, openstack: OpenStack) -> SwiftContainer:
        return openstack.swift.new_container()

    @pytest.fixture(scope="class")
    @classmethod
    def faulty(cls, place: SwiftContainer, proxy: FaultProxy) -> Store:
        environ = place.environ(
            auth_url=f"{proxy.url}/auth/v1.0", connect_timeout=2, read_timeout=2, attempts=3, segment_bytes=3 * BLOCK
        )
        return Store("swift", ROOT, environ)

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls, faulty: Store) -> Driver:
        """Those who fail to create leave announcements, which are not waited for as long as in earnest."""
        return Guard(Swift(load(SwiftSettings, "swift", faulty.environ), faulty.path, patience_seconds=0.5))

    @pytest.fixture(scope="class")
    @classmethod
    def direct(cls, place: SwiftContainer) -> Driver:
        return driver_for(place, segment_bytes=3 * BLOCK)

    @pytest.fixture(autouse=True)
    def container(self, place: SwiftContainer) -> None:
        self.unsettled = place.unsettled

    def leftovers(self) -> list[str]:
        return self.unsettled()


class TestSwiftFarAway(SlowStoreContract):
    @pytest.fixture
    def far(self, container: SwiftContainer, proxy: FaultProxy) -> Store:
        return Store("swift", f"/{ROOT}", container.environ(auth_url=f"{proxy.url}/auth/v1.0"))


class TestSegments:
    def test_only_what_is_long_has_any(self, driver: Driver, container: SwiftContainer) -> None:
        write(driver, "short", LONG[:SEGMENT])
        assert container.names(segments=True) == []
        write(driver, "long", LONG[: SEGMENT + 1])
        assert [name.rpartition("/")[2] for name in container.names(segments=True)] == ["00000000", "00000001"]

    def test_a_manifest_of_manifests(self, container: SwiftContainer) -> None:
        """More segments than the cluster lets one manifest have."""
        driver = driver_for(container, segment_bytes=10_000)
        content = LONG[: 10_000 * (MANIFEST_LIMIT + 3) - 1]
        write(driver, "a", content)
        assert driver.get("a") == content
        driver.move("a", "b")
        assert read(driver.open_reader("b", 399_990, 50)) == content[399_990:400_040]
        driver.delete("b")
        assert container.names(segments=True) == []

    def test_no_object_is_larger_than_the_cluster_takes(self, container: SwiftContainer) -> None:
        driver = driver_for(container, segment_bytes=2 * OBJECT_LIMIT)
        blocks = OBJECT_LIMIT // BLOCK + 1
        with driver.open_writer("a") as writer:
            for block in generated(blocks):
                writer.write(block)
            writer.commit()
        assert driver.stat("a").size == blocks * BLOCK
        assert len(container.names(segments=True)) == 2

    def test_move_leaves_segments_where_they_are(self, driver: Driver, container: SwiftContainer) -> None:
        write(driver, "a", LONG)
        segments = container.names(segments=True)
        driver.move("a", "b/c")
        assert container.names(segments=True) == segments
        assert driver.get("b/c") == LONG
        driver.delete("b")
        assert container.names() == container.names(segments=True) == []

    def test_deleting_all_takes_segments_along(self, driver: Driver, container: SwiftContainer) -> None:
        for path in ("a/b/long", "a/c"):
            write(driver, path, LONG)
        driver.put("a/b/short", b"")
        driver.delete("a")
        assert container.names() == container.names(segments=True) == []

    @pytest.mark.parametrize("stays", ["source", "target"])
    def test_move_that_broke_off_shares_segments(
        self, driver: Driver, container: SwiftContainer, proxy: FaultProxy, stays: str
    ) -> None:
        """The copy was made, the original not deleted: either may go, and the other is whole."""
        write(driver, "source", LONG)
        broken = through(proxy, container)
        proxy.plan(lambda exchange: exchange.refuse() if exchange.method == "DELETE" else exchange.pass_on())
        with pytest.raises(StorageFailure):
            broken.move("source", "target")
        for path in {"source", "target"} - {stays}:
            driver.delete(path)
        assert driver.get(stays) == LONG
        driver.delete(stays)
        assert container.names() == container.names(segments=True) == []

    def test_move_that_broke_off_is_done_again(
        self, driver: Driver, container: SwiftContainer, proxy: FaultProxy
    ) -> None:
        write(driver, "source", LONG)
        broken = through(proxy, container)
        proxy.plan(lambda exchange: exchange.refuse() if exchange.method == "DELETE" else exchange.pass_on())
        with pytest.raises(StorageFailure):
            broken.move("source", "target")
        driver.move("source", "target")
        assert driver.get("target") == LONG
        assert container.unsettled() == []

    def test_move_that_never_began(self, driver: Driver, container: SwiftContainer, proxy: FaultProxy) -> None:
        write(driver, "source", LONG)
        broken = through(proxy, container)
        proxy.plan(lambda exchange: exchange.refuse() if "manifest" in exchange.target else exchange.pass_on())
        with pytest.raises(StorageFailure):
            broken.move("source", "target")
        driver.delete("source")
        assert container.names() == container.names(segments=True) == []

    def test_what_is_longer_than_one_piece_is_replaced_in_one_object(self, container: SwiftContainer) -> None:
        driver = driver_for(container, segment_bytes=16 * 1024**2)
        content = b"".join(generated(40))
        for start in range(3):
            write(driver, "a", content[start:])
            assert driver.get("a") == content[start:]
        assert container.names(segments=True) == []

    @pytest.mark.parametrize("how", ["put", "write", "move"])
    def test_what_is_replaced_stays_for_its_readers(self, driver: Driver, container: SwiftContainer, how: str) -> None:
        write(driver, "a", LONG)
        segments = container.names(segments=True)
        with driver.open_reader("a") as reader:
            blocks = iter(reader)
            got = next(blocks)
            if how == "put":
                driver.put("a", b"new")
            else:
                write(driver, "a" if how == "write" else "b", LONG[::-1])
            if how == "move":
                driver.move("b", "a")
            assert got + b"".join(blocks) == LONG
        assert driver.get("a") == (b"new" if how == "put" else LONG[::-1])
        for segment in segments:
            expiry = float(container.ask("HEAD", segment, segments=True).headers["X-Delete-At"])
            assert 0 < expiry - time.time() <= READERS_SECONDS + 1
        assert container.unsettled() == []

    def test_of_many_writers_of_one_path_one_keeps_segments(self, driver: Driver, container: SwiftContainer) -> None:
        together(6, lambda number: write(driver, "a", LONG[number:]))
        assert driver.get("a") in [LONG[number:] for number in range(6)]
        assert not [name for name in container.names(segments=True) if "/unsettled/" in name]

    @pytest.mark.parametrize("path", ["new", "old"])
    def test_killed_writers_segments_are_swept(self, container: SwiftContainer, start: Start, path: str) -> None:
        environ = container.environ(segment_bytes=SEGMENT)
        driver = factory.create("swift", ROOT, environ)
        write(driver, "old", LONG)
        child = start("stall", path, 5)
        assert first_line(child) == "written"
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert container.unsettled() != []
        Swift(load(SwiftSettings, "swift", environ), ROOT)
        assert container.unsettled() != []
        Swift(load(SwiftSettings, "swift", environ), ROOT, leftover_seconds=-60)
        assert container.unsettled() == []
        assert driver.get("old") == LONG

    @pytest.fixture
    def start(self, container: SwiftContainer) -> Start:
        store = Store("swift", ROOT, container.environ(segment_bytes=SEGMENT))
        return SharedDriverContract.start.__wrapped__(self, store)

    def test_more_than_five_gib_of_somebody_elses(self, driver: Driver, container: SwiftContainer) -> None:
        """A manifest of manifests that name one segment again and again; it is moved, and its segment left alone."""
        piece = b"".join(generated(16)) * 2
        container.ask("PUT", "piece", segments=True, data=piece)
        manifests = {"group": ("piece", len(piece), 40), "layer": ("group", 40 * len(piece), 17)}
        for name, (part, size, times) in manifests.items():
            parts = [{"path": f"/{container.name}_segments/{part}", "size_bytes": size}] * times
            of_segments = name == "group"
            container.ask("PUT", f"{name if of_segments else f'{ROOT}/{name}'}?multipart-manifest=put",
                          segments=of_segments, data=json.dumps(parts)).raise_for_status()  # fmt: skip
        size = 17 * 40 * len(piece)
        assert size > 5 * 1024**3
        driver.move("layer", "moved/layer")
        assert driver.stat("moved/layer").size == size
        for offset in (2**32 - 5, size - 10, 5 * 1024**3 + 7):
            expected = (piece * 2)[offset % len(piece) :][: min(20, size - offset)]
            assert read(driver.open_reader("moved/layer", offset, 20)) == expected
        driver.delete("moved")
        assert container.names() == []
        assert container.names(segments=True) == ["group", "piece"]


class TestCreation:
    def test_announcements_go(self, driver: Driver, container: SwiftContainer) -> None:
        together(8, lambda _: driver.create("a", b"1"))
        assert container.unsettled() == []

    def test_one_who_died_is_not_waited_for_again(self, container: SwiftContainer, proxy: FaultProxy) -> None:
        """Its announcement stays, and goes when it is too old or has been waited for."""
        broken = through(proxy, container)
        proxy.plan(
            lambda exchange: (
                exchange.refuse()
                if exchange.request.line.startswith("PUT") and exchange.target.endswith("/a")
                else exchange.pass_on()
            )
        )
        with pytest.raises(StorageFailure):
            broken.create("a", b"1")
        (announcement,) = container.unsettled()
        assert "/_swift/creating/" in announcement
        other = Swift(load(SwiftSettings, "swift", container.environ()), ROOT, patience_seconds=1)
        assert other.create("a", b"2") is True
        assert container.unsettled() == []

    def test_an_answer_that_was_lost_does_not_lose_the_creation(
        self, container: SwiftContainer, proxy: FaultProxy
    ) -> None:
        driver = driver_for(container, auth_url=f"{proxy.url}/auth/v1.0", attempts=2)
        lost = iter([True])

        def lose(exchange: Exchange) -> None:
            if exchange.method == "PUT" and exchange.target.endswith("/a") and next(lost, False):
                exchange.swallow()
            exchange.pass_on()

        proxy.plan(lose)
        assert driver.create("a", b"1") is True


class TestTokens:
    def test_tempauth_forgets_them(self, openstack: OpenStack, driver: Driver) -> None:
        driver.put("a", b"1")
        openstack.swift.forget_tokens()
        assert together(8, lambda _: driver.get("a")) == [b"1"] * 8
        with driver.open_writer("b") as writer:
            for number, block in enumerate(generated(6, "long")):
                if number == 3:
                    openstack.swift.forget_tokens()
                writer.write(block)
            writer.commit()
        assert driver.get("b") == LONG

    def test_a_login_that_ends_is_told(
        self, openstack: OpenStack, container: SwiftContainer, proxy: FaultProxy
    ) -> None:
        driver = through(proxy, container)
        openstack.swift.forget_tokens()
        proxy.plan(lambda exchange: exchange.refuse(401))
        with pytest.raises(StorageFailure, match=r"swift: storage failed at: a: .*401") as caught:
            driver.get("a")
        assert "testing" not in caught.value.message


class TestKeystone:
    @pytest.fixture
    def environ(self, openstack: OpenStack) -> dict[str, str]:
        container = openstack.swift.new_name()
        place = f"{openstack.keystone.storage_url()}/{container}"
        requests.put(place, headers={"X-Auth-Token": openstack.keystone.token()}, timeout=60).raise_for_status()
        settings = {"container": container, "auth_url": openstack.keystone.auth_url, "user": keystone.USER,
                    "password": keystone.PASSWORD, "project": keystone.PROJECT, "segment_bytes": SEGMENT,
                    "temporary_urls": "account", "temporary_url_key": "k" * 20}  # fmt: skip
        return {f"WHARFINGER_SWIFT_{name}".upper(): str(value) for name, value in settings.items()}

    def test_contents(self, environ: dict[str, str]) -> None:
        driver = factory.create("swift", ROOT, environ)
        write(driver, "a/layer", LONG)
        assert driver.create("a/json", b"{}") is True
        driver.move("a/layer", "b/layer")
        assert driver.get("b/layer") == LONG
        assert requests.get(driver.url_for("b/layer"), timeout=60).content == LONG
        assert list(driver.list("a")) == ["json"]
        driver.delete("b")

    def test_tokens_end(self, openstack: OpenStack, environ: dict[str, str]) -> None:
        driver = factory.create("swift", ROOT, environ)
        driver.put("a", b"1")
        openstack.keystone.revoke_tokens()
        openstack.swift.forget_tokens()
        assert together(4, lambda _: driver.get("a")) == [b"1"] * 4

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"PASSWORD": "wrong"}, "WHARFINGER_SWIFT_USER, _PASSWORD, _PROJECT or the domains: .* refuses them"),
            ({"PROJECT": "other"}, "refuses them"),
            ({"PROJECT": ""}, "WHARFINGER_SWIFT_PROJECT is not set"),
            ({"REGION": "Nowhere"}, "WHARFINGER_SWIFT_REGION or _INTERFACE: the catalogue has no object-store there"),
            ({"AUTH_URL": "http://127.0.0.1:9/v3"}, "WHARFINGER_SWIFT_AUTH_URL: .* does not answer as Keystone v3"),
        ],
    )
    def test_mistakes_stop_the_start(self, environ: dict[str, str], changed: dict[str, str], said: str) -> None:
        changed = {f"WHARFINGER_SWIFT_{name}": value for name, value in changed.items()}
        with pytest.raises(SettingsError, match=said) as caught:
            factory.create("swift", ROOT, {**environ, **changed})
        assert "\n" not in str(caught.value)


class TestTemporaryUrls:
    @pytest.mark.parametrize("whose", ["container", "account"])
    def test_anybody_may_get(self, container: SwiftContainer, whose: str) -> None:
        key = container.account_key() if whose == "account" else "secret"
        driver = driver_for(container, temporary_urls=whose, temporary_url_key=key)
        driver.put("a%252Fb/small", b"1")
        assert requests.get(driver.url_for("a%252Fb/small"), timeout=60).content == b"1"
        write(driver, "a%252Fb/lay~er+1", LONG)
        url = driver.url_for("a%252Fb/lay~er+1")
        assert requests.get(url, timeout=60).content == LONG
        answer = requests.get(url, headers={"Range": "bytes=5-9"}, timeout=60)
        assert (answer.status_code, answer.content) == (206, LONG[5:10])
        assert requests.put(url, data=b"", timeout=60).status_code == 401
        assert requests.get(url.replace("lay~er", "other"), timeout=60).status_code == 401
        assert "temp_url_sig=" in url
        assert len(url.partition("temp_url_sig=")[2].partition("&")[0]) == len(hashlib.sha256().hexdigest())

    def test_they_are_given_again(self, container: SwiftContainer) -> None:
        driver = driver_for(container, temporary_urls="container", temporary_url_key="k", url_seconds=1200)
        urls = {driver.url_for("a") for _ in range(50)}
        assert len(urls) <= 2
        assert all(int(url.rpartition("=")[2]) - time.time() > 0.7 * 1200 for url in urls)

    def test_they_end(self, container: SwiftContainer) -> None:
        driver = driver_for(container, temporary_urls="container", temporary_url_key="k", url_seconds=0)
        driver.put("a", b"1")
        url = driver.url_for("a")
        time.sleep(1.1)
        assert requests.get(url, timeout=60).status_code == 401

    def test_the_key_that_is_there(self, container: SwiftContainer) -> None:
        container.ask("POST", headers={"X-Container-Meta-Temp-URL-Key": "theirs"}).raise_for_status()
        driver = driver_for(container, temporary_urls="container")
        driver.put("a", b"1")
        assert requests.get(driver.url_for("a"), timeout=60).content == b"1"

    def test_a_second_key_beside_another(self, container: SwiftContainer) -> None:
        container.ask("POST", headers={"X-Container-Meta-Temp-URL-Key": "theirs"}).raise_for_status()
        for _ in range(2):
            driver = driver_for(container, temporary_urls="container", temporary_url_key="ours")
            driver.put("a", b"1")
            assert requests.get(driver.url_for("a"), timeout=60).content == b"1"
        headers = container.ask("HEAD").headers
        assert headers["X-Container-Meta-Temp-Url-Key"] == "theirs"
        assert headers["X-Container-Meta-Temp-Url-Key-2"] == "ours"
        with pytest.raises(SettingsError, match="neither of the container's two keys"):
            driver_for(container, temporary_urls="container", temporary_url_key="third")

    def test_another_name_for_clients(self, container: SwiftContainer) -> None:
        settings = {"temporary_urls": "container", "temporary_url_key": "k", "url_endpoint": "https://cdn/v1/AUTH_test"}
        url = driver_for(container, **settings).url_for("a")
        assert url.startswith(f"https://cdn/v1/AUTH_test/{container.name}/{ROOT}/a?temp_url_sig=")

    def test_off(self, driver: Driver) -> None:
        assert driver.url_for("a") is None

    def test_without_a_key(self, container: SwiftContainer) -> None:
        with pytest.raises(SettingsError, match="WHARFINGER_SWIFT_TEMPORARY_URL_KEY is not set, and the container has"):
            driver_for(container, temporary_urls="container")

    def test_segments_beside_are_out_of_a_containers_reach(self, container: SwiftContainer) -> None:
        with pytest.raises(SettingsError, match="WHARFINGER_SWIFT_SEGMENTS_CONTAINER: a container's key opens nothing"):
            driver_for(container, temporary_urls="container", segments_container="beside")

    def test_segments_in_the_container_itself_are_out_of_sight(self, container: SwiftContainer) -> None:
        driver = driver_for(container, segments_container=container.name)
        write(driver, "a", LONG)
        assert any("/_swift/segments/" in name for name in container.names())
        for act in (driver.list, driver.delete, driver.exists, driver.get):
            with pytest.raises(BadPath):
                act("_swift/segments")
        driver.delete("a")
        assert container.names() == []

    def test_segments_are_found_where_they_were_put(self, container: SwiftContainer) -> None:
        """The setting may change; what is there stays what it is."""
        write(driver_for(container), "a", LONG)
        driver = driver_for(container, segments_container=container.name)
        driver.move("a", "b")
        assert driver.get("b") == LONG
        driver.delete("b")
        assert container.names() == container.names(segments=True) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"container": "nowhere"}, "WHARFINGER_SWIFT_CONTAINER: there is no container 'nowhere': create it"),
        ({"container": "a/b"}, "WHARFINGER_SWIFT_CONTAINER: 'a/b' is no name of a container"),
        ({"password": "wrong"}, "WHARFINGER_SWIFT_USER and WHARFINGER_SWIFT_PASSWORD: .* refuses them"),
        ({"user": READER, "password": READER_PASSWORD}, "WHARFINGER_SWIFT_USER may not use the container"),
        ({"auth_url": "http://127.0.0.1:9/auth/v1.0"}, "WHARFINGER_SWIFT_AUTH_URL: no token from"),
        ({"auth_url": "swift.example"}, "does not begin with http:// or https://"),
        ({"storage_url": "http://127.0.0.1:9/v1/AUTH_test"}, "cannot be used"),
        ({"auth_version": "2"}, "'2' is none of 3, 1"),
    ],
)
def test_mistakes_stop_the_start(container: SwiftContainer, settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        driver_for(container, attempts=1, **settings)
    assert "\n" not in str(caught.value)


def test_tls_with_an_authority_of_ones_own(openstack: OpenStack, container: SwiftContainer, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls")
    with TlsFront(certificate, openstack.swift.port) as front:
        settings = {"auth_url": f"{front.url}/auth/v1.0", "storage_url": f"{front.url}/v1/AUTH_test", "attempts": 1}
        driver = driver_for(container, ca_bundle=certificate.authority, **settings)
        write(driver, "a", LONG)
        assert driver.get("a") == LONG
        with pytest.raises(SettingsError, match=r"WHARFINGER_SWIFT_AUTH_URL: no token from .* \(login: SSLError\)"):
            driver_for(container, **settings)
        with pytest.raises(SettingsError, match=r"WHARFINGER_SWIFT_CA_BUNDLE: .* is not a file"):
            driver_for(container, ca_bundle=tmp_path / "nowhere", **settings)


def test_names_of_many_pages_below_many_folders(container: SwiftContainer, driver: Driver) -> None:
    """A page ends within a folder; the folder is named once."""
    count = LISTING_LIMIT + 50
    names = [f"{ROOT}/a/{folder}/{number}" for folder in "bc" for number in range(count // 2)]
    together(4, lambda part: [container.ask("PUT", name, data=b"").raise_for_status() for name in names[part::4]])
    container.ask("PUT", f"{ROOT}/a/", data=b"")
    assert sorted(driver.list("a")) == ["b", "c"]
    assert len(list(driver.list("a/b"))) == count // 2
    driver.delete("a/b")
    assert list(driver.list("a")) == ["c"]


def test_a_full_account(container: SwiftContainer, driver: Driver, proxy: FaultProxy) -> None:
    refusing = through(proxy, container)
    for status in (413, 507):
        proxy.plan(lambda exchange, status=status: exchange.refuse(status))
        with pytest.raises(StorageFull, match=f"swift: no space is left for: a: the store answers {status}"):
            refusing.put("a", b"1")


def test_damaged_bytes_are_not_passed_on(container: SwiftContainer, driver: Driver, proxy: FaultProxy) -> None:
    driver.put("a", b"right")
    damaged = through(proxy, container)
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nEtag: " + hashlib.md5(b"right").hexdigest().encode()

    def damage(exchange: Exchange) -> None:
        exchange._client.sendall(body + b"\r\n\r\nwrong")

    proxy.plan(damage)
    with pytest.raises(StorageFailure, match="not those of their checksum"):
        damaged.get("a")


def test_cluster_that_says_nothing_of_itself(container: SwiftContainer, proxy: FaultProxy) -> None:
    """No /info: pages are read until one is empty, objects deleted one by one, URLs signed with the oldest digest."""
    proxy.plan(lambda exchange: exchange.refuse(403) if exchange.target == "/info" else exchange.pass_on())
    driver = through(proxy, container, temporary_urls="container", temporary_url_key="k")
    for name in "abc":
        driver.put(f"x/{name}", name.encode())
    write(driver, "x/long", LONG)
    assert sorted(driver.list("x")) == ["a", "b", "c", "long"]
    url = driver.url_for("x/a")
    assert len(url.partition("temp_url_sig=")[2].partition("&")[0]) == len(hashlib.sha1().hexdigest())
    assert requests.get(url, timeout=60).content == b"a"
    driver.delete("x")
    assert container.names() == container.names(segments=True) == []


def test_cooperates_under_gevent(container: SwiftContainer, proxy: FaultProxy) -> None:
    environ = container.environ(auth_url=f"{proxy.url}/auth/v1.0", segment_bytes=SEGMENT)
    check_cooperation(Store("swift", ROOT, environ), proxy)


def test_paths_of_other_roots_are_apart(container: SwiftContainer, driver: Driver) -> None:
    """Two registries may share a container; one's sweep does not see the other's uploads."""
    other = factory.create("swift", "elsewhere", container.environ(segment_bytes=SEGMENT))
    with other.open_writer("a") as writer:
        writer.write(LONG)
        Swift(load(SwiftSettings, "swift", container.environ()), ROOT, leftover_seconds=-60)
        writer.commit()
    assert other.get("a") == LONG
    with pytest.raises(PathNotFound):
        driver.get("a")
