"""A mirror behind a company's proxy: a real one, without which its sources cannot be reached."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from registry_service.mirror.client import Source, SourceUnavailable
from registry_service.mirror.sources import MirrorSource
from tests.clients.images import make_image
from tests.servers.process import Process, free_port, listening
from tests.servers.services import ROOT
from tests.servers.tls import make_certificate
from tests.units.registry_service.mirror_source import ACME, Said, ScriptedSource, serving

IMAGE = make_image()
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def source() -> Iterator[ScriptedSource]:
    with serving() as server:
        server.hold((IMAGE,))
        yield server


class Proxy:
    """The running proxy: its URL, and what it was asked."""

    def __init__(self, folder: Path, password: str = "") -> None:
        port = free_port()
        command = [sys.executable, str(ROOT / "tests" / "servers" / "forward_proxy.py"), str(port), unquote(password)]
        self.process = Process("forward-proxy", command, folder)
        self.process.start(lambda: listening(port))
        self.url = f"http://{password}{'@' if password else ''}127.0.0.1:{port}"

    def asked(self) -> list[str]:
        lines = self.process.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.startswith(("GET ", "CONNECT "))]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    started: list[Proxy] = []

    def start(password: str = "") -> Proxy:
        started.append(Proxy(tmp_path, password))
        return started[-1]

    yield start
    for proxy in started:
        proxy.process.stop()


def hub(server: ScriptedSource, proxy: str = "") -> Source:
    """The source by a name that only the proxy can resolve."""
    url = f"{server.scheme}://hub.invalid:{server.server_address[1]}"
    return Source(MirrorSource("*", url), 5.0, "me", proxy)


@pytest.mark.parametrize("password", ["", "user:p%40ss"])
def test_the_environment_names_a_proxy(
    source: ScriptedSource, start: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    with pytest.raises(SourceUnavailable):
        hub(source).images(ACME)
    proxy = start(password)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert hub(source).images(ACME) == [{"id": IMAGE.id}]
    assert proxy.asked() == [f"GET http://hub.invalid:{source.server_address[1]}/v1/repositories/acme/app/images"]


def test_a_setting_names_one_and_no_proxy_excepts_hosts(
    source: ScriptedSource, start: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = start()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert hub(source, proxy.url).images(ACME)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,.internal")
    assert Source(MirrorSource("*", source.url), 5.0, "me", proxy.url).images(ACME)
    assert len(proxy.asked()) == 1


def test_a_redirect_to_another_host_has_that_hosts_proxy_or_none(
    source: ScriptedSource, start: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers are often elsewhere: a source inside leads to a store outside, or the other way round."""
    proxy = start()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    port = source.server_address[1]
    path = "/v1/repositories/acme/app/images"
    for first, second in (("127.0.0.1", "hub.invalid"), ("hub.invalid", "127.0.0.1")):
        source.say(path, Said(b"", [("Location", f"http://{second}:{port}/list")], status=302))
        source.say("/list", Said(b'[{"id": "x"}]'))
        assert Source(MirrorSource("*", f"http://{first}:{port}"), 5.0, "me").images(ACME) == [{"id": "x"}]
    assert proxy.asked() == [f"GET http://hub.invalid:{port}/list", f"GET http://hub.invalid:{port}{path}"]


def test_tls_goes_through_a_tunnel(
    start: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = start()
    certificate = make_certificate(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with serving(context) as server:
        server.hold((IMAGE,))
        assert Source(MirrorSource("*", server.url), 5.0, "me").images(ACME) == [{"id": IMAGE.id}]
        assert proxy.asked() == [f"CONNECT 127.0.0.1:{server.server_address[1]}"]
