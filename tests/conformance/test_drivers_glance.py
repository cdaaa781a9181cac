"""The Glance driver against a real Glance and Keystone, with other drivers behind it for what is no layer."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.settings import SettingsError, load
from registry_service.storage import factory
from registry_service.storage.driver import BLOCK, Driver, PathNotFound, StorageFailure, StorageFull
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.glance.driver import Glance
from registry_service.storage.glance.settings import GlanceSettings
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.clients.wire import Target
from tests.conformance.drivers_contract import DriverContract, generated, together
from tests.conformance.drivers_faults import DriverFaults, write
from tests.conformance.drivers_gevent import check_cooperation
from tests.conformance.drivers_shared import (
    MEMORY_BYTES,
    SharedDriverContract,
    first_line,
    keep_large,
    rest_of,
)
from tests.conformance.drivers_slow import SlowStoreContract
from tests.servers.faults import Exchange, FaultProxy
from tests.servers.glance import PAGE, Project
from tests.servers.openstack import OpenStack
from tests.servers.openstack_tls import TlsFront
from tests.servers.store import Store
from tests.servers.tls import make_certificate

LONG = b"".join(generated(6, "long"))
LAYER = "images/a/layer"
STAGED = "_uploads/a/b/layer.1"


def everything(_: str) -> bool:
    return True


def keeping_everything(project: Project, root: str, alternate: Driver | None = None, **settings: object) -> Driver:
    """A driver whose every content is an image, but what `create` makes."""
    loaded = load(GlanceSettings, "glance", project.environ(**settings))
    kept = alternate or Guard(Memory())
    return Guard(Glance(loaded, root, kept, keeps=everything, lies_above=everything))


@pytest.fixture(scope="module")
def project(openstack: OpenStack) -> Project:
    return openstack.project()


@pytest.fixture(scope="class")
def proxy(openstack: OpenStack) -> Iterator[FaultProxy]:
    with FaultProxy(Target("http", "127.0.0.1", openstack.glance.port)) as proxy:
        yield proxy


@pytest.fixture
def environ(project: Project, tmp_path: Path) -> dict[str, str]:
    return project.environ(alternate_path=tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A root of its own for each test, in the one Glance."""
    return f"{tmp_path.name}-{tmp_path.parent.name}"


@pytest.fixture
def driver(environ: dict[str, str], root: str) -> Driver:
    return factory.create("glance", root, environ)


class TestGlance(SharedDriverContract):
    """As it is used: most of the suite's paths are no layers', and go to the other driver."""

    @pytest.fixture
    def store(self, environ: dict[str, str], root: str) -> Store:
        return Store("glance", root, environ)

    def test_size_beyond_32_bits(self, environ: dict[str, str], root: str, driver: Driver) -> None:
        """All zeros but for the end, which Glance keeps as holes; it answers once it has hashed them all."""
        patient = Store("glance", root, {**environ, "WHARFINGER_GLANCE_READ_TIMEOUT": "600"})
        start = SharedDriverContract.start.__wrapped__(self, patient)
        keep_large(start, driver, STAGED, LAYER)
        _, grown = rest_of(start("read", LAYER)).split()
        assert int(grown) < MEMORY_BYTES
        driver.delete(LAYER)


class TestGlanceKeepingEverything(DriverContract):
    names_each = PAGE // 8 * 2
    turns = 5

    @pytest.fixture
    def driver(self, project: Project, root: str) -> Driver:
        return keeping_everything(project, root)


class TestGlanceInTrouble(DriverFaults):
    long_blocks = 8

    @pytest.fixture(scope="class")
    @classmethod
    def alternate(cls) -> Driver:
        return Guard(Memory())

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls, project: Project, proxy: FaultProxy, alternate: Driver) -> Driver:
        settings = {"connect_timeout": 2, "read_timeout": 2, "attempts": 3, "buffer_bytes": 16 * 1024**2}
        return keeping_everything(project, "trouble", alternate, endpoint_url=proxy.url, **settings)

    @pytest.fixture(scope="class")
    @classmethod
    def direct(cls, project: Project, alternate: Driver) -> Driver:
        return keeping_everything(project, "trouble", alternate)

    @pytest.fixture(autouse=True)
    def project_(self, project: Project) -> None:
        self.begun = project.begun

    def leftovers(self) -> list[str]:
        return self.begun()


class TestGlanceFarAway(SlowStoreContract):
    @pytest.fixture
    def far(self, project: Project, proxy: FaultProxy, root: str, tmp_path: Path) -> Store:
        return Store("glance", root, project.environ(alternate_path=tmp_path, endpoint_url=proxy.url))


class TestLayers:
    def test_they_are_images_and_the_rest_is_not(
        self, driver: Driver, project: Project, root: str, tmp_path: Path
    ) -> None:
        write(driver, STAGED, LONG)
        driver.put("images/a/json", b"{}")
        driver.move(STAGED, LAYER)
        (image,) = project.images(root)
        assert image["wharfinger_path"] == f"{root}/{LAYER}"
        assert (image["disk_format"], image["container_format"]) == ("raw", "docker")
        assert (image["status"], image["size"], image["visibility"]) == ("active", len(LONG), "private")
        assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["images/a/json"]

    def test_both_stores_are_listed_and_deleted_as_one(self, driver: Driver, project: Project, root: str) -> None:
        write(driver, LAYER, LONG)
        driver.put("images/a/json", b"{}")
        driver.put("images/b/json", b"{}")
        assert sorted(driver.list("images")) == ["a", "b"]
        assert sorted(driver.list("images/a")) == ["json", "layer"]
        driver.delete("images/a")
        assert project.images(root) == []
        assert list(driver.list("images")) == ["b"]
        write(driver, LAYER, LONG)
        assert driver.exists("images/a")
        assert list(driver.list("images/a")) == ["layer"]

    def test_move_copies_nothing(self, driver: Driver, project: Project, root: str) -> None:
        write(driver, STAGED, LONG)
        (before,) = project.images(root)
        driver.move(STAGED, LAYER)
        (after,) = project.images(root)
        assert after["id"] == before["id"]
        assert not driver.exists("_uploads")
        assert driver.get(LAYER) == LONG

    def test_move_replaces_and_leaves_one(self, driver: Driver, project: Project, root: str) -> None:
        for content in (LONG[::-1], LONG):
            write(driver, STAGED, content)
            driver.move(STAGED, LAYER)
        assert driver.get(LAYER) == LONG
        assert len(project.images(root)) == 1

    def test_two_images_at_one_path(self, driver: Driver, project: Project, root: str) -> None:
        """As after a crash between a commit and the deletion of what it replaced: the one committed last counts."""
        for number in range(3):
            write(driver, f"images/{number}/layer", LONG[number:])
        for image in project.images(root):
            project.patch(image["id"], wharfinger_path=f"{root}/{LAYER}")
        assert driver.get(LAYER) == LONG[2:]
        driver.delete(LAYER)
        assert not driver.exists(LAYER)
        assert project.images(root) == []

    def test_layers_in_the_other_driver_are_read(self, driver: Driver, tmp_path: Path) -> None:
        """It was used alone before."""
        alone = Filesystem(tmp_path)
        for name in "abc":
            alone.put(f"images/{name}/layer", LONG)
        assert driver.get("images/a/layer") == LONG
        assert driver.stat("images/a/layer").size == len(LONG)
        write(driver, "images/a/layer", LONG[::-1])
        assert driver.get("images/a/layer") == LONG[::-1]
        assert not alone.exists("images/a")
        driver.move("images/b/layer", STAGED)
        assert driver.get(STAGED) == LONG
        driver.move("images/c/layer", "elsewhere")
        driver.move(STAGED, "there")
        for path in ("elsewhere", "there"):
            assert alone.get(path) == LONG
        assert list(driver.list("images")) == ["a"]

    def test_more_layers_than_a_page_holds(self, driver: Driver, project: Project, root: str) -> None:
        count = PAGE + 5
        together(4, lambda part: [driver.put(f"images/{n}/layer", b"1") for n in range(part, count, 4)])
        assert sorted(driver.list("images"), key=int) == [str(number) for number in range(count)]
        driver.delete("images")
        assert project.images(root) == []

    def test_other_projects_images_are_not_ours(self, driver: Driver, project: Project, root: str) -> None:
        """Whoever may share images with us could else put one in our way."""
        project.admin_image(wharfinger_path=f"{root}/{LAYER}", wharfinger_committed="9" * 20, visibility="public")
        assert not driver.exists(LAYER)
        write(driver, LAYER, LONG)
        assert driver.get(LAYER) == LONG

    def test_roots_are_apart(self, driver: Driver, environ: dict[str, str], root: str) -> None:
        other = factory.create("glance", f"{root}-other", environ)
        write(driver, LAYER, LONG)
        assert not other.exists(LAYER)
        with pytest.raises(PathNotFound):
            other.list("images")

    def test_no_url(self, driver: Driver) -> None:
        write(driver, LAYER, LONG)
        assert driver.url_for(LAYER) is None
        assert driver.local_path(LAYER) is None
        driver.put("images/a/json", b"{}")
        assert driver.local_path("images/a/json").read_bytes() == b"{}"


class TestUploads:
    """What is longer than the buffer is sent while it is written."""

    @pytest.fixture
    def driver(self, project: Project, root: str, proxy: FaultProxy) -> Iterator[Driver]:
        proxy.pass_everything()
        settings = {"endpoint_url": proxy.url, "attempts": 2, "read_timeout": 5, "buffer_bytes": BLOCK}
        yield keeping_everything(project, root, **settings)
        proxy.pass_everything()

    def test_streams(self, driver: Driver) -> None:
        for length in (BLOCK, BLOCK + 1, 4 * BLOCK):
            write(driver, "a", LONG[:length])
            assert driver.get("a") == LONG[:length]

    @pytest.mark.parametrize("fault", [Exchange.refuse, Exchange.reset, Exchange.hang], ids=lambda f: f.__name__)
    def test_break_is_told_and_leaves_nothing(
        self, driver: Driver, project: Project, proxy: FaultProxy, fault: object
    ) -> None:
        before = project.begun()
        write(driver, "a", LONG[::-1])
        proxy.plan(lambda exchange: fault(exchange) if exchange.method == "PUT" else exchange.pass_on())
        with pytest.raises(StorageFailure, match=r"glance: storage failed at: a: .*past what can be repeated"):
            write(driver, "a", LONG)
        proxy.pass_everything()
        assert driver.get("a") == LONG[::-1]
        assert set(project.begun()) <= set(before)

    def test_answer_that_was_lost_is_looked_for(self, driver: Driver, proxy: FaultProxy) -> None:
        proxy.plan(lambda exchange: exchange.swallow() if exchange.method == "PUT" else exchange.pass_on())
        write(driver, "a", LONG)
        assert driver.get("a") == LONG

    def test_glance_is_full(self, driver: Driver, proxy: FaultProxy) -> None:
        for status in (413, 507):
            proxy.plan(
                lambda exchange, s=status: exchange.refuse(s) if exchange.method == "PUT" else exchange.pass_on()
            )
            for length in (10, len(LONG)):
                with pytest.raises(StorageFull, match="glance: no space is left for: a"):
                    write(driver, "a", LONG[:length])

    def test_killed_writers_image_is_swept(self, project: Project, environ: dict[str, str], root: str) -> None:
        others = len(project.begun())
        environ = {**environ, "WHARFINGER_GLANCE_BUFFER_BYTES": "1"}
        child: subprocess.Popen[str] = SharedDriverContract.start.__wrapped__(None, Store("glance", root, environ))(
            "stall", LAYER, 5
        )
        assert first_line(child) == "written"
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert len(project.begun()) == others + 1
        settings = load(GlanceSettings, "glance", environ)
        Glance(settings, root, Memory())
        assert len(project.begun()) == others + 1
        Glance(settings, f"{root}-other", Memory(), leftover_seconds=-60)
        assert len(project.begun()) == others + 1
        Glance(settings, root, Memory(), leftover_seconds=-60)
        assert len(project.begun()) == others


class TestTokens:
    def test_tokens_end(self, openstack: OpenStack, driver: Driver) -> None:
        write(driver, LAYER, LONG)
        openstack.keystone.revoke_tokens()
        assert together(4, lambda _: driver.get(LAYER)) == [LONG] * 4
        openstack.keystone.revoke_tokens()
        write(driver, LAYER, LONG[::-1])
        assert driver.get(LAYER) == LONG[::-1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"password": "wrong"}, "WHARFINGER_GLANCE_USER, _PASSWORD, _PROJECT or the domains: .* refuses them"),
        ({"project": "other"}, "refuses them"),
        ({"region": "Nowhere"}, "WHARFINGER_GLANCE_REGION or _INTERFACE: the catalogue has no image there"),
        ({"auth_url": "http://127.0.0.1:9/v3"}, "WHARFINGER_GLANCE_AUTH_URL: .* does not answer as Keystone v3"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "WHARFINGER_GLANCE_ENDPOINT_URL: .* cannot be used"),
        ({"endpoint_url": "glance"}, "does not begin with http:// or https://"),
        ({"alternate": "glance"}, "WHARFINGER_GLANCE_ALTERNATE: glance keeps nothing but layers"),
        ({"alternate": "tape"}, "storage 'tape' is unknown"),
        ({"alternate_path": "/nowhere"}, "storage path /nowhere is not a directory"),
    ],
)
def test_mistakes_stop_the_start(
    environ: dict[str, str], project: Project, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        factory.create("glance", "root", {**environ, **project.only(**settings, attempts=1)})
    assert "\n" not in str(caught.value)


def test_tls_with_an_authority_of_ones_own(openstack: OpenStack, project: Project, root: str, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls")
    with TlsFront(certificate, openstack.glance.port) as front:
        settings = {"endpoint_url": front.url, "attempts": 1, "buffer_bytes": BLOCK}
        driver = keeping_everything(project, root, ca_bundle=certificate.authority, **settings)
        write(driver, "a", LONG)
        assert driver.get("a") == LONG
        with pytest.raises(SettingsError, match=r"WHARFINGER_GLANCE_ENDPOINT_URL: .* cannot be used: SSLError"):
            keeping_everything(project, root, **settings)


def test_swift_keeps_the_rest(openstack: OpenStack, project: Project, root: str) -> None:
    container = openstack.swift.new_container()
    driver = factory.create("glance", root, {**project.environ(alternate="swift"), **container.environ()})
    write(driver, STAGED, LONG)
    assert driver.create("images/a/_inprogress", b"1") is True
    driver.move(STAGED, LAYER)
    driver.put("images/a/json", b"{}")
    driver.delete("images/a/_inprogress")
    assert sorted(driver.list("images/a")) == ["json", "layer"]
    assert container.names() == [f"{root}/images/a/json"]
    assert driver.get(LAYER) == LONG


def test_offload_reaches_the_other_driver(environ: dict[str, str], root: str) -> None:
    """It may be one that blocks, which Glance does not."""
    offloaded = []

    def offload(function: object, *arguments: object) -> object:
        offloaded.append(function)
        return function(*arguments)

    driver = factory.create("glance", root, environ, offload=offload)
    driver.put("images/a/json", b"{}")
    assert offloaded
    offloaded.clear()
    driver.put(LAYER, b"1")
    assert len([function for function in offloaded if "put" in function.__name__]) == 0


def test_cooperates_under_gevent(environ: dict[str, str], root: str, proxy: FaultProxy) -> None:
    store = Store("glance", root, {**environ, "WHARFINGER_GLANCE_ENDPOINT_URL": proxy.url})
    check_cooperation(store, proxy)
