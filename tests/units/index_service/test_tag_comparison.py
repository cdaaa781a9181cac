"""The index's tags follow the registry's: what was done without asking, and what was permitted and never done."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from common.names import RepositoryName
from index_service.database import Database
from index_service.images import jobs
from index_service.repositories import catalogue
from index_service.services.tag_comparison import SETTLED_AFTER
from tests.clients.images import make_chain
from tests.units.index_service.live import Harbour
from tests.units.index_service.reader import counted_queries

NAME = "alice/app"
DELAY = timedelta(seconds=5)


@pytest.fixture
def pushed(harbour):
    """alice/app with a chain tagged `latest`, read."""
    chain = make_chain(2)
    harbour.push(NAME, chain)
    harbour.work_off()
    assert harbour.site.rows("SELECT * FROM jobs") == []
    return chain


def token(harbour: Harbour) -> str:
    """A writer's, as a registry hands it on."""
    answer = harbour.site.request("PUT", f"/v1/repositories/{NAME}/", user="alice", ask=True, body=[])
    return f"Token {answer.headers['X-Docker-Token']}"


def ask_to_set(harbour, tag, image):
    path = f"/v1/repositories/{NAME}/tags/{tag}"
    answer = harbour.site.request("PUT", path, auth=token(harbour), raw=json.dumps(image))
    assert answer.status_code == 200


def ask_to_delete(harbour, tag):
    path = f"/v1/repositories/{NAME}/tags/{tag}"
    assert harbour.site.request("DELETE", path, auth=token(harbour)).status_code == 200


def set_there(harbour, tag, image):
    """What the registry does, or did without asking."""
    harbour.driver.put(f"repositories/{NAME}/tag_{tag}", image.encode())


def delete_there(harbour, tag):
    harbour.driver.delete(f"repositories/{NAME}/tag_{tag}")


def tags(harbour):
    return dict(harbour.site.rows("SELECT name, image_id FROM tags WHERE image_id IS NOT NULL"))


def compare(harbour):
    """Read again, as a push or its end has it done; whether that ended it."""
    with Database(harbour.site.engine).writing() as session:
        found = catalogue.find(session, RepositoryName.parse(NAME))
        jobs.enqueue(session, jobs.READ, found.id, {}, harbour.site.clock())
    harbour.work_off()
    return harbour.site.rows("SELECT * FROM jobs") == []


def test_what_a_registry_did_while_it_could_not_ask_is_made_good(harbour, pushed):
    base, top = (image.id for image in pushed)
    set_there(harbour, "latest", base)
    set_there(harbour, "more", top)
    before = harbour.site.rows("SELECT pushed_at FROM repositories")
    harbour.site.clock.move(hours=1)
    assert compare(harbour)
    assert tags(harbour) == {"latest": base, "more": top}
    assert harbour.site.rows("SELECT pushed_at FROM repositories") == before
    delete_there(harbour, "latest")
    harbour.site.clock.move(hours=1)
    assert compare(harbour)
    assert tags(harbour) == {"more": top}
    told = harbour.site.rows("SELECT tag, image_id, user_id FROM tag_moves ORDER BY id")
    assert [tuple(row) for row in told][1:] == [("latest", base, None), ("more", top, None), ("latest", None, None)]


def test_what_a_registry_asked_for_and_never_did_is_undone(harbour, pushed):
    base, top = (image.id for image in pushed)
    ask_to_set(harbour, "latest", base)
    ask_to_set(harbour, "new", top)
    assert tags(harbour) == {"latest": base, "new": top}
    harbour.site.clock.move(seconds=DELAY.total_seconds())
    harbour.work_off()
    (job,) = harbour.site.rows("SELECT failure FROM jobs")
    assert job.failure == "The registry's tags differ from those just changed here; they are compared again"
    assert tags(harbour) == {"latest": base, "new": top}
    harbour.site.clock.move(seconds=SETTLED_AFTER.total_seconds())
    harbour.work_off()
    assert (tags(harbour), harbour.site.rows("SELECT * FROM jobs")) == ({"latest": top}, [])


def test_a_deletion_that_a_registry_asked_for_and_never_did_is_undone(harbour, pushed):
    ask_to_delete(harbour, "latest")
    assert tags(harbour) == {}
    assert harbour.work_off() == 0
    harbour.site.clock.move(seconds=DELAY.total_seconds())
    harbour.work_off()
    assert tags(harbour) == {}
    harbour.site.clock.move(seconds=SETTLED_AFTER.total_seconds())
    harbour.work_off()
    assert tags(harbour) == {"latest": pushed[1].id}
    assert harbour.site.request("GET", f"/v1/search?q={NAME}").json["num_results"] == 1


def test_a_registry_that_is_just_about_to_follow_is_waited_for(harbour, pushed):
    base, top = (image.id for image in pushed)
    ask_to_set(harbour, "latest", base)
    ask_to_set(harbour, "new", top)
    assert not compare(harbour)
    set_there(harbour, "latest", base)
    set_there(harbour, "new", top)
    assert compare(harbour)
    ask_to_delete(harbour, "latest")
    assert not compare(harbour)
    delete_there(harbour, "latest")
    assert compare(harbour)
    assert tags(harbour) == {"new": top}


def test_a_tag_set_to_what_it_was_is_just_as_recent(harbour, pushed):
    base, top = (image.id for image in pushed)
    harbour.site.clock.move(hours=1)
    set_there(harbour, "latest", base)
    ask_to_set(harbour, "latest", top)
    assert not compare(harbour)
    assert tags(harbour) == {"latest": top}


def test_a_registry_that_lost_everything_takes_only_what_it_never_confirmed(harbour, pushed):
    ask_to_set(harbour, "ghost", "f" * 64)
    harbour.driver.delete(f"repositories/{NAME}")
    harbour.site.clock.move(hours=1)
    compare(harbour)
    assert tags(harbour) == {"latest": pushed[1].id}


def test_nothing_is_undone_while_the_repository_gets_another_name(harbour, pushed):
    with Database(harbour.site.engine).writing() as session:
        found = catalogue.lock(session, RepositoryName.parse(NAME))
        found.name = "engine"
        jobs.enqueue(session, jobs.MOVE, found.id, {"from": NAME}, harbour.site.clock() + timedelta(hours=2))
        jobs.enqueue(session, jobs.READ, found.id, {}, harbour.site.clock())
    harbour.site.clock.move(hours=1)
    harbour.driver.put("repositories/alice/engine/tag_other", pushed[0].id.encode())
    harbour.work_off()
    assert tags(harbour) == {"latest": pushed[1].id}
    (read,) = harbour.site.rows("SELECT failure FROM jobs WHERE kind = 'read'")
    assert read.failure


def test_ten_times_as_many_tags_cost_no_more_when_nothing_has_changed(harbour, pushed, engine):
    def cost(count):
        for number in range(count):
            set_there(harbour, f"v{number}", pushed[number % 2].id)
        harbour.site.clock.move(hours=1)
        assert compare(harbour)
        harbour.site.clock.move(hours=1)
        harbour.asked.clear()
        with counted_queries(engine) as statements:
            assert compare(harbour)
        assert harbour.asked == [f"GET /v1/repositories/{NAME}/tags"]
        return len(statements)

    assert cost(30) == cost(300)
