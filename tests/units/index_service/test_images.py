"""What the index knows of images, and what it has registries do: on both databases, with a real registry."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event
from urllib.parse import quote

import pytest
from sqlalchemy import true

from common.errors import Conflict, Forbidden, NotFound, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access
from index_service.database import Database
from index_service.images import image_store, jobs
from index_service.repositories import catalogue
from index_service.repositories.pulls import PullCounter
from index_service.repositories.pulls import record as record_pulls
from index_service.services.job_runner import MAX_READS
from index_service.services.tags import BY_PUSH, BY_SIZE, BY_VERSION
from index_service.social import comments
from registry_service.app import create_app
from registry_service.storage.guard import Guard
from tests.clients.images import make_chain, make_tar, pack
from tests.clients.wire import Target, call
from tests.units.index_service.live import image
from tests.units.index_service.reader import counted_queries
from tests.units.index_service.site import IMAGES

APP = RepositoryName.parse("alice/app")


@pytest.fixture
def database(site):
    return Database(site.engine)


@pytest.fixture
def repository_id(site, database):
    site.user("alice")
    site.push("alice/app", "alice")
    with database.writing() as session:
        taken = jobs.lease(session, site.clock())
        jobs.complete(session, taken)
        return taken.repository_id


def chain_of(*images):
    return tuple(images)


def base_and_two():
    base = image(command="#(nop) ADD file:ab in /", size=9000)
    shared = image(base, "apt-get update", size=4000)
    one, two = image(shared, "make one", size=1000), image(shared, "#(nop) CMD [two]", size=0)
    return base, shared, one, two


def ask_registry(harbour, line, name, access=Access.READ):
    """What the registry itself answers."""
    token = harbour.own_token(RepositoryName.parse(name), access)
    return call(Target.parse(f"http://{harbour.endpoint}"), line, {"Authorization": f"Token {token}"})


def registry_tags(harbour, name):
    answer = ask_registry(harbour, f"GET /v1/repositories/{name}/tags", name)
    return answer.json() if answer.status == 200 else answer.status


# the queue


def test_a_job_is_asked_for_once_and_taken_by_one(site, database, repository_id):
    for _ in range(3):
        with database.writing() as session:
            jobs.enqueue(session, jobs.READ, repository_id, {}, site.clock())

    def take(_):
        with database.writing() as session:
            return jobs.lease(session, site.clock())

    with ThreadPoolExecutor(6) as pool:
        taken = [job for job in pool.map(take, range(12)) if job is not None]
    assert [(job.kind, job.repository_id, job.attempts) for job in taken] == [("read", repository_id, 1)]


def test_the_job_of_a_dead_worker_is_taken_over(site, database, repository_id):
    with database.writing() as session:
        jobs.enqueue(session, jobs.READ, repository_id, {}, site.clock())
        dead = jobs.lease(session, site.clock())
    site.clock.move(seconds=119)
    with database.writing() as session:
        assert jobs.lease(session, site.clock()) is None
        kept = jobs.renew(session, dead, site.clock())
    site.clock.move(seconds=119)
    with database.writing() as session:
        assert jobs.lease(session, site.clock()) is None
    site.clock.move(seconds=2)
    with database.writing() as session:
        heir = jobs.lease(session, site.clock())
        assert heir.attempts == 2
        # What the first one says now counts no more.
        assert jobs.renew(session, kept, site.clock()) is None
        jobs.complete(session, kept)
        jobs.fail(session, kept, "late", site.clock())
        jobs.complete(session, heir)
        assert jobs.lease(session, site.clock() + timedelta(days=1)) is None


def test_what_is_asked_for_meanwhile_is_done_once_more(site, database, repository_id):
    for end in (jobs.complete, lambda session, taken: jobs.fail(session, taken, "no", site.clock())):
        with database.writing() as session:
            jobs.enqueue(session, jobs.READ, repository_id, {}, site.clock())
            taken = jobs.lease(session, site.clock())
        site.clock.move(seconds=1)
        with database.writing() as session:
            jobs.enqueue(session, jobs.READ, repository_id, {}, site.clock())
            assert jobs.lease(session, site.clock()) is None
            end(session, taken)
        with database.writing() as session:
            again = jobs.lease(session, site.clock())
            assert again.attempts == 1
            jobs.complete(session, again)


def test_failures_are_tried_again_later_every_time(site, database, repository_id):
    with database.writing() as session:
        jobs.enqueue(session, jobs.READ, repository_id, {}, site.clock())
    for attempt in range(1, 14):
        with database.writing() as session:
            taken = jobs.lease(session, site.clock())
            jobs.fail(session, taken, "x" * 999, site.clock())
        pause = jobs.backoff(attempt)
        assert pause == min(timedelta(seconds=5 * 2 ** (attempt - 1)), timedelta(hours=1))
        site.clock.move(seconds=pause.total_seconds() - 1)
        with database.reading() as session:
            assert not jobs.is_any_due(session, site.clock())
        site.clock.move(seconds=1)
    assert [len(row.failure) for row in site.rows("SELECT failure FROM jobs")] == [255]


def test_a_repository_renamed_twice_has_two_old_names(site, database, repository_id):
    for old in ("alice/a", "alice/b"):
        with database.writing() as session:
            jobs.enqueue(session, jobs.MOVE, repository_id, {"from": old}, site.clock())
    with database.writing() as session:
        taken = jobs.lease(session, site.clock())
        assert taken.details == {"from": ["alice/a", "alice/b"]}
        jobs.release(session, taken)
        assert jobs.lease(session, site.clock()).attempts == 1


def test_a_deleted_repository_has_no_jobs(site, database, repository_id):
    with database.writing() as session:
        jobs.enqueue(session, jobs.READ, repository_id, {}, site.clock())
        taken = jobs.lease(session, site.clock())
    site.drop("alice/app")
    with database.writing() as session:
        assert jobs.renew(session, taken, site.clock()) is None
    assert site.rows("SELECT * FROM jobs") == []


# facts


def test_a_push_brings_the_facts_of_its_images(harbour):
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.push("alice/app", chain_of(base, shared, two), "two")
    assert harbour.work_off() > 0
    rows = harbour.site.rows("SELECT image_id, parent_id, size, total_size, depth, command FROM images")
    known = {row.image_id: row for row in rows}
    assert known.keys() == {base.id, shared.id, one.id, two.id}
    sizes = {each.id: len(each.layer) for each in (base, shared, one, two)}
    assert {id_: row.size for id_, row in known.items()} == sizes
    assert known[one.id].total_size == sizes[base.id] + sizes[shared.id] + sizes[one.id]
    assert [known[each.id].depth for each in (base, shared, one)] == [0, 1, 2]
    assert known[two.id].command == "CMD [two]"
    assert known[base.id].parent_id is None
    (repository,) = harbour.site.rows("SELECT layer_bytes FROM repositories")
    assert repository.layer_bytes == sum(sizes.values())


def test_a_second_repository_on_known_images_is_counted_too(harbour):
    chain = make_chain(3)
    harbour.push("alice/app", chain)
    harbour.push("bob/app", chain)
    harbour.work_off()
    counts = harbour.site.rows("SELECT layer_bytes FROM repositories")
    assert [row.layer_bytes for row in counts] == [sum(len(one.layer) for one in chain)] * 2


def test_private_repositories_are_read_too(harbour):
    chain = make_chain(2)
    harbour.push("alice/app", chain)
    harbour.site.set_private("alice/app")
    harbour.site.rows("SELECT 1")
    harbour.work_off()
    assert len(harbour.site.rows("SELECT * FROM images")) == 2


def test_a_registry_that_is_gone_deletes_nothing_and_is_asked_again(harbour):
    first, second = make_chain(2), make_chain(2)
    harbour.push("alice/app", first)
    harbour.work_off()
    harbour.push("alice/app", second, "two")
    harbour.registry.stop()
    assert harbour.work_off() == 1
    (job,) = harbour.site.rows("SELECT failure, attempts FROM jobs")
    assert (job.failure, job.attempts) == (f"The registry {harbour.endpoint} cannot be reached, try again later", 1)
    assert len(harbour.site.rows("SELECT * FROM images")) == 2
    harbour.registry.start()
    assert harbour.work_off() == 0
    harbour.site.clock.move(seconds=5)
    assert harbour.work_off() == len(("read", "translate"))
    assert len(harbour.site.rows("SELECT * FROM images")) == 4
    assert harbour.site.rows("SELECT * FROM jobs") == []


def test_images_the_registry_lacks_are_left_after_some_times(harbour):
    harbour.push("alice/app", make_chain(2))
    harbour.driver.put("repositories/alice/app/tag_ghost", IMAGES[0].encode())
    for attempt in range(1, MAX_READS + 1):
        # What the registry has is translated the first time.
        assert harbour.work_off() == (2 if attempt == 1 else 1)
        if attempt < MAX_READS:
            (job,) = harbour.site.rows("SELECT failure, attempts FROM jobs")
            assert job.failure == "The registry lacks 1 of the images that its tags reach"
            assert job.attempts == attempt
        harbour.site.clock.move(hours=1)
    assert harbour.site.rows("SELECT * FROM jobs") == []
    assert len(harbour.site.rows("SELECT * FROM images")) == 2


def test_what_a_registry_keeps_apart_is_recorded_so_and_never_described(harbour):
    base, top = make_chain(2)
    harbour.push("alice/app", (base, top))
    harbour.work_off()
    tar = make_tar({"bin/sh": b"another"})
    other = json.dumps(json.loads(top.json) | {"author": "bob"}).encode()
    harbour.push("bob/app", (base, replace(top, json=other, tar=tar, chunks=pack(tar, "gzip"))))
    harbour.work_off()
    rows = harbour.site.rows(
        "SELECT namespace, image_id, is_apart FROM held_images JOIN repositories ON repositories.id = repository_id"
    )
    assert {tuple(row) for row in rows} == {
        *(("alice", image.id, False) for image in (base, top)),
        ("bob", base.id, False),
        ("bob", top.id, True),
    }
    (described,) = harbour.site.rows("SELECT author, checksums FROM images WHERE image_id = :id", id=top.id)
    assert described.author != "bob"
    assert top.payload in described.checksums.split()
    summed = harbour.site.rows("SELECT layer_bytes FROM repositories ORDER BY namespace")
    own = sum(map(len, pack(tar, "gzip")))
    assert [row.layer_bytes for row in summed] == [len(base.layer) + len(top.layer), len(base.layer) + own]
    assert harbour.site.services.operations.quota("bob").bytes == len(base.layer) + own


def held_at(harbour):
    """By repository, its store and how many images it holds."""
    rows = harbour.site.rows(
        "SELECT namespace, store, count(image_id) AS held FROM repositories "
        "LEFT JOIN held_images ON repository_id = id GROUP BY namespace, store"
    )
    return {row.namespace: (row.store, row.held) for row in rows}


def other_store(harbour, driver):
    harbour.registry_app = create_app(harbour.settings, Guard(driver))


def test_what_was_held_in_another_store_is_forgotten_and_read_again(harbour):
    chain, more = make_chain(2), make_chain(1)
    harbour.push("alice/app", chain)
    harbour.push("bob/app", chain)
    harbour.work_off()
    first = harbour.driver.get("_store_id").decode()
    assert held_at(harbour) == {"alice": (first, 2), "bob": (first, 2)}
    harbour.driver.delete("_store_id")
    harbour.driver.delete("repositories/alice/app/tag_latest")
    other_store(harbour, harbour.driver)
    harbour.push("alice/app", more, "more")
    harbour.work_off()
    second = harbour.driver.get("_store_id").decode()
    assert first != second
    assert held_at(harbour) == {"alice": (second, 1), "bob": (first, 2)}
    harbour.reindex.run(RepositoryName.parse("bob/app"))
    assert held_at(harbour)["bob"] == (second, 2)


def test_where_the_store_is_not_known_all_is_read_and_nothing_is_forgotten(harbour):
    """As after the migration."""
    harbour.push("alice/app", make_chain(2))
    harbour.work_off()
    with harbour.site.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE repositories SET store = NULL")
    harbour.site.push("alice/app", "alice", tag="elsewhere", images=IMAGES[:1], told=False)
    assert harbour.site.request("PUT", "/v1/repositories/alice/app/images", user="alice", raw="[]").status_code == 204
    harbour.work_off()
    assert held_at(harbour) == {"alice": (harbour.driver.get("_store_id").decode(), 2)}


def test_a_registry_that_names_its_store_no_more_is_not_believed(harbour):
    """One of several that is not upgraded yet, perhaps."""
    harbour.push("alice/app", make_chain(1))
    harbour.work_off()
    before = held_at(harbour)
    harbour.driver.put("_store_id", b"spoilt")
    other_store(harbour, harbour.driver)
    harbour.push("alice/app", make_chain(1), "more")
    harbour.work_off()
    (job,) = harbour.site.rows("SELECT failure FROM jobs")
    assert job.failure == f"The registry {harbour.endpoint} names no store, as it did before, try again later"
    assert held_at(harbour) == before


def test_a_base_that_is_known_late_brings_the_sums_along(site, database, repository_id):
    def fact(number, size):
        parent = ImageId(IMAGES[number - 1]) if number else None
        return image_store.ImageMetadata(
            image_id=ImageId(IMAGES[number]),
            parent_id=parent,
            size=size,
            created_at=None,
            command="",
            author="",
            docker_version="",
            os="",
            architecture="",
            config="{}",
        )

    site.hold("alice/app", IMAGES[:2])
    for facts in ([fact(2, 100)], [fact(1, 10), fact(3, 1000)], [fact(0, 1)]):
        with database.writing() as session:
            image_store.record(session, facts, site.clock())
    rows = site.rows("SELECT image_id, total_size, depth FROM images ORDER BY image_id")
    assert [(row.total_size, row.depth) for row in rows] == [(1, 0), (11, 1), (111, 2), (1111, 3)]
    (row,) = site.rows("SELECT layer_bytes FROM repositories")
    assert row.layer_bytes == 11


def test_a_process_that_ends_puts_its_job_back(harbour):
    harbour.push("alice/app", make_chain(2))
    ending = Event()
    ending.set()
    assert harbour.jobs.do_next(ending)
    (job,) = harbour.site.rows("SELECT taken_until, attempts FROM jobs")
    assert (job.taken_until, job.attempts) == (None, 0)
    assert harbour.work_off() == len(("read", "translate"))


# building it anew


def test_everything_can_be_read_anew(harbour):
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.push("alice/app", chain_of(base, shared, two), "two")
    harbour.work_off()
    before = harbour.site.rows("SELECT * FROM images ORDER BY image_id")
    with harbour.site.engine.begin() as connection:
        for table in ("images", "tags", "listed_images"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    renewed = harbour.reindex.run(APP)
    assert (renewed.tags, renewed.images, renewed.missing) == (2, 4, 0)
    after = harbour.site.rows("SELECT * FROM images ORDER BY image_id")
    assert [row[:10] for row in after] == [row[:10] for row in before]
    tags = harbour.site.rows("SELECT name, image_id FROM tags ORDER BY name")
    assert [tuple(row) for row in tags] == [("one", one.id), ("two", two.id)]
    assert len(harbour.daemon().pull("alice/app", "two")) == 3


def test_reading_anew_adds_and_never_takes_away(harbour):
    harbour.push("alice/app", make_chain(2))
    harbour.work_off()
    harbour.site.push("alice/app", "alice", tag="elsewhere")
    harbour.reindex.run(APP)
    assert {row.name for row in harbour.site.rows("SELECT name FROM tags")} == {"latest", "elsewhere"}
    assert len(harbour.site.rows("SELECT * FROM listed_images")) == 4


def test_a_tag_of_an_old_store_that_no_client_could_make_now_is_read_and_deleted(harbour):
    (one,) = make_chain(1)
    harbour.push("alice/app", (one,), "one")
    for odd in ("größe", "a:b,c", "-x"):
        harbour.driver.put(f"repositories/alice/app/tag_{quote(odd)}", one.id.encode())
    assert harbour.reindex.run(APP).tags == 4
    assert {row.name for row in harbour.site.rows("SELECT name FROM tags")} == {"one", "größe", "a:b,c", "-x"}
    harbour.deletion.delete_tags(harbour.site.actor("alice"), APP, [Tag(tag) for tag in ("größe", "a:b,c", "-x")])
    assert [row.name for row in harbour.site.rows("SELECT name FROM tags")] == ["one"]
    assert harbour.reindex.run(APP).tags == 1


def test_an_unknown_repository_is_taken_over_for_somebody(harbour):
    harbour.push("alice/app", make_chain(2))
    harbour.site.drop("alice/app")
    with pytest.raises(NotFound):
        harbour.reindex.run(APP)
    with pytest.raises(NotFound):
        harbour.reindex.run(APP, "nobody")
    renewed = harbour.reindex.run(APP, "alice")
    noted = harbour.site.rows("SELECT actor_name, details FROM audit WHERE action = 'repository.made' ORDER BY id")
    assert [(row.actor_name, json.loads(row.details)) for row in noted] == [
        ("alice", {"how": "push"}),
        ("", {"how": "take-over", "person": "alice"}),
    ]
    assert (renewed.tags, renewed.images) == (1, 2)
    assert harbour.site.request("GET", f"/v1/search?q={APP.name}").json["num_results"] == 1
    assert len(harbour.daemon().pull("alice/app")) == 2
    with pytest.raises(NotFound):
        harbour.reindex.run(RepositoryName.parse("alice/never-pushed"), "alice")
    assert len(harbour.site.rows("SELECT * FROM repositories")) == 1


@pytest.mark.parametrize("name", ["alice/app_", "alice/a..b", "alice/App"])
def test_a_repository_of_an_old_store_is_taken_over_and_pushed_to_whatever_its_name(harbour, name):
    one, other = make_chain(1), make_chain(1)
    harbour.push("alice/app", one)
    for tag in ("latest", "1+2"):
        harbour.driver.put(f"repositories/{name}/tag_{quote(tag)}", one[0].id.encode())
    assert harbour.reindex.run(RepositoryName.parse(name), "alice").tags == 2
    for tag in ("latest", "1+2", "new"):
        harbour.push(name, other, tag)
    rows = harbour.site.rows("SELECT repository_id, name, image_id FROM tags ORDER BY repository_id, name")
    assert [tuple(row)[1:] for row in rows][1:] == [(tag, other[0].id) for tag in ("1+2", "latest", "new")]


def test_a_take_over_is_no_push(harbour):
    chain = make_chain(1)
    harbour.push("alice/app", chain)
    then, later = 1_400_000_000, 1_420_000_000
    for tag, at in (("old", then), ("new", later), ("unknown", None)):
        harbour.driver.put(f"repositories/alice/old/tag_{tag}", chain[0].id.encode())
        if at is not None:
            told = json.dumps({"last_update": at, "docker_version": "1.6.2"}).encode()
            harbour.driver.put(f"repositories/alice/old/tag{tag}_json", told)
    name = RepositoryName.parse("alice/old")
    asked = "SELECT created_at, updated_at, pushed_at FROM repositories WHERE name = 'old'"
    tags = "SELECT name, updated_at FROM tags WHERE name <> 'latest' ORDER BY name"
    moves = "SELECT tag, client FROM tag_moves WHERE tag <> 'latest' ORDER BY tag"
    told = []
    for _ in range(2):
        assert harbour.reindex.run(name, "alice").tags == 3
        told.append([harbour.site.rows(statement) for statement in (asked, tags, moves)])
    assert told[0] == told[1]
    (dates,), set_at, by = told[0]
    years = [str(date)[:4] for date in dates]
    assert years == ["2014", "2014", "2014"]
    assert [str(row.updated_at)[:10] for row in set_at][:2] == ["2014-12-31", "2014-05-13"]
    assert [(row.tag, row.client) for row in by] == [("new", "docker/1.6.2"), ("old", "docker/1.6.2"), ("unknown", "")]


def test_taking_over_wants_an_owner_of_the_name(harbour):
    chain = make_chain(1)
    for name in ("library/app", "stranger/app"):
        _put_tag(harbour, name, chain[0])
    with pytest.raises(Forbidden):
        harbour.reindex.run(RepositoryName.parse("library/app"), "alice")
    with pytest.raises(Conflict):
        harbour.reindex.run(RepositoryName.parse("stranger/app"), "alice")
    assert harbour.site.rows("SELECT * FROM repositories") == []


def _put_tag(harbour, name, image_):
    """A registry that holds a repository from before this index."""
    harbour.driver.put(f"repositories/{name}/tag_latest", image_.id.encode())


# renamed


def rename(harbour, old, new):
    """As the site does it: in SQL, and a job for the rest."""
    name, target = RepositoryName.parse(old), RepositoryName.parse(new)
    with Database(harbour.site.engine).writing() as session:
        repository = catalogue.lock(session, name)
        repository.namespace, repository.name = target.namespace, target.name
        jobs.enqueue(session, jobs.MOVE, repository.id, {"from": old}, harbour.site.clock())


def test_a_renamed_repository_moves_at_the_registry_too(harbour):
    harbour.push("alice/app", make_chain(3), "one")
    harbour.push("alice/app", make_chain(2), "two")
    harbour.work_off()
    before = harbour.site.rows("SELECT pushed_at, updated_at FROM repositories")
    moves = len(harbour.site.rows("SELECT * FROM tag_moves"))
    rename(harbour, "alice/app", "bob/engine")
    harbour.work_off()
    assert registry_tags(harbour, "bob/engine").keys() == {"one", "two"}
    assert registry_tags(harbour, "alice/app") == 404
    assert len(harbour.daemon().pull("bob/engine", "one")) == 3
    assert harbour.site.rows("SELECT pushed_at, updated_at FROM repositories")[0].pushed_at == before[0].pushed_at
    assert len(harbour.site.rows("SELECT * FROM tag_moves")) == moves
    assert harbour.site.rows("SELECT * FROM jobs") == []


def test_a_name_taken_anew_keeps_what_is_its_own(harbour):
    harbour.push("alice/app", make_chain(1), "old")
    harbour.work_off()
    rename(harbour, "alice/app", "bob/engine")
    harbour.push("alice/app", make_chain(1), "new")
    harbour.work_off()
    assert registry_tags(harbour, "bob/engine").keys() == {"old"}
    assert registry_tags(harbour, "alice/app").keys() == {"new"}
    assert len(harbour.site.rows("SELECT * FROM repositories")) == 2


def test_a_move_waits_for_its_registry(harbour):
    harbour.push("alice/app", make_chain(1))
    harbour.work_off()
    rename(harbour, "alice/app", "bob/engine")
    harbour.registry.stop()
    harbour.work_off()
    harbour.registry.start()
    harbour.site.clock.move(hours=1)
    harbour.work_off()
    assert registry_tags(harbour, "bob/engine").keys() == {"latest"}
    assert registry_tags(harbour, "alice/app") == 404


def test_the_indexs_own_delete_token_forgets_no_repository(harbour):
    harbour.push("alice/app", make_chain(1))
    assert ask_registry(harbour, "DELETE /v1/repositories/alice/app/", "alice/app", Access.DELETE).status == 401
    assert len(harbour.site.rows("SELECT * FROM repositories")) == 1
    assert registry_tags(harbour, "alice/app").keys() == {"latest"}


# deleted


def test_tags_are_deleted_at_the_registry_and_here(harbour):
    for tag in ("one", "two", "three"):
        harbour.push("alice/app", make_chain(1), tag)
    alice = harbour.site.actor("alice")
    harbour.deletion.delete_tags(alice, APP, [Tag("one"), Tag("three")])
    assert registry_tags(harbour, "alice/app").keys() == {"two"}
    assert [row.name for row in harbour.site.rows("SELECT name FROM tags")] == ["two"]
    moves = harbour.site.rows("SELECT tag, user_id FROM tag_moves WHERE image_id IS NULL ORDER BY tag")
    assert [tuple(row) for row in moves] == [("one", alice.id), ("three", alice.id)]


def test_a_tag_the_registry_never_had_goes_all_the_same(harbour):
    harbour.push("alice/app", make_chain(1))
    harbour.site.push("alice/app", "alice", tag="ghost")
    harbour.deletion.delete_tags(harbour.site.actor("alice"), APP, [Tag("ghost")])
    assert [row.name for row in harbour.site.rows("SELECT name FROM tags")] == ["latest"]


def test_who_may_not_write_deletes_no_tag(harbour):
    harbour.push("alice/app", make_chain(1))
    with pytest.raises(Forbidden):
        harbour.deletion.delete_tags(harbour.site.actor("bob"), APP, [Tag("latest")])
    with pytest.raises(Forbidden):
        harbour.deletion.delete_repository(harbour.site.actor("bob"), APP, "")
    harbour.site.set_private("alice/app")
    with pytest.raises((NotFound, Forbidden)):
        harbour.deletion.delete_repository(harbour.site.actor("bob"), APP, "")
    assert registry_tags(harbour, "alice/app").keys() == {"latest"}


def test_without_the_registry_nothing_is_deleted(harbour):
    harbour.push("alice/app", make_chain(1))
    alice = harbour.site.actor("alice")
    harbour.registry.stop()
    with pytest.raises(Unavailable):
        harbour.deletion.delete_tags(alice, APP, [Tag("latest")])
    with pytest.raises(Unavailable):
        harbour.deletion.delete_repository(alice, APP, "")
    assert len(harbour.site.rows("SELECT * FROM tags")) == 1
    harbour.registry.start()
    harbour.deletion.delete_repository(alice, APP, "192.0.2.1")
    assert harbour.site.rows("SELECT * FROM repositories") == []
    assert registry_tags(harbour, "alice/app") == 404
    assert harbour.site.request("DELETE", "/v1/repositories/alice/app/", user="alice").status_code == 404


def test_a_repository_the_registry_never_had_is_deleted_here(harbour):
    harbour.site.push("alice/app", "alice")
    harbour.deletion.delete_repository(harbour.site.actor("alice"), APP, "192.0.2.1")
    assert harbour.site.rows("SELECT * FROM repositories") == []
    (row,) = harbour.site.rows("SELECT actor_name, subject, address FROM audit WHERE action LIKE '%delete%'")
    assert tuple(row) == ("alice", "alice/app", "192.0.2.1")


# pulls


def test_pulls_are_counted_by_day_without_a_write_in_the_pull(harbour):
    harbour.push("alice/app", make_chain(1))
    harbour.push("bob/app", make_chain(1))
    for _ in range(3):
        harbour.daemon().pull("alice/app")
    harbour.daemon("bob").pull("bob/app")
    assert harbour.site.rows("SELECT * FROM pulls") == []
    harbour.site.services.pull_counts.flush()
    harbour.site.clock.move(days=1)
    harbour.daemon().pull("alice/app")
    harbour.site.services.pull_counts.flush()
    harbour.site.services.pull_counts.flush()
    rows = harbour.site.rows("SELECT namespace, count FROM pulls JOIN repositories ON id = repository_id ORDER BY day")
    assert sorted(map(tuple, rows)) == [("alice", 1), ("alice", 3), ("bob", 1)]
    totals = harbour.site.rows("SELECT pull_count FROM repositories ORDER BY namespace")
    assert [row.pull_count for row in totals] == [4, 1]


def test_a_pushs_questions_and_a_registrys_are_no_pulls(harbour):
    harbour.push("alice/app", make_chain(2))
    token = harbour.site.pull_token("alice/app")
    harbour.site.request("GET", "/v1/repositories/alice/app/images", auth=token, ask=True)
    harbour.site.redeem("alice/app", token)
    harbour.site.services.pull_counts.flush()
    assert [row.pull_count for row in harbour.site.rows("SELECT pull_count FROM repositories")] == [1]


def test_pulls_of_what_was_deleted_meanwhile_are_left_out(harbour):
    for name in ("alice/app", "bob/app"):
        harbour.push(name, make_chain(1))
        harbour.daemon().pull(name)
    harbour.deletion.delete_repository(harbour.site.actor("alice"), APP, "")
    harbour.site.services.pull_counts.flush()
    assert [row.pull_count for row in harbour.site.rows("SELECT pull_count FROM repositories")] == [1]


def test_processes_that_count_at_once_lose_nothing(harbour, database):
    names = ["alice/app", "bob/app"]
    for name in names:
        harbour.push(name, make_chain(1))
    ids = [row.id for row in harbour.site.rows("SELECT id FROM repositories")]

    def count(number):
        counted = PullCounter()
        for id_ in ids[:: 1 if number % 2 else -1]:
            counted.count(id_, harbour.site.clock())
        with database.writing() as session:
            record_pulls(session, counted.drain())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(24)))
    assert [row.pull_count for row in harbour.site.rows("SELECT pull_count FROM repositories")] == [24, 24]


# answers


def test_tags_are_grouped_by_image_and_sorted(harbour):
    base, shared, one, two = base_and_two()
    for tag in ("1.9", "latest", "1.10"):
        harbour.push("alice/app", chain_of(base, shared, one if tag == "1.9" else two), tag)
        harbour.site.clock.move(minutes=1)
    harbour.work_off()
    listed = harbour.tags.tags(None, APP, BY_VERSION, 0)
    found = [(entry.image_id, entry.tags) for entry in listed.images]
    assert found == [(two.id, ["latest", "1.10"]), (one.id, ["1.9"])]
    assert (listed.total, listed.tags, listed.is_cut, listed.head.may_write) == (2, 3, False, False)
    first = listed.images[0]
    assert (first.layers, first.size, first.docker_version) == (3, len(two.layer), "1.0.0")
    assert first.moves["1.10"].person == "alice"
    assert first.moves["1.10"].client.startswith("docker/")
    assert harbour.tags.tags(None, APP, BY_SIZE, 0).images[0].tags == ["1.9"]
    assert harbour.tags.tags(None, APP, BY_PUSH, 0).images[0].tags == ["latest", "1.10"]
    assert harbour.tags.tags(harbour.site.actor("alice"), APP, BY_VERSION, 0).head.may_write
    assert harbour.tags.tags(None, APP, BY_VERSION, 25).images == []


def test_activity_tells_who_did_what_with_what(harbour):
    harbour.push("alice/app", make_chain(1), "one")
    harbour.site.clock.move(minutes=1)
    harbour.push("alice/app", make_chain(1), "two")
    harbour.deletion.delete_tags(harbour.site.actor("alice"), APP, [Tag("one")])
    harbour.daemon().pull("alice/app", "two")
    harbour.site.services.pull_counts.flush()
    told = harbour.tags.activity(None, APP, None, 0)
    assert {(move.tag, move.image_id is None) for move in told.moves} == {("one", True), ("two", False), ("one", False)}
    assert (told.total, told.head.pull_count, told.days[-1].count, len(told.days)) == (3, 1, 1, 90)
    assert [move.tag for move in harbour.tags.activity(None, APP, Tag("two"), 0).moves] == ["two"]


def test_an_image_tells_where_it_is_used_to_who_may_know(harbour):
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.push("bob/secret", chain_of(base, shared, two), "two")
    harbour.site.set_private("bob/secret")
    harbour.work_off()
    images, alice, bob = harbour.images, harbour.site.actor("alice"), harbour.site.actor("bob")
    told = images.image(alice, ImageId(base.id))
    assert ([str(name) for name in told.repositories], told.uses, told.children) == (["alice/app"], 1, 1)
    assert images.image(bob, ImageId(shared.id)).children == 2
    assert images.image(alice, ImageId(shared.id)).children == 1
    assert [str(place) for place in images.image(bob, ImageId(two.id)).places[two.id]] == ["bob/secret:two"]
    for actor in (alice, None):
        for question in (images.image, harbour.image_graph.descent):
            with pytest.raises(NotFound):
                question(actor, ImageId(two.id))
        assert two.id not in repr(harbour.image_graph.descent(actor, ImageId(base.id)))
        assert two.id not in repr(harbour.image_graph.forest(actor, 0))
        assert "secret" not in repr(harbour.image_graph.forest(actor, 0))
    assert [layer.image_id for layer in images.image(None, ImageId(one.id)).layers] == [one.id, shared.id, base.id]
    assert two.id in repr(harbour.image_graph.forest(bob, 0))


def test_an_image_nobody_described_yet_is_told_as_listed(site):
    site.user("alice")
    site.push("alice/app", "alice")
    told = site.services.images.image(None, ImageId(IMAGES[0]))
    assert (told.is_known, told.layers, [str(name) for name in told.repositories]) == (False, [], ["alice/app"])
    with pytest.raises(NotFound):
        site.services.images.image(None, ImageId(IMAGES[5]))


def test_where_a_login_is_needed_nobody_else_sees_an_image(make_site):
    site = make_site(anonymous_pull=False)
    site.user("alice")
    site.push("alice/app", "alice")
    images = site.services.images
    for question in (lambda: images.image(None, ImageId(IMAGES[0])), lambda: site.services.image_graph.forest(None, 0)):
        with pytest.raises(Unauthenticated):
            question()
    assert images.image(site.actor("alice"), ImageId(IMAGES[0])).repositories


def test_lanes_share_what_their_images_share(harbour):
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.push("alice/app", chain_of(base, shared, two), "two")
    harbour.push("bob/base", chain_of(base), "9")
    harbour.work_off()
    told = harbour.image_graph.lanes(None, APP, 0)
    spans = {block.node.image_id: block.lanes for block in told.chart.blocks}
    assert spans == {base.id: 2, shared.id: 2, one.id: 1, two.id: 1}
    assert {id_: list(map(str, places)) for id_, places in told.elsewhere.items()} == {base.id: ["bob/base:9"]}
    assert told.stored == sum(len(each.layer) for each in (base, shared, one, two))
    assert told.counted == told.stored + len(base.layer) + len(shared.layer)


def test_the_forest_folds_chains_and_begins_with_what_most_are_based_on(harbour):
    lonely = make_chain(5)
    harbour.push("alice/lonely", lonely)
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.push("bob/app", chain_of(base, shared, two), "two")
    harbour.work_off()
    told = harbour.image_graph.forest(None, 0)
    assert [tree.node.image_id for tree in told.trees] == [base.id, lonely[0].id]
    assert [(level, branch.layers) for level, branch in told.trees[1].walk()] == [(0, 1), (1, 4)]
    assert (told.uses[base.id], told.images, told.total) == (2, 9, 2)
    below = harbour.image_graph.descent(None, ImageId(shared.id))
    assert [node.image_id for node in below.ancestors] == [base.id]
    assert {branch.node.image_id for _, branch in below.forest.trees[0].walk()} == {shared.id, one.id, two.id}


def test_the_forest_of_what_a_search_finds(harbour):
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.push("bob/tool", chain_of(base, shared, two), "two")
    lonely = make_chain(2)
    harbour.push("bob/lonely", lonely)
    harbour.push("bob/hidden", chain_of(base, shared, hidden := image(shared)), "hidden")
    harbour.site.set_private("bob/hidden")
    harbour.work_off()

    def told(words, who=None):
        forest = harbour.image_graph.forest(who, 0, words)
        return [{branch.node.image_id for _, branch in tree.walk()} for tree in forest.trees]

    # The base is not folded away: it is where the trees begin.
    assert told("alice") == [{base.id, one.id}]
    assert told("tool") == [{base.id, two.id}]
    assert told("bob") == [{base.id, two.id}, {lonely[0].id, lonely[1].id}]
    assert told("bob", harbour.site.actor("bob"))[0] == {base.id, shared.id, two.id, hidden.id}
    assert told("bob tool") == told(" TOOL ") == told("tool")
    assert told(one.id[:12]) == [{base.id, one.id}]
    assert told("hidden") == told("nothing") == []
    assert len(told("  ")) == 2


def test_what_a_search_found_is_named_first(harbour):
    base, shared, one, _ = base_and_two()
    for name in ("alice/app", "bob/tool"):
        harbour.push(name, chain_of(base, shared, one), "one")
    harbour.work_off()
    places = harbour.image_graph.forest(None, 0, "tool").places[one.id]
    assert [str(place) for place in places] == ["bob/tool:one", "alice/app:one"]


def test_no_answer_takes_more_questions_where_there_is_more_to_tell(harbour):
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.work_off()
    images, alice = harbour.images, harbour.site.actor("alice")
    questions = (
        lambda: harbour.tags.tags(alice, APP, BY_VERSION, 0),
        lambda: harbour.tags.activity(alice, APP, None, 0),
        lambda: images.image(alice, ImageId(base.id)),
        lambda: harbour.image_graph.lanes(alice, APP, 0),
        lambda: harbour.image_graph.forest(alice, 0),
        lambda: harbour.image_graph.forest(alice, 0, "app"),
        lambda: harbour.image_graph.descent(alice, ImageId(base.id)),
    )

    def count(question):
        with counted_queries(harbour.site.engine) as queries:
            question()
        return len(queries)

    before = [count(question) for question in questions]
    for number in range(9):
        harbour.push("bob/app", chain_of(base, shared, two, image(two)), f"v{number}")
        harbour.push("alice/app", chain_of(base, shared, image(shared)), f"v{number}")
    harbour.work_off()
    assert [count(question) for question in questions] == before
    assert max(before) <= 14


def test_what_is_pinned_is_told_wherever_its_tag_or_image_appears(harbour):
    base, shared, one, two = base_and_two()
    harbour.push("alice/app", chain_of(base, shared, one), "one")
    harbour.push("bob/app", chain_of(base, shared, two), "two")
    harbour.work_off()
    alice, bob, social = harbour.site.actor("alice"), harbour.site.actor("bob"), harbour.site.services.social
    social.write(alice, APP, "this tag is old", Tag("one"))
    social.write(bob, RepositoryName.parse("bob/app"), "CVE in the base", ImageId(base.id))
    images = harbour.images

    def told(answer):
        return {remark.body for remark in answer.annotations}

    both = {"this tag is old", "CVE in the base"}
    assert told(harbour.tags.tags(None, APP, BY_VERSION, 0)) == {"this tag is old"}
    assert told(harbour.image_graph.lanes(None, APP, 0)) == both
    assert told(images.image(None, ImageId(one.id))) == both
    assert told(images.image(None, ImageId(two.id))) == {"CVE in the base"}
    assert told(harbour.image_graph.forest(None, 0)) == both
    harbour.site.set_private("bob/app")
    assert told(images.image(None, ImageId(one.id))) == {"this tag is old"}


def test_very_many_tags_can_be_asked_about_at_once(site, database):
    with database.reading() as session:
        tags = [(number, f"v{number}") for number in range(5000)]
        assert comments.pinned_to(session, true(), tags=tags, shared=["a" * 64]) == []
