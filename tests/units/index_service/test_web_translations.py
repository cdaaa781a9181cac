"""Pages and the JSON API tell a tag's digest and what to type to pull it, or why today's clients cannot have it."""

from __future__ import annotations

import pytest

from common.names import RepositoryName
from index_service.images.pull_commands import PullCommands
from index_service.registry_client import Manifest, Translation
from tests.clients.images import make_chain
from tests.units.index_service.live import image
from tests.units.index_service.reader import Reader
from tests.units.index_service.test_translations import OCI, SCHEMA2, by_tag, unpackable


def shown(page):
    """The text of a page, its words one blank apart."""
    return " ".join(page.text.split())


def test_pages_and_the_api_tell_the_digest_and_what_to_type(harbour):
    harbour.push("alice/app", make_chain(2), "1.0")
    reader = Reader(harbour.site)
    page = shown(reader.open("/r/alice/app"))
    host = "127.0.0.1:5000"
    assert "The digest has not been computed yet." in page
    assert f"skopeo copy --src-tls-verify=false docker://{host}/alice/app:1.0 oci:app" in page
    assert "digest not computed yet" in shown(reader.open("/r/alice/app/@tags"))
    told = reader.api("/repositories/alice/app")
    nothing = dict.fromkeys(("digest", "media_type", "size", "pull_size", "problem"))
    assert told["translation"] == {**nothing, "manifests": []}
    harbour.work_off()
    pulled = by_tag(harbour, "alice/app", "1.0")
    digest = pulled.header("Docker-Content-Digest")
    lines = (
        f"docker pull {host}/alice/app@{digest}",
        f"podman pull --tls-verify=false {host}/alice/app@{digest}",
        f"skopeo copy --src-tls-verify=false docker://{host}/alice/app@{digest} oci:app",
        f"ctr images pull --plain-http {host}/alice/app@{digest}",
    )
    page = shown(reader.open("/r/alice/app"))
    for words in ("Docker up to 17.05", f"docker pull {host}/alice/app:1.0", "Current clients", *lines, SCHEMA2):
        assert words in page
    assert "not been computed" not in page
    assert digest[:19] in shown(reader.open("/r/alice/app/@tags"))
    told = reader.api("/repositories/alice/app")
    assert told["commands"]["v1"] == f"docker pull {host}/alice/app:1.0"
    assert tuple(each["line"] for each in told["commands"]["current"]) == lines
    (tagged,) = reader.api("/repositories/alice/app/@tags")["items"]
    for translation in (told["translation"], tagged["translation"]):
        assert (translation["digest"], translation["media_type"]) == (digest, SCHEMA2)
        assert (translation["size"], translation["problem"]) == (len(pulled.body), None)
        assert [each["media_type"] for each in translation["manifests"]] == [SCHEMA2, OCI]


def test_why_todays_clients_cannot_have_a_tag_is_shown(harbour):
    base = image()
    broken = unpackable(base)
    harbour.push("alice/app", (base, broken))
    harbour.work_off()
    reader = Reader(harbour.site)
    why = f"Current clients cannot pull this image: The layer of image {broken.id} cannot be unpacked"
    assert why in shown(reader.open("/r/alice/app"))
    assert "not for current clients" in shown(reader.open("/r/alice/app/@tags"))
    assert "skopeo" not in reader.open("/r/alice/app").text
    told = reader.api("/repositories/alice/app")
    assert told["translation"]["problem"].startswith("The layer of image")
    assert told["commands"] == {"v1": "docker pull 127.0.0.1:5000/alice/app", "current": []}


DIGEST = f"sha256:{'0' * 64}"
KNOWN = Translation((Manifest(SCHEMA2, DIGEST, 1),), 2)


@pytest.mark.parametrize(
    ("name", "tag", "translation", "v1", "current"),
    [
        ("library/busybox", "latest", Translation(), "h/busybox", "h/busybox:latest"),
        ("library/busybox", "1.0", KNOWN, "h/busybox:1.0", f"h/busybox@{DIGEST}"),
        ("acme/a/b", "x;y", KNOWN, "'h/acme/a/b:x;y'", f"h/acme/a/b@{DIGEST}"),
        ("acme/app", "x;y", Translation(), "'h/acme/app:x;y'", None),
        ("acme/App", "1.0", KNOWN, "h/acme/App:1.0", None),
        ("acme/app", "1.0", Translation(problem="no layer"), "h/acme/app:1.0", None),
    ],
)
def test_what_to_type(name, tag, translation, v1, current):
    commands = PullCommands.of("h", RepositoryName.parse(name), tag, translation, is_secure=True)
    assert commands.v1 == f"docker pull {v1}"
    lines = [each.line for each in commands.current]
    last = name.rpartition("/")[2]
    assert lines == (
        []
        if current is None
        else [
            f"docker pull {current}",
            f"podman pull {current}",
            f"skopeo copy docker://{current} oci:{last}",
            f"ctr images pull {current}",
        ]
    )
