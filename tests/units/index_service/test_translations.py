"""What tagged images are by `/v2/`: a job asks their registry after a push."""

from __future__ import annotations

import hashlib
import json

from common.names import RepositoryName, Tag
from index_service.database import Database
from index_service.images import translations
from index_service.registry_client import Translation
from tests.clients.images import Image, make_chain
from tests.clients.wire import Target, call
from tests.units.index_service.live import image

SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
APP = RepositoryName.parse("alice/app")


def read(harbour):
    """What the index knows, by image."""
    with Database(harbour.site.engine).reading() as session:
        rows = harbour.site.rows("SELECT image_id, repository_id FROM translations")
        return {
            row.image_id: translations.known(session, row.repository_id, [row.image_id])[row.image_id] for row in rows
        }


def by_tag(harbour, name, tag, accept=SCHEMA2):
    """What a client gets that pulls it."""
    token = call(harbour.index, f"GET /v2/token?scope=repository:{name}:pull").json()["token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    answer = call(Target.parse(f"http://{harbour.endpoint}"), f"GET /v2/{name}/manifests/{tag}", headers)
    assert answer.status == 200
    return answer


def unpackable(parent: Image) -> Image:
    """One that no client of today can have."""
    made = image(parent)
    return Image(made.id, parent.id, made.json, made.tar, (b"this is no archive" * 60,))


def asked(harbour):
    return [line for line in harbour.asked if "/_wharfinger/" in line]


def test_a_push_brings_the_digest_of_its_tag(harbour):
    chain = make_chain(2)
    harbour.push("alice/app", chain)
    assert asked(harbour) == []
    harbour.work_off()
    known = read(harbour)
    assert known.keys() == {chain[-1].id}
    for manifest, kind in zip(known[chain[-1].id].manifests, (SCHEMA2, OCI), strict=True):
        pulled = by_tag(harbour, "alice/app", "latest", kind)
        assert manifest.media_type == kind == pulled.header("Content-Type")
        assert manifest.digest == pulled.header("Docker-Content-Digest")
        assert manifest.digest == f"sha256:{hashlib.sha256(pulled.body).hexdigest()}"
        assert manifest.size == len(pulled.body)
    described = json.loads(pulled.body)
    blobs = {each["digest"]: each["size"] for each in (described["config"], *described["layers"])}
    assert known[chain[-1].id].size == sum(blobs.values())
    assert harbour.site.rows("SELECT * FROM jobs") == []


def test_it_follows_its_tag(harbour):
    first, second = make_chain(2), make_chain(2)
    harbour.push("alice/app", first)
    harbour.work_off()
    old = read(harbour)[first[-1].id]
    harbour.site.clock.move(minutes=2)
    harbour.push("alice/app", second)
    harbour.work_off()
    (new,) = read(harbour).items()
    assert new[0] == second[-1].id
    assert new[1].digest == by_tag(harbour, "alice/app", "latest").header("Docker-Content-Digest") != old.digest
    harbour.deletion.delete_tags(harbour.site.actor("alice"), APP, [Tag("latest")])
    harbour.site.clock.move(minutes=2)
    harbour.push("alice/app", first, "other")
    harbour.work_off()
    assert read(harbour) == {first[-1].id: old}


def test_an_image_is_asked_about_once_for_each_push_of_it(harbour):
    chain = make_chain(1)
    for tag in ("one", "two"):
        harbour.push("alice/app", chain, tag)
        harbour.work_off()
    assert len(asked(harbour)) == 1
    harbour.site.clock.move(minutes=1)
    harbour.push("alice/app", chain, "two")
    harbour.work_off()
    assert len(asked(harbour)) == 2


def test_why_todays_clients_cannot_have_an_image_is_kept(harbour):
    base = image()
    broken = unpackable(base)
    harbour.push("alice/app", (base, broken), "broken")
    harbour.push("alice/app", (base,), "whole")
    harbour.work_off()
    known = read(harbour)
    problem = f"The layer of image {broken.id} cannot be unpacked: Layer format not supported"
    assert known[broken.id] == Translation(problem=problem)
    assert known[base.id].digest
    assert harbour.site.rows("SELECT * FROM jobs") == []


def test_private_repositories_are_asked_about_too(harbour):
    harbour.push("alice/app", make_chain(1))
    harbour.site.set_private("alice/app")
    harbour.work_off()
    (found,) = read(harbour).values()
    assert found.digest


class Answering:
    """A registry behind which questions about translations get an answer of its own, as long as there is one."""

    def __init__(self, harbour, *statuses):
        self.behind, self.statuses = harbour.registry_app, list(statuses)
        harbour.registry_app = self

    def __call__(self, environ, start_response):
        if "/_wharfinger/" not in environ["PATH_INFO"] or not self.statuses:
            return self.behind(environ, start_response)
        start_response(self.statuses.pop(0), [("Content-Length", "2"), ("Content-Type", "application/json")])
        return [b"{}"]


def test_a_long_translation_is_asked_for_again_later(harbour):
    Answering(harbour, *["202 ACCEPTED"] * 2)
    chain = make_chain(1)
    harbour.push("alice/app", chain)
    harbour.work_off()
    for seconds in (5, 10):
        (job,) = harbour.site.rows("SELECT kind, failure FROM jobs")
        assert job == ("translate", f"The registry {harbour.endpoint} is still translating")
        assert read(harbour) == {}
        assert harbour.work_off() == 0
        harbour.site.clock.move(seconds=seconds)
        assert harbour.work_off() == 1
    assert read(harbour)[chain[-1].id].digest
    assert harbour.site.rows("SELECT * FROM jobs") == []


def test_one_that_fails_stops_no_other(harbour):
    first, second = make_chain(1), make_chain(1)
    for tag, chain in (("one", first), ("two", second)):
        harbour.push("alice/app", chain, tag)
        harbour.site.clock.move(seconds=1)
    Answering(harbour, "500 INTERNAL SERVER ERROR")
    harbour.work_off()
    assert read(harbour).keys() == {first[-1].id, second[-1].id}
    # The one pushed last is asked about first, and again when there is nothing else to learn.
    assert [line.rpartition("/")[2] for line in asked(harbour)] == [each[-1].id for each in (second, first, second)]


def test_a_repository_may_be_deleted_meanwhile(harbour, caplog):
    harbour.push("alice/app", make_chain(1))
    behind = harbour.registry_app

    def deleting(environ, start_response):
        answer = behind(environ, start_response)
        if "/_wharfinger/" in environ["PATH_INFO"]:
            harbour.site.drop("alice/app")
        return answer

    harbour.registry_app = deleting
    harbour.work_off()
    assert read(harbour) == {}
    assert "failed" not in caplog.text


def test_a_registry_without_v2_is_asked_once(harbour):
    Answering(harbour, "404 NOT FOUND")
    chain = make_chain(1)
    harbour.push("alice/app", chain)
    harbour.work_off()
    assert read(harbour) == {chain[-1].id: Translation()}
    assert harbour.site.rows("SELECT * FROM jobs") == []
    # Once it has it, a command asks for everything anew.
    harbour.reindex.run(APP)
    harbour.work_off()
    assert read(harbour)[chain[-1].id].digest


def test_reading_anew_keeps_what_is_known_until_it_is_told(harbour):
    chain = make_chain(1)
    harbour.push("alice/app", chain)
    harbour.work_off()
    known = read(harbour)
    harbour.reindex.run(APP)
    assert read(harbour) == known
    count = len(asked(harbour))
    harbour.work_off()
    assert (read(harbour), len(asked(harbour))) == (known, count + 1)
