"""No page and no route asks the database more because there is more to tell: each once with little in the index, once
with more of everything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.names import ImageId, RepositoryName, Tag
from index_service.accounts.access_tokens import NewToken
from index_service.database import Database
from index_service.images import image_store
from index_service.repositories.policy import Role
from index_service.services.accounts import Browser
from index_service.services.permissions import Grantee
from tests.units.index_service.json_api.test_roles import CASES, NAMES
from tests.units.index_service.json_api.world import API, APP, SECRET, World, fact, populate
from tests.units.index_service.reader import Reader, counted_queries
from tests.units.index_service.site import IMAGES
from tests.units.index_service.test_web_who import PAGES

MORE = 7
LOOKING = ("alice", "root", "olga", "rita")
LEADS_ON = ("/sign-in", "/sign-up")


@pytest.fixture
def contents():
    return populate


@pytest.fixture
def world(make_site):
    made = World(make_site(comment_rate="1000/minute", login_rate="1000/minute", address_rate="1000/minute"))
    yield made
    made.close()


def asked():
    """Who looks at what: every page that is there, and every route that is read."""
    for case in PAGES:
        if case.status == 200 and case.path not in LEADS_ON:
            yield next(name for name in LOOKING if name in case.ok), case.path
    for case in CASES:
        if case.method == "GET":
            names = [NAMES.get(kind, "") for kind in case.ok]
            yield next(name for name in LOOKING if name in names), API + case.path


def test_no_answer_takes_more_questions_where_there_is_more(world):
    readers = {name: Reader(world.site, name) for name in LOOKING}
    grow(world.site, 0)
    before = {path: count(world.site, readers[name], path) for name, path in asked()}
    for number in range(1, MORE):
        grow(world.site, number)
    after = {path: count(world.site, readers[name], path) for name, path in asked()}
    assert after == before
    assert max(before.values()) <= 25


def count(site, reader, path):
    """Once what is counted for all is known."""
    assert reader.get(path).status_code == 200, path
    with counted_queries(site.engine) as queries:
        reader.get(path)
    return len(queries)


def grow(site, number):
    """One more of everything."""
    name = site.user(f"person{number}")
    person, alice, olga = site.actor(name), site.actor("alice"), site.actor("olga")
    ask, social, permissions = site.services.organisations, site.services.social, site.services.permissions
    images = [*IMAGES[:2], IMAGES[9 + number]]
    with Database(site.engine).writing() as session:
        made_from = replace(fact(9 + number), parent_id=ImageId(IMAGES[1]))
        image_store.record(session, [made_from], site.clock())
    for repository in (APP, SECRET):
        permissions.grant_role(alice, "", repository, Grantee(name), Role.WRITE)
        site.push(str(repository), name, tag=f"v{number}", images=images)
        social.set_starred(person, repository, is_starred=True)
        written = social.write(person, repository, f"no {number}", Tag(f"v{number}"))
        social.edit(person, repository, written, f"no, no {number}")
        social.flag(alice, repository, written, "rude")
    for owner, made in ((alice, f"alice/more{number}"), (olga, f"acme/more{number}")):
        site.push(made, owner.name, images=images)
    social.set_starred(alice, RepositoryName.parse(f"alice/more{number}"), is_starred=True)
    permissions.grant_namespace_role(alice, "", "alice", Grantee(name), Role.READ)
    ask.add_member(olga, "", "acme", name)
    ask.create_team(olga, "", "acme", f"team{number}", "")
    ask.join_team(olga, "", "acme", "crew", name)
    permissions.grant_namespace_role(olga, "", "acme", Grantee(f"team{number}", is_team=True), Role.READ)
    ask.create(alice, "", f"fleet{number}", ask.settings(olga, "acme").profile)
    site.services.accounts.sign_in("alice", "password-alice", Browser("192.0.2.9", "x"))
    site.services.accounts.add_address(alice, f"alice{number}@example.com", "")
    token = NewToken("for a test", "*", True, None)
    site.services.accounts.make_access_token(alice, token, "")
