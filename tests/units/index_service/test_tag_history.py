"""A renamed repository's tags move at its registry, whatever happens meanwhile: with a real registry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import NotFound, Unavailable
from common.names import RepositoryName, Tag
from common.tokens import Access
from index_service.database import Database
from index_service.images import jobs
from index_service.registry_client import RegistryClient
from index_service.repositories import catalogue
from registry_service.storage import paths
from tests.clients.images import make_chain, make_tar, pack
from tests.clients.wire import Target, call
from tests.units.index_service.site import authorization

OLD, NEW = RepositoryName.parse("alice/app"), RepositoryName.parse("bob/engine")


def rename(harbour, old=OLD, new=NEW):
    """As the site does it: in SQL, and a job for the rest."""
    with Database(harbour.site.engine).writing() as session:
        repository = catalogue.lock(session, old)
        repository.namespace, repository.name = new.namespace, new.name
        jobs.enqueue(session, jobs.MOVE, repository.id, {"from": str(old)}, harbour.site.clock())


def pushed(harbour, *tags):
    """The repository under its old name, with these tags; nothing is left to be done."""
    for tag in tags:
        harbour.push(str(OLD), make_chain(1), tag)
    harbour.work_off()


def registry_tags(harbour, name):
    """What the registry itself tells."""
    token = harbour.own_token(name, Access.READ)
    target = Target.parse(f"http://{harbour.endpoint}")
    answer = call(target, f"GET /v1/repositories/{name}/tags", {"Authorization": f"Token {token}"})
    return answer.json() if answer.status == 200 else answer.status


def index_tags(harbour):
    rows = harbour.site.rows("SELECT name, image_id FROM tags WHERE image_id IS NOT NULL")
    return {row.name: row.image_id for row in rows}


def pending(harbour):
    return [row.kind for row in harbour.site.rows("SELECT kind FROM jobs")]


def point_at_nothing(harbour, tag):
    """The index lists a tag of an image that never came to the registry."""
    with harbour.site.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE tags SET image_id = '{'0' * 64}' WHERE name = '{tag}'")


def test_a_tag_the_registry_refuses_keeps_no_other_from_moving(harbour):
    pushed(harbour, "a", "lost", "z")
    point_at_nothing(harbour, "lost")
    rename(harbour)
    harbour.work_off()
    assert registry_tags(harbour, NEW).keys() == {"a", "z"}
    assert registry_tags(harbour, OLD) == 404
    assert pending(harbour) == []


@pytest.mark.parametrize("is_settled", [True, False], ids=["read", "not read yet"])
@pytest.mark.parametrize("has_rival", [True, False], ids=["kept apart", "shared"])
def test_what_a_repository_holds_moves_with_it(harbour, is_settled, has_rival):
    """Whether the index has read at the registry what the repository holds, or not yet."""
    chain = make_chain(2)
    if has_rival:
        trojan = make_tar({"bin/sh": b"trojan"})
        harbour.push("bob/rival", tuple(replace(each, tar=trojan, chunks=pack(trojan, "gzip")) for each in chain))
    harbour.push(str(OLD), chain, "a")
    if is_settled:
        harbour.work_off()
    rename(harbour)
    harbour.work_off()
    pulled = harbour.daemon("bob").pull(str(NEW), "a")
    assert {one.id: one.layer for one in pulled} == {one.id: one.layer for one in chain}
    assert registry_tags(harbour, OLD) == 404


@pytest.mark.parametrize("knows_it", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("owner", ["alice", None], ids=["taken over", "read again"])
def test_a_take_over_brings_along_that_a_repository_is_private(harbour, knows_it, owner):
    pushed(harbour, "a")
    harbour.driver.put(paths.private(OLD), b"")
    if not knows_it:
        with harbour.site.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM repositories")
    if owner is None and not knows_it:
        with pytest.raises(NotFound):
            harbour.reindex.run(OLD)
        return
    harbour.reindex.run(OLD, owner)
    assert [bool(row.is_private) for row in harbour.site.rows("SELECT is_private FROM repositories")] == [bool(owner)]


def test_a_move_ends_where_the_old_name_is_taken_and_has_no_tags(harbour):
    harbour.site.push(str(OLD), "alice")
    harbour.work_off()
    rename(harbour)
    harbour.site.push(str(OLD), "alice")
    harbour.work_off()
    assert "move" not in pending(harbour)


def meanwhile(monkeypatch, method, act):
    """Have `act` happen once, just before the index first asks this of the registry."""
    waiting, ask = [act], getattr(RegistryClient, method)

    def asked(client, *arguments):
        if waiting:
            waiting.pop()()
        return ask(client, *arguments)

    monkeypatch.setattr(RegistryClient, method, asked)


@pytest.mark.parametrize("tag", ["a", "b"])
def test_a_push_during_a_move_is_not_overwritten(harbour, monkeypatch, tag):
    pushed(harbour, "a", "b")
    rename(harbour)
    newer = make_chain(1)
    meanwhile(monkeypatch, "set_tag", lambda: harbour.push(str(NEW), newer, tag))
    harbour.work_off()
    assert index_tags(harbour)[tag] == newer[-1].id
    assert registry_tags(harbour, NEW) == index_tags(harbour)


def test_a_tag_deleted_during_a_move_stays_deleted(harbour, monkeypatch):
    pushed(harbour, "a", "b")
    rename(harbour)

    def delete():
        with harbour.site.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM tags WHERE name = 'b'")

    meanwhile(monkeypatch, "set_tag", delete)
    harbour.work_off()
    assert index_tags(harbour).keys() == registry_tags(harbour, NEW).keys() == {"a"}


def test_what_the_index_itself_told_a_registry_is_no_news(harbour):
    pushed(harbour, "a")
    before = index_tags(harbour)
    other = make_chain(1)
    harbour.push("bob/other", other)
    tokens = [harbour.own_token(OLD, Access.WRITE), harbour.own_token(RepositoryName.parse("bob/other"), Access.READ)]
    for tag in ("a", "never-listed"):
        RegistryClient({}, 5.0).set_tag(harbour.endpoint, tokens, OLD, tag, other[-1].id)
    assert index_tags(harbour) == {**before, "latest": other[-1].id}


@pytest.mark.parametrize("method", ["tags", "delete_tag"])
def test_who_takes_the_old_name_keeps_what_is_pushed_meanwhile(harbour, monkeypatch, method):
    pushed(harbour, "a", "b")
    rename(harbour)
    harbour.push(str(OLD), make_chain(1), "own")
    meanwhile(monkeypatch, method, lambda: harbour.push(str(OLD), make_chain(1), "b"))
    harbour.work_off()
    assert registry_tags(harbour, OLD).keys() == {"b", "own"}
    assert registry_tags(harbour, NEW).keys() == {"a", "b"}


def test_a_job_that_breaks_is_logged_and_pauses_while_others_go_on(harbour, monkeypatch, caplog):
    pushed(harbour, "a")
    rename(harbour)

    def broken():
        raise KeyError("a defect")

    meanwhile(monkeypatch, "set_tag", broken)
    harbour.push("alice/other", make_chain(1))
    assert harbour.work_off() == len(("move", "read", "translate"))
    (job,) = harbour.site.rows("SELECT kind, attempts, failure FROM jobs")
    assert tuple(job) == ("move", 1, "KeyError: the log says more")
    assert "a defect" in caplog.text
    assert harbour.work_off() == 0
    harbour.site.clock.move(seconds=5)
    assert harbour.work_off() == 1
    assert pending(harbour) == []
    assert registry_tags(harbour, NEW).keys() == {"a"}


def delete_on_the_site(harbour):
    harbour.deletion.delete_repository(harbour.site.actor("bob"), NEW, "192.0.2.1")


def delete_as_a_client(harbour):
    """Ask the index, take its token to the registry, and tell the index (protocol §2.8)."""
    path = f"/v1/repositories/{NEW}/"
    asked = harbour.site.request("DELETE", path, user="bob", ask=True)
    if asked.status_code != 202:
        raise Unavailable(asked.get_json()["error"])
    registry = Target.parse(f"http://{asked.headers['X-Docker-Endpoints']}")
    assert call(registry, f"DELETE {path}", {"Authorization": authorization(asked)}).status == 200
    assert harbour.site.request("DELETE", path, user="bob", ask=True).status_code == 200


WAYS = pytest.mark.parametrize("delete", [delete_on_the_site, delete_as_a_client])


@WAYS
@pytest.mark.parametrize("is_taken_anew", [False, True])
def test_who_deletes_a_repository_before_it_has_moved_leaves_nothing_under_the_old_name(harbour, delete, is_taken_anew):
    pushed(harbour, "a", "b")
    rename(harbour)
    if delete is delete_as_a_client:
        # The registry refuses to delete for it what it does not know by its new name; now it knows a part.
        harbour.push(str(NEW), make_chain(1), "c")
    if is_taken_anew:
        harbour.push(str(OLD), make_chain(1), "own")
    delete(harbour)
    assert registry_tags(harbour, NEW) == 404
    left = registry_tags(harbour, OLD)
    assert left.keys() == {"own"} if is_taken_anew else left == 404
    assert index_tags(harbour).keys() == ({"own"} if is_taken_anew else set())
    assert "move" not in pending(harbour)


def test_who_deletes_a_repository_deletes_no_other_that_takes_its_name_meanwhile(harbour, monkeypatch):
    pushed(harbour, "a")
    rename(harbour)
    other, away = (RepositoryName.parse(name) for name in ("bob/other", "bob/away"))
    harbour.push(str(other), make_chain(1), "b")

    def exchange():
        rename(harbour, NEW, away)
        rename(harbour, other, NEW)

    meanwhile(monkeypatch, "delete_repository", exchange)
    assert harbour.site.request("DELETE", f"/v1/repositories/{NEW}/", user="bob", ask=True).status_code == 404
    harbour.work_off()
    assert registry_tags(harbour, NEW).keys() == {"b"}
    assert registry_tags(harbour, away).keys() == {"a"}
    assert registry_tags(harbour, other) == registry_tags(harbour, OLD) == 404


def exchange(harbour):
    """Another repository, with a tag `a` too, takes the name of the one that was pushed; returns what it points at."""
    other = make_chain(1)
    harbour.push("bob/other", other, "a")
    rename(harbour, NEW, RepositoryName.parse("bob/away"))
    rename(harbour, RepositoryName.parse("bob/other"), NEW)
    return {"a": other[-1].id}


def test_who_deletes_a_tag_deletes_no_other_repository_s(harbour, monkeypatch):
    pushed(harbour, "a")
    rename(harbour)
    harbour.work_off()
    told = []

    def take_the_name():
        told.append(exchange(harbour))
        harbour.work_off()

    meanwhile(monkeypatch, "delete_tag", take_the_name)
    with pytest.raises(Unavailable):
        harbour.deletion.delete_tags(harbour.site.actor("bob"), NEW, [Tag("a")])
    assert registry_tags(harbour, NEW) == told[0]


def test_a_move_sets_no_tag_of_who_takes_the_new_name(harbour, monkeypatch):
    pushed(harbour, "a")
    rename(harbour)
    told = []
    meanwhile(monkeypatch, "set_tag", lambda: told.append(exchange(harbour)))
    set_tag, seen = RegistryClient.set_tag, []

    def watched(client, *arguments):
        try:
            return set_tag(client, *arguments)
        finally:
            seen.append(registry_tags(harbour, NEW))

    monkeypatch.setattr(RegistryClient, "set_tag", watched)
    harbour.work_off()
    assert seen[0] == 404
    harbour.site.clock.move(seconds=60)
    harbour.work_off()
    assert registry_tags(harbour, NEW) == told[0]
    assert registry_tags(harbour, RepositoryName.parse("bob/away")).keys() == {"a"}


@WAYS
def test_where_the_old_name_cannot_be_left_nothing_is_deleted(harbour, delete):
    pushed(harbour, "a")
    rename(harbour)
    harbour.registry.stop()
    with pytest.raises(Unavailable):
        delete(harbour)
    assert pending(harbour) == ["move"]
    harbour.registry.start()
    harbour.work_off()
    assert registry_tags(harbour, NEW).keys() == {"a"}
