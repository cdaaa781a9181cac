"""What administrators of repositories ask, and who may: roles × questions × visibility, given roles, other names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, insert, select

from common.errors import Conflict, Failure, Forbidden, Invalid, NotFound
from common.names import RepositoryName
from index_service import markdown
from index_service.accounts.actor import Limits
from index_service.accounts.models import User
from index_service.accounts.organisations import OrganisationProfile
from index_service.database import Database
from index_service.repositories import catalogue
from index_service.repositories.models import Repository, RoleRecord, TagRecord
from index_service.repositories.policy import Role
from index_service.repositories.repository_settings import Texts, UnmovableTags
from index_service.repositories.role_assignments import MAX_ASSIGNMENTS
from index_service.services.permissions import Grantee
from tests.units.index_service.site import IMAGES

APP = RepositoryName("acme", "app")
GIVEN = {"rick": Role.READ, "wanda": Role.WRITE, "adam": Role.ADMIN}
PEOPLE = ("olga", "mia", "eve", *GIVEN)
WRITERS = {"olga", "wanda", "adam"}
RULERS = {"olga", "adam"}


def acme(site):
    """`acme` is olga's, mia may read all of it, and three have a role in `acme/app`."""
    for name in PEOPLE:
        site.user(name)
    site.user("root", admin=True)
    olga, organisations = site.actor("olga"), site.services.organisations
    organisations.create(olga, "", "acme", OrganisationProfile())
    organisations.add_member(olga, "", "acme", "mia")
    organisations.create_team(olga, "", "acme", "crew", "")
    site.push("acme/app", "olga")
    for name, role in GIVEN.items():
        site.services.permissions.grant_role(olga, "", APP, Grantee(name), role)


@pytest.fixture
def contents():
    return acme


@pytest.fixture
def permissions(site):
    return site.services.permissions


QUESTIONS = {
    "settings": (lambda p, a: p.settings(a, APP), WRITERS),
    "describe": (lambda p, a: p.describe(a, APP, Texts(description="An app", readme="# App")), WRITERS),
    "hide": (lambda p, a: p.set_private(a, "", APP, is_private=True), RULERS),
    "show": (lambda p, a: p.set_private(a, "", APP, is_private=False), RULERS),
    "give": (lambda p, a: p.grant_role(a, "", APP, Grantee("eve"), Role.READ), RULERS),
    "give a team": (lambda p, a: p.grant_role(a, "", APP, Grantee("crew", is_team=True), Role.WRITE), RULERS),
    "take": (lambda p, a: p.revoke_role(a, "", APP, Grantee("rick")), RULERS),
    "transfer": (lambda p, a: p.transfer(a, "", APP, RepositoryName(a.name, "app")), {"olga"}),
    "transfer within": (lambda p, a: p.transfer(a, "", APP, RepositoryName("acme", "web")), {"olga"}),
    "namespace": (lambda p, a: p.namespace(a, "acme"), {"olga"}),
    "default": (lambda p, a: p.set_default(a, "", "acme", is_private=True), {"olga"}),
    "give all": (lambda p, a: p.grant_namespace_role(a, "", "acme", Grantee("eve"), Role.READ), {"olga"}),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("is_private", [False, True])
def test_who_may_ask_what(site, permissions, question, is_private):
    site.set_private("acme/app", is_private)
    ask, allowed = QUESTIONS[question]
    before = site.rows("SELECT count(*) FROM audit")
    for person in sorted({*PEOPLE, "root"} - allowed):
        with pytest.raises(Forbidden):
            ask(permissions, site.actor(person))
    for person in allowed:
        for limits in (Limits(1, "acme/*", False), Limits(1, "eve/*", True)):
            with pytest.raises(Forbidden):
                ask(permissions, replace(site.actor(person), limits=limits))
    if allowed != WRITERS:
        for person in allowed:
            with pytest.raises(Forbidden):
                ask(permissions, replace(site.actor(person), limits=Limits(1, "*", True)))
    assert site.rows("SELECT count(*) FROM audit") == before
    ask(permissions, site.actor(sorted(allowed)[-1]))


@pytest.mark.parametrize("question", [name for name in QUESTIONS if name not in ("namespace", "default", "give all")])
def test_a_hidden_name_is_refused_as_one_that_is_not_there(site, permissions, question):
    site.set_private("acme/app")
    ask, eve = QUESTIONS[question][0], site.actor("eve")

    def said():
        with pytest.raises(Failure) as caught:
            ask(permissions, eve)
        return type(caught.value), caught.value.message

    hidden = said()
    site.services.operations.rename(APP, RepositoryName("olga", "app"))
    assert said() == hidden


def test_writers_see_the_texts_and_administrators_the_roles(site, permissions):
    written = permissions.settings(site.actor("wanda"), APP)
    assert (written.may_manage, written.given, written.teams) == (False, [], [])
    ruled = permissions.settings(site.actor("adam"), APP)
    assert [(given.person, given.role, given.everywhere) for given in ruled.given] == [
        ("adam", Role.ADMIN, False),
        ("rick", Role.READ, False),
        ("wanda", Role.WRITE, False),
    ]
    assert ruled.teams == ["crew"]
    assert (ruled.holdings.tags, ruled.holdings.images) == (1, 2)


def test_what_is_written_of_a_repository_is_found(site, permissions):
    permissions.describe(
        site.actor("wanda"), APP, Texts(description=" Serves ducks ", readme="# Ducks\r\nAnd *geese*.\n")
    )
    found = permissions.settings(site.actor("olga"), APP)
    assert (found.description, found.readme) == ("Serves ducks", "# Ducks\nAnd *geese*.")
    for word in ("ducks", "geese"):
        assert site.request("GET", f"/v1/search?q={word}").get_json()["num_results"] == 1


def test_a_readme_is_rendered_once_and_anew_where_the_renderer_has_changed(site, permissions, monkeypatch):
    permissions.describe(site.actor("wanda"), APP, Texts(description="", readme="# Ducks\nAnd *geese*."))
    rendered = site.services.social.overview(None, APP).readme_html
    assert '<h3 id="readme-ducks">Ducks</h3>' in rendered

    class Refusing:
        def render(self, _text, _found):
            raise AssertionError("rendered again")

    with monkeypatch.context() as patch:
        patch.setattr(markdown.readme, "_parser", Refusing())
        patch.setattr(markdown.readme, "_rendered", {})
        assert site.services.social.overview(None, APP).readme_html == rendered
    with Database(site.engine).writing() as session:
        found = catalogue.lock(session, APP)
        found.readme_html, found.rendered_by = "<script>of an older one</script>", "0"
    assert site.services.social.overview(None, APP).readme_html == rendered


@pytest.mark.parametrize(
    ("description", "readme"), [("x" * 256, ""), ("a\nb", ""), ("a\x00", ""), ("", "x" * 100_001), ("", "\x00")]
)
def test_texts_have_to_fit(site, permissions, description, readme):
    with pytest.raises(Invalid):
        permissions.describe(site.actor("olga"), APP, Texts(description=description, readme=readme))


def test_a_role_is_given_changed_and_taken(site, permissions):
    olga = site.actor("olga")
    site.set_private("acme/app")

    def reads():
        return site.request("GET", "/v1/repositories/acme/app/images", user="eve").status_code

    assert reads() == 404
    permissions.grant_role(olga, "192.0.2.7", APP, Grantee("eve"), Role.READ)
    assert reads() == 200
    permissions.grant_role(olga, "", APP, Grantee("eve"), Role.ADMIN)
    assert permissions.settings(site.actor("eve"), APP).may_manage
    permissions.revoke_role(olga, "", APP, Grantee("eve"))
    assert reads() == 404
    assert [tuple(row) for row in site.rows("SELECT action, subject, details, address FROM audit ORDER BY id")][
        -3:
    ] == [
        ("role.given", "acme/app", '{"person": "eve", "role": "read"}', "192.0.2.7"),
        ("role.given", "acme/app", '{"person": "eve", "role": "admin"}', ""),
        ("role.taken", "acme/app", '{"person": "eve", "role": "admin"}', ""),
    ]


def test_a_role_in_the_namespace_holds_for_what_is_pushed_later(site, permissions):
    permissions.grant_namespace_role(site.actor("olga"), "", "acme", Grantee("eve"), Role.WRITE)
    assert site.push("acme/later", "eve")
    permissions.revoke_namespace_role(site.actor("olga"), "", "acme", Grantee("eve"))
    assert site.request("PUT", "/v1/repositories/acme/later/", user="eve", body=[]).status_code == 403


def test_whose_namespace_it_is_may_let_others_in(site, permissions):
    permissions.grant_namespace_role(site.actor("eve"), "", "eve", Grantee("mia"), Role.ADMIN)
    assert site.push("eve/app", "mia")
    assert permissions.namespace(site.actor("mia"), "eve").given[0].person == "mia"


@pytest.mark.parametrize(
    ("to", "failure"),
    [
        (Grantee("nobody"), Invalid),
        (Grantee("closed"), Invalid),
        (Grantee("eve"), Conflict),
        (Grantee("crew", is_team=True), NotFound),
        (Grantee("nothing", is_team=True), NotFound),
    ],
)
def test_who_cannot_have_a_role(site, permissions, to, failure):
    site.user("closed")
    site.set_active("closed", False)
    site.push("eve/app", "eve")
    with pytest.raises(failure):
        permissions.grant_role(site.actor("eve"), "", RepositoryName("eve", "app"), to, Role.READ)


def test_what_was_not_given_cannot_be_taken(site, permissions):
    for of in (Grantee("eve"), Grantee("nobody"), Grantee("crew", is_team=True)):
        with pytest.raises(NotFound):
            permissions.revoke_role(site.actor("olga"), "", APP, of)


def test_everything_follows_a_repository_to_its_new_name(site, permissions):
    olga = site.actor("olga")
    permissions.grant_role(olga, "", APP, Grantee("crew", is_team=True), Role.WRITE)
    permissions.describe(olga, APP, Texts(description="Serves ducks", readme=""))
    permissions.transfer(olga, "192.0.2.1", APP, RepositoryName("olga", "web"))
    assert site.request("GET", "/v1/repositories/acme/app/images").status_code == 404
    assert len(site.request("GET", "/v1/repositories/olga/web/images").get_json()) == 2
    assert [hit["name"] for hit in site.request("GET", "/v1/search?q=web").get_json()["results"]] == ["olga/web"]
    assert site.request("GET", "/v1/search?q=acme").get_json()["num_results"] == 0
    given = permissions.settings(olga, RepositoryName("olga", "web")).given
    assert sorted((each.person, each.team) for each in given) == [("adam", ""), ("rick", ""), ("wanda", "")]
    assert site.rows("SELECT kind, details FROM jobs WHERE kind = 'move'") == [("move", '{"from": ["acme/app"]}')]
    assert site.rows("SELECT subject, details FROM audit WHERE action = 'repository.transferred'") == [
        ("olga/web", '{"from": "acme/app"}')
    ]
    assert site.services.jobs.wake_up.is_set()


def test_who_administers_a_namespace_that_is_anothers_moves_nothing_out_of_it(site, permissions):
    """Not with a role in one repository, nor with one in all of them; names within are another matter."""
    olga, adam = site.actor("olga"), site.actor("adam")
    with pytest.raises(Forbidden, match="Only an owner of the namespace can move a repository out of it"):
        permissions.transfer(adam, "", APP, RepositoryName("adam", "app"))
    permissions.grant_namespace_role(olga, "", "acme", Grantee("adam"), Role.ADMIN)
    with pytest.raises(Forbidden, match="Only an owner"):
        permissions.transfer(adam, "", APP, RepositoryName("adam", "app"))
    permissions.transfer(adam, "", APP, RepositoryName("acme", "web"))
    site.push("eve/app", "eve")
    permissions.grant_role(site.actor("eve"), "", RepositoryName("eve", "app"), Grantee("adam"), Role.ADMIN)
    with pytest.raises(Forbidden, match="Only an owner"):
        permissions.transfer(adam, "", RepositoryName("eve", "app"), RepositoryName("adam", "app"))
    assert site.rows("SELECT namespace FROM repositories ORDER BY namespace") == [("acme",), ("eve",)]


def test_within_a_namespace_teams_keep_their_roles(site, permissions):
    olga = site.actor("olga")
    permissions.grant_role(olga, "", APP, Grantee("crew", is_team=True), Role.WRITE)
    permissions.transfer(olga, "", APP, RepositoryName("acme", "web/ui"))
    assert "crew" in [given.team for given in permissions.settings(olga, RepositoryName("acme", "web/ui")).given]


@pytest.mark.parametrize(
    ("target", "failure"),
    [
        ("acme/app", Conflict),
        ("acme/taken", Conflict),
        ("olga/taken", Conflict),
        ("eve/app", Forbidden),
        ("eve/taken", Forbidden),
        ("nobody/app", Forbidden),
        ("library/app", Forbidden),
        ("olga/App", Invalid),
        ("olga/" + "a" * 256, Invalid),
    ],
)
def test_names_that_a_repository_cannot_take(site, permissions, target, failure):
    for name, owner in (("acme/taken", "olga"), ("olga/taken", "olga"), ("eve/taken", "eve")):
        site.push(name, owner)
        site.set_private(name)
    with pytest.raises(failure):
        permissions.transfer(site.actor("olga"), "", APP, RepositoryName.parse(target))
    assert site.request("GET", "/v1/repositories/acme/app/images").status_code == 200


def test_a_tag_that_no_registry_takes_anew_keeps_its_repository_s_name(site, permissions):
    """It would be lost at the registry, and stay in the index."""
    olga, target = site.actor("olga"), RepositoryName("acme", "engine")
    with site.engine.begin() as connection:
        names = ["größe", *(f"-{number}" for number in range(5))]
        number = connection.scalar(select(Repository.id).where(Repository.name == "app"))
        rows = [{"repository_id": number, "name": name, "image_id": IMAGES[0]} for name in names]
        connection.execute(insert(TagRecord), [{**row, "updated_at": site.clock()} for row in rows])
    said = "These tags cannot be moved to another name, delete them first: -0, -1, -2, -3, -4 …"
    with pytest.raises(UnmovableTags, match=said):
        permissions.transfer(olga, "", APP, target)
    with site.engine.begin() as connection:
        connection.execute(delete(TagRecord).where(TagRecord.name.in_(names)))
    permissions.transfer(olga, "", APP, target)


def test_operators_rename_anything_to_what_there_is(site, permissions):
    site.services.operations.rename(APP, RepositoryName("library", "app"))
    assert site.request("GET", "/v1/repositories/app/images").status_code == 200
    for name, target, failure in (("acme/app", "acme/b", NotFound), ("library/app", "nobody/app", NotFound)):
        with pytest.raises(failure):
            site.services.operations.rename(RepositoryName.parse(name), RepositoryName.parse(target))


def test_roles_can_all_be_shown(site, permissions):
    now, olga = site.clock(), site.actor("olga")
    with Database(site.engine).writing() as session:
        ids = range(1000, 1000 + MAX_ASSIGNMENTS)
        users = [{"id": n, "name": f"p{n}", "password_hash": "x", "created_at": now} for n in ids]
        session.execute(insert(User), users)
        roles = [{"user_id": n, "namespace": "acme", "role": "read", "created_at": now} for n in ids]
        session.execute(insert(RoleRecord), roles)
    with pytest.raises(Conflict):
        permissions.grant_namespace_role(olga, "", "acme", Grantee("eve"), Role.READ)
    permissions.grant_namespace_role(olga, "", "acme", Grantee("p1000"), Role.WRITE)
    permissions.grant_role(olga, "", APP, Grantee("eve"), Role.READ)
