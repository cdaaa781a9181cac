"""`/v2/` of a registry that stands alone: what is answered to whom, byte by byte, and in which form it is refused."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from common.names import ImageId
from registry_service.app import create_app
from registry_service.settings import RegistrySettings
from registry_service.storage import factory
from registry_service.storage.guard import Guard
from registry_service.storage.memory import Memory
from tests.units.registry_service.graph.store import Image
from tests.units.registry_service.test_delivery import Buffered, Remote

SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

BASE = Image("base", files={"./bin/sh": b"shell", "./etc/": b""})
TOP = Image("top", BASE, files={"./app": bytes(range(256)) * 64})
NAME = "acme/app"
READS = ("GET", "HEAD")


def client_of(driver, **settings):
    app = create_app(RegistrySettings(standalone=True, **settings), Guard(driver))
    app.test_client_class = Buffered
    return app.test_client()


def push(client, name, *images, tag="latest"):
    for image in images:
        path = f"/v1/images/{image.id}"
        assert client.put(f"{path}/json", data=image.json).status_code == 200
        assert client.put(f"{path}/layer", data=image.layer).status_code == 200
        sealed = client.put(f"{path}/checksum", headers={"X-Docker-Checksum-Payload": image.payload})
        assert sealed.status_code == 200
    set_tag(client, name, images[-1].id, tag)


def set_tag(client, name, image_id, tag="latest"):
    assert client.put(f"/v1/repositories/{name}/tags/{tag}", data=json.dumps(image_id)).status_code == 200


def filled(driver, **settings):
    client = client_of(driver, **settings)
    push(client, NAME, BASE, TOP)
    set_tag(client, "busybox", BASE.id, "1.0")
    return client


@pytest.fixture(scope="module")
def client():
    return filled(Memory())


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest_of(client, name=NAME, reference="latest", **headers):
    answer = client.get(f"/v2/{name}/manifests/{reference}", headers=headers)
    assert answer.status_code == 200, answer.data
    return answer


def code_of(answer):
    assert answer.headers["Content-Type"] == "application/json"
    (error,) = json.loads(answer.data)["errors"]
    assert error["message"]
    return error["code"]


def test_the_base(client):
    for path in ("/v2", "/v2/"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {})
        assert not [name for name, _ in answer.headers if name.lower().startswith("docker")]


def test_a_pull(client):
    manifest = json.loads(manifest_of(client).data)
    config = client.get(f"/v2/{NAME}/blobs/{manifest['config']['digest']}")
    assert digest_of(config.data) == manifest["config"]["digest"]
    assert len(config.data) == manifest["config"]["size"]
    layers = [client.get(f"/v2/{NAME}/blobs/{layer['digest']}").data for layer in manifest["layers"]]
    assert layers == [BASE.layer, TOP.layer]
    assert [digest_of(layer) for layer in layers] == [layer["digest"] for layer in manifest["layers"]]
    assert [len(layer) for layer in layers] == [layer["size"] for layer in manifest["layers"]]
    diff_ids = [digest_of(gzip.decompress(layer)) for layer in layers]
    assert json.loads(config.data)["rootfs"] == {"type": "layers", "diff_ids": diff_ids}


def test_a_manifest_by_its_tag(client):
    answer = manifest_of(client, **{"X-Request-Id": "trip-0007"})
    digest = digest_of(answer.data)
    for name, value in {
        "Content-Type": SCHEMA2,
        "Docker-Content-Digest": digest,
        "Content-Length": str(len(answer.data)),
        "ETag": f'"{digest}"',
        "Cache-Control": "no-cache",
        "Vary": "Accept",
        "X-Request-Id": "trip-0007",
        "X-Content-Type-Options": "nosniff",
    }.items():
        assert answer.headers[name] == value
    head = client.head(f"/v2/{NAME}/manifests/latest")
    assert (head.status_code, head.data) == (200, b"")
    # Docker takes the size of what it has not got yet from here.
    assert head.headers["Content-Length"] == str(len(answer.data))
    assert head.headers["Docker-Content-Digest"] == digest


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, SCHEMA2),
        ("*/*", SCHEMA2),
        (f"{OCI}, */*", SCHEMA2),
        ("application/json", SCHEMA2),
        (SCHEMA2, SCHEMA2),
        (f"{OCI}, {LIST}, {SCHEMA2}", SCHEMA2),
        (f"{SCHEMA2.upper()};q=0.5,{OCI}", SCHEMA2),
        (OCI, OCI),
        (f"application/vnd.oci.image.index.v1+json , {OCI};q=1", OCI),
    ],
)
def test_the_dialect(client, accept, kind):
    answer = manifest_of(client, **({"Accept": accept} if accept else {}))
    assert answer.headers["Content-Type"] == kind == json.loads(answer.data)["mediaType"]


@pytest.mark.parametrize("kind", [SCHEMA2, OCI])
def test_a_manifest_by_its_digest_is_the_same_whatever_is_accepted(client, kind):
    by_tag = manifest_of(client, Accept=kind)
    digest = by_tag.headers["Docker-Content-Digest"]
    for accept in (SCHEMA2, OCI, "text/html"):
        answer = manifest_of(client, reference=digest, Accept=accept)
        assert (answer.data, answer.headers["Content-Type"]) == (by_tag.data, kind)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000"
        assert answer.headers["Docker-Content-Digest"] == digest
        assert answer.headers["ETag"] == f'"{digest}"'


def test_both_dialects_name_the_same_blobs(client):
    one, other = (json.loads(manifest_of(client, Accept=kind).data) for kind in (SCHEMA2, OCI))
    assert one["config"]["digest"] == other["config"]["digest"]
    assert [each["digest"] for each in one["layers"]] == [each["digest"] for each in other["layers"]]


def test_who_has_it_already_is_told_so(client):
    manifest = manifest_of(client)
    digest = manifest.headers["Docker-Content-Digest"]
    layer = json.loads(manifest.data)["layers"][0]["digest"]
    for path, etag in (
        ("manifests/latest", digest),
        (f"manifests/{digest}", digest),
        (f"blobs/{layer}", layer),
    ):
        for condition in (f'"{etag}"', f'W/"{etag}"', f'"other", "{etag}"', "*"):
            answer = client.get(f"/v2/{NAME}/{path}", headers={"If-None-Match": condition})
            assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", f'"{etag}"')
        assert client.get(f"/v2/{NAME}/{path}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_no_date_tells_whether_a_tag_has_moved(client):
    answer = client.get(f"/v2/{NAME}/manifests/latest", headers={"If-Modified-Since": "Mon, 02 Mar 2026 10:00:00 GMT"})
    assert answer.status_code == 200
    assert "Last-Modified" not in answer.headers


def layer_path(client):
    return f"/v2/{NAME}/blobs/{json.loads(manifest_of(client).data)['layers'][1]['digest']}"


@pytest.fixture(params=["remote", "filesystem"])
def driver(request, tmp_path):
    return Remote() if request.param == "remote" else factory.create("filesystem", str(tmp_path)).driver


def test_a_layer_is_sent_as_by_v1(driver):
    client = filled(driver)
    path, layer = layer_path(client), TOP.layer
    whole = client.get(path, headers={"Accept-Encoding": "zstd, gzip, deflate"})
    digest = digest_of(layer)
    assert (whole.status_code, whole.data) == (200, layer)
    for name, value in {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": digest,
        "Content-Length": str(len(layer)),
        "Accept-Ranges": "bytes",
        "ETag": f'"{digest}"',
        "Cache-Control": "public, max-age=31536000",
    }.items():
        assert whole.headers.getlist(name) == [value]
    # Clients since containerd 2 would unpack it on the way, and find another digest.
    assert "Content-Encoding" not in whole.headers
    head = client.head(path)
    assert (head.status_code, head.headers["Content-Length"], head.data) == (200, str(len(layer)), b"")
    part = client.get(path, headers={"Range": "bytes=100-"})
    assert (part.status_code, part.data) == (206, layer[100:])
    assert part.headers["Content-Range"] == f"bytes 100-{len(layer) - 1}/{len(layer)}"
    assert part.headers["Docker-Content-Digest"] == digest
    middle = client.get(path, headers={"Range": "bytes=3-9", "If-Range": f'"{digest}"'})
    assert (middle.status_code, middle.data) == (206, layer[3:10])
    past = client.get(path, headers={"Range": f"bytes={len(layer)}-"})
    assert (past.status_code, past.data, past.headers["Content-Range"]) == (416, b"", f"bytes */{len(layer)}")


def test_a_redirect_leads_to_the_stored_layer():
    client = filled(Remote(), delivery="redirect")
    answer = client.get(layer_path(client))
    assert answer.status_code == 302
    assert answer.headers["Location"] == Remote().url_for(f"images/{TOP.id}/layer")
    assert client.head(layer_path(client)).status_code == 200


def test_nginx_is_told_where_the_layer_is(tmp_path):
    client = filled(factory.create("filesystem", str(tmp_path)).driver, delivery="nginx")
    answer = client.get(layer_path(client))
    assert (answer.status_code, answer.headers["X-Accel-Redirect"]) == (200, f"/_files/images/{TOP.id}/layer")
    assert answer.headers["Docker-Content-Digest"] == digest_of(TOP.layer)
    assert answer.headers["X-Accel-Expires"] == "5"
    by_digest = manifest_of(client).headers["Docker-Content-Digest"]
    assert manifest_of(client, reference=by_digest).headers["X-Accel-Expires"] == "5"
    assert "X-Accel-Expires" not in manifest_of(client).headers


def test_what_is_in_another_form_is_offered_as_gzip():
    client = client_of(Memory())
    odd = Image("odd")
    junk = odd.layer + b"junk behind"
    assert client.put(f"/v1/images/{odd.id}/json", data=odd.json).status_code == 200
    assert client.put(f"/v1/images/{odd.id}/layer", data=junk).status_code == 200
    payload = hashlib.sha256(odd.json + b"\n" + junk).hexdigest()
    sealed = client.put(f"/v1/images/{odd.id}/checksum", headers={"X-Docker-Checksum-Payload": f"sha256:{payload}"})
    assert sealed.status_code == 200
    set_tag(client, NAME, odd.id)
    (layer,) = json.loads(manifest_of(client).data)["layers"]
    answer = client.get(f"/v2/{NAME}/blobs/{layer['digest']}")
    assert digest_of(answer.data) == layer["digest"]
    assert gzip.decompress(answer.data) == gzip.decompress(odd.layer)
    assert client.get(f"/v1/images/{odd.id}/layer").data == junk


def test_what_cannot_be_offered_is_told():
    client = client_of(Memory())
    push(client, NAME, BASE)
    broken = ImageId("f" * 64)
    document, layer = json.dumps({"id": broken}).encode(), b"this is no archive" * 60
    client.put(f"/v1/images/{broken}/json", data=document)
    client.put(f"/v1/images/{broken}/layer", data=layer)
    payload = hashlib.sha256(document + b"\n" + layer).hexdigest()
    client.put(f"/v1/images/{broken}/checksum", headers={"X-Docker-Checksum-Payload": f"sha256:{payload}"})
    set_tag(client, NAME, broken, "odd")
    answer = client.get(f"/v2/{NAME}/manifests/odd")
    assert (answer.status_code, code_of(answer)) == (404, "MANIFEST_UNKNOWN")
    assert client.get(f"/v2/{NAME}/manifests/latest").status_code == 200


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagged():
    client = client_of(Memory())
    push(client, NAME, BASE, tag="b")
    for tag in ("a", "B", "1.0", "_x", "latest"):
        set_tag(client, NAME, BASE.id, tag)
    driver = client.application.extensions["wharfinger-registry"].tags._driver
    for odd in (".hidden", "-dash", "with space", "x" * 129):
        driver.put(f"repositories/{NAME}/tag_{odd.replace(' ', '+')}", BASE.id.encode())
    return client


TAGS = ["1.0", "B", "_x", "a", "b", "latest"]


@pytest.mark.parametrize(
    ("query", "page", "following"),
    [
        ("", TAGS, None),
        ("?n=2", TAGS[:2], "n=2&last=B"),
        ("?n=2&last=B", TAGS[2:4], "n=2&last=a"),
        ("?n=2&last=a", TAGS[4:], None),
        ("?n=6", TAGS, None),
        ("?last=A", TAGS[1:], None),
        ("?n=0", [], None),
        ("?n=99999999", TAGS, None),
        ("?last=zzz", [], None),
        ("?n=&last=", TAGS, None),
    ],
)
def test_tags(tagged, query, page, following):
    answer = tagged.get(f"/v2/{NAME}/tags/list{query}")
    assert (answer.status_code, answer.json) == (200, {"name": NAME, "tags": page})
    link = f'</v2/{NAME}/tags/list?{following}>; rel="next"' if following else None
    assert answer.headers.get("Link") == link


def test_the_bare_name_of_an_official_repository(client):
    assert client.get("/v2/busybox/tags/list").json == {"name": "busybox", "tags": ["1.0"]}
    assert client.get("/v2/library/busybox/tags/list").json == {"name": "library/busybox", "tags": ["1.0"]}
    assert manifest_of(client, "busybox", "1.0").data == manifest_of(client, "library/busybox", "1.0").data


def test_the_catalogue_of_what_is_public():
    client = filled(Memory())
    set_tag(client, "acme/secret", BASE.id)
    assert client.put("/v1/repositories/acme/secret/properties", json={"access": "private"}).status_code == 200
    assert client.get("/v2/_catalog").json == {"repositories": ["acme/app", "library/busybox"]}
    first = client.get("/v2/_catalog?n=1")
    assert (first.json, first.headers["Link"]) == (
        {"repositories": ["acme/app"]},
        '</v2/_catalog?n=1&last=acme%2Fapp>; rel="next"',
    )
    last = client.get("/v2/_catalog?n=1&last=acme%2Fapp")
    assert (last.json, last.headers.get("Link")) == ({"repositories": ["library/busybox"]}, None)


def test_nothing_refers_to_a_manifest(client):
    answer = client.get(f"/v2/{NAME}/referrers/sha256:{'0' * 64}?artifactType=x")
    assert (answer.status_code, answer.json["manifests"]) == (200, [])
    assert answer.headers["Content-Type"] == answer.json["mediaType"] == "application/vnd.oci.image.index.v1+json"


# --- refusals --------------------------------------------------------------------------------------------------------

ABSENT = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{NAME}/manifests/absent", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/manifests/sha512:{'0' * 128}", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/manifests/sha256:xyz", 400, "DIGEST_INVALID"),
        (f"{NAME}/manifests/a%20tag", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/manifests/%C3%A4", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/manifests/", 404, "MANIFEST_UNKNOWN"),
        ("acme/absent/manifests/latest", 404, "MANIFEST_UNKNOWN"),
        (f"{NAME}/blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
        (f"{NAME}/blobs/sha512:{'0' * 128}", 404, "BLOB_UNKNOWN"),
        (f"{NAME}/blobs/nonsense", 400, "DIGEST_INVALID"),
        (f"{NAME}/blobs/sha256:{'A' * 64}", 400, "DIGEST_INVALID"),
        (f"{NAME}/referrers/nonsense", 400, "DIGEST_INVALID"),
        ("acme/absent/tags/list", 404, "NAME_UNKNOWN"),
        (f"{NAME}/tags/other", 404, "NAME_UNKNOWN"),
        (f"{NAME}/tags/list?n=x", 400, "PAGINATION_NUMBER_INVALID"),
        (f"{NAME}", 404, "NAME_UNKNOWN"),
        ("token", 404, "NAME_UNKNOWN"),
        ("a%20b/manifests/latest", 400, "NAME_INVALID"),
        ("%FF/manifests/latest", 400, "NAME_INVALID"),
        ("../x/manifests/latest", 400, "NAME_INVALID"),
    ],
)
def test_refusals(client, path, status, code):
    answer = client.get(f"/v2/{path}")
    assert (answer.status_code, code_of(answer)) == (status, code)
    head = client.head(f"/v2/{path}")
    assert (head.status_code, head.data) == (status, b"")


def test_a_manifest_is_no_blob_and_a_blob_no_manifest(client):
    manifest = manifest_of(client)
    assert client.get(f"/v2/{NAME}/blobs/{manifest.headers['Docker-Content-Digest']}").status_code == 404
    for blob in (manifest.json["config"], *manifest.json["layers"]):
        assert client.get(f"/v2/{NAME}/manifests/{blob['digest']}").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_is_written(client, method):
    for path in ("", f"{NAME}/manifests/latest", f"{NAME}/blobs/uploads/", f"{NAME}/blobs/{ABSENT}", "_catalog"):
        answer = client.open(f"/v2/{path}", method=method)
        assert (answer.status_code, code_of(answer)) == (405, "UNSUPPORTED")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}
        assert "v1" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize(
    "agent", ["docker/0.9.1", "docker/1.6.2 go/go1.4.1", "docker/17.05.0-ce", "Go 1.1 package http"]
)
def test_daemons_that_push_by_v1_find_nothing(client, agent):
    for method in ("GET", "HEAD", "PUT", "POST"):
        for path in ("/v2", "/v2/", f"/v2/{NAME}/manifests/latest", f"/v2/{NAME}/blobs/uploads/"):
            answer = client.open(path, method=method, headers={"User-Agent": agent})
            assert answer.status_code == 404
            assert method == "HEAD" or code_of(answer) == "MANIFEST_UNKNOWN"
            assert "Docker-Distribution-Api-Version" not in answer.headers


def test_a_page_of_another_site_reads_nothing(client):
    """No name that was made to lead here, and no permission for scripts."""
    rebound = client.get("/v2/_catalog", headers={"Host": "evil.example"})
    assert (rebound.status_code, code_of(rebound)) == (403, "DENIED")
    answer = client.get("/v2/_catalog", headers={"Origin": "https://evil.example"})
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


def test_a_surprise_tells_only_where_to_look(caplog):
    class Unwell(Memory):
        def entries(self, path):
            raise ZeroDivisionError("secret detail")

    answer = client_of(Unwell()).get(f"/v2/{NAME}/tags/list", headers={"X-Request-Id": "trip-0008"})
    assert (answer.status_code, code_of(answer), answer.headers["X-Request-Id"]) == (500, "UNKNOWN", "trip-0008")
    assert "secret detail" not in answer.text
    assert "ZeroDivisionError" in caplog.text
