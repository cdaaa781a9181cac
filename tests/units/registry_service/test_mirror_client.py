"""A source spoken to as a daemon would, whatever it answers: tokens, endpoints, cookies, redirects, nonsense."""

from __future__ import annotations

import base64
import json
import ssl

import pytest

from common import headers
from common.errors import NotFound
from common.names import ImageId, RepositoryName, Tag
from registry_service.mirror.client import (
    MAX_JSON_BYTES,
    NotAtSource,
    Source,
    SourceRefused,
    SourceUnavailable,
    SourceWrong,
    via_mirrors,
)
from registry_service.mirror.sources import MirrorSource
from tests.clients.images import make_image
from tests.servers.process import free_port
from tests.servers.tls import make_certificate
from tests.units.registry_service.mirror_source import ACME, Said, serving

IMAGE = make_image()
ID = ImageId(IMAGE.id)
LIST, TAGS = "/v1/repositories/acme/app/images", "/v1/repositories/acme/app/tags"
JSON, LAYER = f"/v1/images/{ID}/json", f"/v1/images/{ID}/layer"
BASIC = f"Basic {base64.b64encode('alicë:sécret'.encode()).decode()}"


@pytest.fixture
def server():
    with serving() as source:
        source.hold((IMAGE,))
        yield source


@pytest.fixture
def other():
    with serving() as source:
        yield source


def source_of(server, **credentials):
    return Source(MirrorSource("*", server.url, **credentials), 5.0, "me")


def alice(server):
    return source_of(server, user="alicë", password="sécret")


def test_the_index_gets_the_password_and_the_registry_the_token(server):
    assert alice(server).tags(ACME) == {"latest": ID}
    (asked,) = server.heard_of(LIST)
    assert (asked["authorization"], asked["x-docker-token"]) == (BASIC, "true")
    (read,) = server.heard_of(TAGS)
    assert read["authorization"] == 'Token signature=pass,repository="acme/app",access=read'
    assert "x-docker-token" not in read


def test_one_session_serves_many_questions(server):
    source = alice(server)
    source.tags(ACME)
    assert source.describe(ACME, ID).json == IMAGE.json
    assert b"".join(source.layer(ACME, ID, 0, len(IMAGE.layer))) == IMAGE.layer
    assert len(server.heard_of(LIST)) == 1


@pytest.mark.parametrize(
    ("token", "presented"),
    [
        (
            'Token signature=ABC,repository="acme/app",access=read',
            'Token signature=ABC,repository="acme/app",access=read',
        ),
        ("sigv2=blob", "Token sigv2=blob"),
    ],
)
def test_tokens_of_other_servers_are_presented_as_daemons_present_them(server, token, presented):
    server.say(LIST, Said(b"[]", [("X-Docker-Token", token)]))
    source_of(server).tags(ACME)
    assert server.heard_of(TAGS)[0]["authorization"] == presented


def test_a_source_without_tokens_is_asked_without(server):
    server.say(LIST, Said(b"[]"))
    source_of(server).tags(ACME)
    assert "authorization" not in server.heard_of(TAGS)[0]


@pytest.mark.parametrize("form", ["{netloc}", " {netloc} , 127.0.0.1:1", "http://{netloc}/v1/", "127.0.0.1:1,{netloc}"])
def test_the_announced_registries_are_asked_in_turn(server, other, form):
    server.say(LIST, Said(b"[]", [("X-Docker-Endpoints", form.format(netloc=other.netloc)), ("X-Docker-Token", "t")]))
    other.say(TAGS, Said(b'{"a": "b"}'))
    assert alice(server).tags(ACME) == {"a": "b"}
    assert other.heard[0].headers["authorization"] == "Token t"
    assert not server.heard_of(TAGS)


def test_each_header_line_is_an_endpoint(server, other):
    lines = [("X-Docker-Endpoints", "127.0.0.1:1"), ("X-Docker-Endpoints", other.netloc)]
    server.say(LIST, Said(b"[]", lines))
    other.say(TAGS, Said(b"{}"))
    assert source_of(server).tags(ACME) == {}


def test_what_one_registry_has_not_another_may_have(server, other):
    server.say(LIST, Said(b"[]", [("X-Docker-Endpoints", f"{other.netloc},{server.netloc}")]))
    assert source_of(server).describe(ACME, ID).json == IMAGE.json
    with pytest.raises(NotAtSource):
        source_of(server).describe(ACME, ImageId("0" * 64))
    server.say(LIST, Said(b"[]", [("X-Docker-Endpoints", f"127.0.0.1:1,{server.netloc}")]))
    with pytest.raises(SourceUnavailable):
        source_of(server).describe(ACME, ImageId("0" * 64))


def test_a_refused_token_is_renewed_once(server):
    server.say(TAGS, Said(status=401), Said(b'{"a": "b"}'))
    source = alice(server)
    assert source.tags(ACME) == {"a": "b"}
    assert len(server.heard_of(LIST)) == 2
    server.say(TAGS, Said(status=401))
    with pytest.raises(SourceRefused):
        source.tags(ACME)
    assert len(server.heard_of(TAGS)) == 4


def test_cookies_are_kept_for_their_host(server, other):
    cookie = [("Set-Cookie", "session=abc; Path=/v1/; HttpOnly"), ("Set-Cookie", "more=1")]
    server.say(LIST, Said(b"[]", [*cookie, ("X-Docker-Endpoints", f"{server.netloc},{other.netloc}")]))
    server.say(TAGS, Said(status=404))
    other.say(TAGS, Said(b"{}"))
    source_of(server).tags(ACME)
    assert server.heard_of(TAGS)[0]["cookie"] == "session=abc; more=1"
    assert "cookie" not in other.heard[0].headers


def test_redirects_are_followed_without_the_credentials(server, other):
    """A layer often lies in a store that answers a second credential with 400 (protocol §1.9)."""
    server.say(LIST, Said(b"[]", [("X-Docker-Token", "t"), ("Set-Cookie", "session=abc")]))
    server.say(LAYER, Said(status=302, headers=[("Location", f"{other.url}/store?Signature=x")]))
    other.say("/store?Signature=x", Said(IMAGE.layer))
    assert b"".join(alice(server).layer(ACME, ID, 0, None)) == IMAGE.layer
    assert server.heard_of(LAYER)[0]["authorization"] == "Token t"
    assert not {"authorization", "cookie"} & other.heard[0].headers.keys()
    other.say("/again", Said(status=302, headers=[("Location", "/again")]))
    server.say(LAYER, Said(status=302, headers=[("Location", f"{other.url}/again")]))
    with pytest.raises(SourceUnavailable):
        b"".join(source_of(server).layer(ACME, ID, 0, None))
    assert len(other.heard_of("/again")) == 5


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, NotAtSource), (404, NotAtSource), (410, NotAtSource),
        (401, SourceRefused), (403, SourceRefused),
        (408, SourceUnavailable), (429, SourceUnavailable), (500, SourceUnavailable), (503, SourceUnavailable),
        (204, SourceUnavailable),
    ],
)  # fmt: skip
def test_what_a_status_means(server, status, failure):
    server.say(LIST, Said(b"", status=status))
    with pytest.raises((NotFound, SourceUnavailable)) as refused:
        alice(server).images(ACME)
    assert type(refused.value) is failure
    assert "sécret" not in refused.value.message


@pytest.mark.parametrize("body", [b"<html>", b"", b"{}", b'["a"]', b"\xff", b"[" * 100_000])
def test_a_list_that_is_none(server, body):
    server.say(LIST, Said(body))
    with pytest.raises(SourceWrong):
        source_of(server).images(ACME)


@pytest.mark.parametrize("body", [b"null", b'"a"', b"<html>", b"7"])
def test_tags_that_are_none(server, body):
    server.say(TAGS, Said(body))
    with pytest.raises(SourceWrong):
        source_of(server).tags(ACME)


@pytest.mark.parametrize("body", [[], ["0" * 64], ["x"], [7], {}, 7, None, [IMAGE.id, "../../etc"]])
def test_an_ancestry_that_is_none(server, body):
    server.say(f"/v1/images/{ID}/ancestry", Said(json.dumps(body).encode()))
    with pytest.raises(SourceWrong):
        source_of(server).ancestry(ACME, ID)


def test_a_json_of_any_size_is_not_read(server):
    server.say(JSON, Said(b"{" + b" " * MAX_JSON_BYTES + b"}"))
    with pytest.raises(SourceWrong):
        source_of(server).describe(ACME, ID)


def test_a_json_cut_short_is_no_json(server):
    server.say(JSON, Said(IMAGE.json, sent=20))
    with pytest.raises(SourceUnavailable):
        source_of(server).describe(ACME, ID)


@pytest.mark.parametrize(
    ("headers", "size", "checksums"),
    [
        ([("X-Docker-Size", "12"), ("X-Docker-Checksum-Payload", IMAGE.payload)], 12, (IMAGE.payload,)),
        ([("X-Docker-Payload-Checksum", IMAGE.payload)], None, (IMAGE.payload,)),
        (
            [("X-Docker-Checksum", IMAGE.tarsum), ("X-Docker-Checksum", IMAGE.payload)],
            None,
            (IMAGE.tarsum, IMAGE.payload),
        ),
        ([("X-Docker-Size", "-1"), ("X-Docker-Checksum-Payload", "rubbish")], None, ()),
        ([("X-Docker-Size", "0")], None, ()),
    ],
)
def test_size_and_checksums_in_every_spelling(server, headers, size, checksums):
    server.say(JSON, Said(IMAGE.json, headers))
    described = source_of(server).describe(ACME, ID)
    assert (described.size, described.checksums) == (size, checksums)


def test_the_rest_of_a_layer_is_asked_for_with_its_end(server):
    size = len(IMAGE.layer)
    said = Said(IMAGE.layer[100:], [("Content-Range", f"100-{size - 1}/{size}")], status=206)
    server.say(LAYER, said)
    assert b"".join(source_of(server).layer(ACME, ID, 100, size)) == IMAGE.layer[100:]
    assert server.heard_of(LAYER)[0]["range"] == f"bytes=100-{size - 1}"


def test_a_source_without_ranges_sends_all_again(server):
    assert b"".join(source_of(server).layer(ACME, ID, 100, len(IMAGE.layer))) == IMAGE.layer[100:]


@pytest.mark.parametrize(
    "said",
    [
        Said(IMAGE.layer[90:], [("Content-Range", "bytes 90-199/200")], status=206),
        Said(IMAGE.layer[100:], [("Content-Range", "nonsense")], status=206),
        Said(IMAGE.layer[100:-1], [("Content-Range", "bytes 100-199/200")], status=206),
        Said(IMAGE.layer + b"more"),
    ],
    ids=["another part", "no part", "too little", "too much"],
)
def test_other_bytes_than_those_asked_for_are_not_taken(server, said):
    server.say(LAYER, said)
    with pytest.raises(SourceWrong):
        b"".join(source_of(server).layer(ACME, ID, 100, len(IMAGE.layer)))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_layer_that_breaks_off_is_seen(server, chunked):
    server.say(LAYER, Said(IMAGE.layer, sent=50))
    if chunked:
        server.say(LAYER, Said(b"", [("Transfer-Encoding", "chunked"), ("Content-Length", "9")], sent=0))
    with pytest.raises(SourceUnavailable):
        b"".join(source_of(server).layer(ACME, ID, 0, None))


def test_a_closed_pooled_connection_costs_nobody_an_answer(server):
    server.say(TAGS, Said(b"{}", sent=2))
    source = source_of(server)
    assert [source.tags(ACME) for _ in range(3)] == [{}] * 3


def test_a_source_that_is_not_there():
    source = Source(MirrorSource("*", f"http://127.0.0.1:{free_port()}", "alice", "hidden-word"), 5.0, "me")
    with pytest.raises(SourceUnavailable, match="cannot be reached") as refused:
        source.images(ACME)
    assert "hidden-word" not in refused.value.message


def test_the_way_a_question_came_is_told(server):
    via_mirrors.set(("one", "two"))
    source_of(server).tags(ACME)
    via_mirrors.set(())
    assert {heard.headers[headers.MIRROR.lower()] for heard in server.heard} == {"one,two,me"}


def test_tags_with_odd_names_are_quoted(server):
    server.say("/v1/repositories/acme/app/tags/a%3Fb/json", Said(b'{"os": "plan9"}'))
    assert source_of(server).tag_description(ACME, Tag("a?b")) == {"os": "plan9"}
    server.say("/v1/repositories/acme/app/json", Said(b"[]"))
    assert source_of(server).tag_description(ACME, None) == {}


@pytest.mark.parametrize(
    ("ping", "sends_basic"),
    [
        (Said(b"true", [("X-Docker-Registry-Standalone", "True")]), True),
        (Said(b"{}"), True),
        (Said(b"nonsense"), True),
        (Said(b'{"standalone": false}'), False),
        (Said(b"{}", [("X-Docker-Registry-Standalone", "mirror")]), False),
        (Said(b"{}", [("X-Docker-Registry-Standalone", "false")]), False),
    ],
)
def test_over_tls_a_registry_alone_gets_the_password_and_nobody_it_names(
    tmp_path, monkeypatch, other, ping, sends_basic
):
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    with serving(context) as server:
        server.hold((IMAGE,))
        server.say("/v1/_ping", ping)
        source = alice(server)
        assert source.tags(ACME) == {"latest": ID}
        assert server.heard_of(TAGS)[0]["authorization"].startswith("Basic" if sends_basic else "Token")
        endpoints = [("X-Docker-Endpoints", f"http://{other.netloc}"), ("X-Docker-Token", "t")]
        server.say(LIST, Said(b"[]", endpoints))
        other.say(TAGS, Said(b"{}"))
        source.images(ACME)
        assert source.tags(ACME) == {}
    assert other.heard[0].headers["authorization"] == "Token t"
    assert len(server.heard_of("/v1/_ping")) == 1


def test_every_repository_has_a_session_of_its_own(server):
    library = RepositoryName.parse("busybox")
    server.hold((IMAGE,), library)
    source = source_of(server)
    source.tags(ACME)
    source.tags(library)
    (read,) = server.heard_of("/v1/repositories/library/busybox/tags")
    assert 'repository="library/busybox"' in read["authorization"]
