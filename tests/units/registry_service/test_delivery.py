"""Who sends a layer: this registry, the store, or the nginx in front; and what none of them may change."""

from __future__ import annotations

import hashlib
import json

import pytest
from flask.testing import FlaskClient

from common.names import ImageId
from registry_service.app import create_app, create_registry
from registry_service.settings import RegistrySettings
from registry_service.storage import factory
from registry_service.storage.driver import PathNotFound
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory

IMAGE = ImageId("a" * 64)
LAYER = bytes(range(256)) * 40
PATH = f"/v1/images/{IMAGE}/layer"
DELIVERIES = ["direct", "redirect", "nginx"]


class Remote(Memory):
    """A store that gives signed URLs, as object stores do."""

    name = "remote"
    scheme = "https"

    def url_for(self, path):
        return f"{self.scheme}://store.example:9000/bucket/{path}?signature=abc%2Fd&expires=1"


class Buffered(FlaskClient):
    """Reads every answer to its end, so that what was open is closed."""

    def open(self, *arguments, **options):
        return super().open(*arguments, buffered=True, **options)


def client_of(driver, delivery, **settings):
    settings = RegistrySettings(standalone=True, delivery=delivery, **settings)
    app = create_app(settings, Guard(driver))
    app.test_client_class = Buffered
    client = app.test_client()
    push(client)
    return client


def push(client):
    document = json.dumps({"id": IMAGE}).encode()
    payload = hashlib.sha256(document + b"\n" + LAYER).hexdigest()
    assert client.put(f"/v1/images/{IMAGE}/json", data=document).status_code == 200
    assert client.put(PATH, data=LAYER).status_code == 200
    sealed = client.put(f"/v1/images/{IMAGE}/checksum", headers={"X-Docker-Checksum-Payload": f"sha256:{payload}"})
    assert sealed.status_code == 200


@pytest.fixture(params=["remote", "filesystem"])
def driver(request, tmp_path):
    return Remote() if request.param == "remote" else factory.create("filesystem", str(tmp_path)).driver


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_what_holds_whoever_sends(driver, delivery):
    client = client_of(driver, delivery)
    etag = client.head(PATH).headers["ETag"]
    past = client.get(PATH, headers={"Range": f"bytes={len(LAYER)}-{len(LAYER)}"})
    assert (past.status_code, past.headers["Content-Length"], past.data) == (416, "0", b"")
    assert past.headers["Content-Range"] == f"bytes */{len(LAYER)}"
    assert client.get(PATH, headers={"If-None-Match": etag}).status_code == 304
    head = client.head(PATH)
    assert head.status_code == 200
    assert client.get(PATH.replace("a", "b", 2)).status_code == 404
    assert "Content-Encoding" not in client.get(PATH).headers


def test_direct_sends_the_bytes_and_the_ranges(driver):
    client = client_of(driver, "direct")
    whole = client.get(PATH)
    assert (whole.status_code, whole.data, whole.headers["Accept-Ranges"]) == (200, LAYER, "bytes")
    part = client.get(PATH, headers={"Range": f"bytes=100-{len(LAYER)}"})
    assert (part.status_code, part.data) == (206, LAYER[100:])
    assert part.headers["Content-Range"] == f"bytes 100-{len(LAYER) - 1}/{len(LAYER)}"
    stale = client.get(PATH, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (stale.status_code, stale.data) == (200, LAYER)
    fresh = client.get(PATH, headers={"Range": "bytes=0-1", "If-Range": whole.headers["ETag"]})
    assert (fresh.status_code, fresh.data) == (206, LAYER[:2])


@pytest.mark.parametrize(
    ("asked", "stored", "redirected"),
    [("http", "http", True), ("http", "https", True), ("https", "https", True), ("https", "http", False)],
)
def test_a_redirect_never_leaves_tls(asked, stored, redirected):
    driver = Remote()
    driver.scheme = stored
    answer = client_of(driver, "redirect", hosts=("registry.example",)).get(
        PATH, base_url=f"{asked}://registry.example"
    )
    if redirected:
        assert answer.status_code == 302
        assert answer.headers["Location"] == driver.url_for(f"images/{IMAGE}/layer")
        assert answer.headers["Cache-Control"] == "no-store"
    else:
        assert (answer.status_code, answer.data) == (200, LAYER)


def test_head_is_answered_here_because_a_signed_url_is_for_get():
    head = client_of(Remote(), "redirect").head(PATH)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(LAYER)))
    assert head.headers["Accept-Ranges"] == "bytes"


def test_a_store_without_urls_is_not_redirected_to(tmp_path):
    answer = client_of(factory.create("filesystem", str(tmp_path)).driver, "redirect").get(PATH)
    assert (answer.status_code, answer.data) == (200, LAYER)


def test_nginx_is_told_which_file_to_send(tmp_path):
    answer = client_of(factory.create("filesystem", str(tmp_path)).driver, "nginx").get(PATH)
    assert answer.headers["X-Accel-Redirect"] == f"/_files/images/{IMAGE}/layer"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.data == b""


def test_nginx_is_told_where_to_fetch():
    answer = client_of(Remote(), "nginx").get(PATH)
    assert answer.headers["X-Accel-Redirect"] == (
        f"/_store/https/store.example:9000/bucket/images/{IMAGE}/layer?signature=abc%2Fd&expires=1"
    )


def test_layers_of_somebody_who_proved_himself_are_not_for_shared_caches():
    client = client_of(Remote(), "direct")
    assert client.get(PATH).headers["Cache-Control"] == "public, max-age=31536000"
    proved = client.get(PATH, headers={"Authorization": "Basic YTpi"})
    assert proved.headers["Cache-Control"] == "private, max-age=31536000"


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_nginx_alone_is_told_to_keep_answers(driver, delivery):
    client = client_of(driver, delivery)
    for path in (PATH, f"/v1/images/{IMAGE}/json", f"/v1/images/{IMAGE}/ancestry"):
        assert client.get(path).headers.get("X-Accel-Expires") == ("5" if delivery == "nginx" else None)
    for unkept in (client.get(PATH.replace("a", "b", 2)), client.get(PATH, headers={"Range": f"bytes={len(LAYER)}-"})):
        assert "X-Accel-Expires" not in unkept.headers


def test_nginx_before_a_registry_that_redirects_is_told_so_too():
    client = client_of(Remote(), "redirect", trusted_proxies=1)
    for path in (PATH, f"/v1/images/{IMAGE}/json", f"/v1/images/{IMAGE}/ancestry"):
        assert client.get(path).headers["X-Accel-Expires"] == "5"
    # Over TLS nobody is led to a plain address: another answer, for another scheme.
    plain = Remote()
    plain.scheme = "http"
    client = client_of(plain, "redirect", trusted_proxies=1)
    assert client.get(PATH).status_code == 302
    secure = client.get(PATH, headers={"X-Forwarded-Proto": "https"})
    assert (secure.status_code, secure.headers.get("X-Accel-Expires")) == (200, None)


def test_nothing_is_kept_where_tokens_are_looked_at():
    registry = create_registry(RegistrySettings(standalone=True, delivery="nginx"), Guard(Remote()))
    settings = {"index_url": "http://127.0.0.1:1", "secret_keys": ("k" * 32,), "delivery": "nginx"}
    guarded = create_registry(RegistrySettings(**settings), Guard(Remote()))
    assert (registry.gate.is_open, guarded.gate.is_open) == (True, False)


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_layer_that_disappears_is_not_found(tmp_path, delivery):
    driver = factory.create("filesystem", str(tmp_path))
    client = client_of(driver.driver, delivery)
    driver.delete(f"images/{IMAGE}/layer")
    answer = client.get(PATH)
    assert (answer.status_code, answer.json) == (404, {"error": "Image not found"})
    with pytest.raises(PathNotFound):
        driver.stat(f"images/{IMAGE}/layer")
