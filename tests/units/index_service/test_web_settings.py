"""The settings of a repository: texts, visibility, roles, another name, the end; and who may change which."""

from __future__ import annotations

from contextlib import suppress

import pytest

from common.names import RepositoryName
from index_service.accounts.organisations import OrganisationProfile
from index_service.repositories.policy import Role
from index_service.services.permissions import Grantee
from registry_service.storage.driver import PathNotFound
from tests.clients.images import make_chain
from tests.units.index_service.live import Harbour
from tests.units.index_service.reader import Page, Reader, counted_queries

GIVEN = {"rick": Role.READ, "wanda": Role.WRITE, "adam": Role.ADMIN}
PEOPLE = ("olga", "mia", "eve", *GIVEN)
SETTINGS = "/r/acme/app/@settings"
PAGES = {
    SETTINGS: {"olga", "wanda", "adam"},
    f"{SETTINGS}/access": {"olga", "adam"},
    f"{SETTINGS}/transfer": {"olga", "adam"},
    f"{SETTINGS}/delete": {"olga", "adam"},
}
RESOURCES = {
    "/api/v1/repositories/acme/app/@settings": PAGES[SETTINGS],
    "/api/v1/repositories/acme/app/@roles": PAGES[f"{SETTINGS}/access"],
}
"""What the first two name as their JSON."""

FORMS = {
    # The form, what it brings, and who may send it.
    SETTINGS: ({"description": "New", "readme": "# New"}, {"olga", "wanda", "adam"}),
    f"{SETTINGS}/access": ({"person": "eve", "role": "read"}, {"olga", "adam"}),
    f"{SETTINGS}/access/take": ({"person": "rick"}, {"olga", "adam"}),
    f"{SETTINGS}/visibility": ({"visibility": "private"}, {"olga", "adam"}),
    f"{SETTINGS}/transfer": ({"target": "acme/web"}, {"olga"}),
    f"{SETTINGS}/delete": ({"confirm": "acme/app"}, {"olga", "adam"}),
}
APP = RepositoryName("acme", "app")
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def olgas(site):
    """`acme/app` is olga's organisation's; three others have a role in it."""
    for name in PEOPLE:
        site.user(name)
    site.user("root", admin=True)
    olga = site.actor("olga")
    site.services.organisations.create(olga, "", "acme", OrganisationProfile())
    site.services.organisations.add_member(olga, "", "acme", "mia")
    site.services.organisations.create_team(olga, "", "acme", "crew", "")
    site.push("acme/app", "olga")
    for person, role in GIVEN.items():
        site.services.permissions.grant_role(olga, "", APP, Grantee(person), role)


@pytest.fixture
def contents():
    return olgas


@pytest.fixture
def town(site):
    return site


@pytest.fixture
def harbour(town):
    made = Harbour(town)
    yield made
    made.close()


def csrf(reader):
    return reader.open("/organisations/new").forms["/language"]["csrf"]


def state(site):
    return (
        site.rows("SELECT namespace, name, is_private, description, readme FROM repositories ORDER BY id"),
        site.rows("SELECT user_id, team_id, role FROM roles ORDER BY id"),
    )


@pytest.mark.parametrize("is_private", [False, True])
def test_who_sees_which_page(town, is_private):
    town.set_private("acme/app", is_private)
    for who in (None, *PEOPLE, "root"):
        reader = Reader(town, who)
        for path, allowed in PAGES.items():
            answer = reader.get(path)
            assert answer.status_code == (303 if who is None else 200 if who in allowed else 403), (who, path)
            if who in allowed:
                assert reader.alternate(path) in {None, *RESOURCES}, (who, path)
        for path, allowed in RESOURCES.items():
            assert reader.get(path).status_code == (401 if who is None else 200 if who in allowed else 403), (who, path)


@SQLITE
@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("is_private", [False, True])
@pytest.mark.usefixtures("harbour")
def test_who_may_send_which_form(town, path, is_private):
    town.set_private("acme/app", is_private)
    fields, allowed = FORMS[path]
    before = state(town)
    for who in [None, *sorted({*PEOPLE, "root"} - allowed)]:
        reader = Reader(town, who)
        answer = reader.post(path, csrf=csrf(reader), **fields)
        if who is None:
            assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in")
        else:
            # An administrator of the repository is told on the page that the namespace is not to be pushed to.
            assert answer.status_code == (422 if (who, path) == ("adam", f"{SETTINGS}/transfer") else 403), who
    assert state(town) == before
    reader = Reader(town, sorted(allowed)[-1])
    assert reader.post(path, csrf=csrf(reader), **fields).status_code == 303
    assert is_private or state(town) != before


@SQLITE
@pytest.mark.parametrize("path", [path for path in FORMS if path != SETTINGS])
def test_the_password_has_to_have_been_given_lately(town, path):
    reader, before = Reader(town, "olga"), state(town)
    token = csrf(reader)
    town.clock.move(minutes=16)
    assert reader.post(path, csrf=token, **FORMS[path][0]).location.startswith("/prove")
    if path.endswith(("transfer", "delete")):
        assert reader.get(path).location.startswith("/prove?next=/r/acme/app")
    assert state(town) == before


def test_a_hidden_repository_is_refused_as_one_that_is_not_there(town):
    town.set_private("acme/app")
    reader = Reader(town, "eve")
    for path in PAGES:
        texts = []
        for name in ("acme/app", "acme/nothing"):
            answer = reader.get(path.replace("acme/app", name))
            text = Page(answer).text.replace(answer.headers["X-Request-Id"], "")
            texts.append((answer.status_code, text))
        assert texts[0] == texts[1]


def test_a_form_sets_nothing_that_it_does_not_show(town):
    reader = Reader(town, "wanda")
    more = {"is_private": "1", "name": "other", "namespace": "wanda", "star_count": "99", "visibility": "private"}
    reader.post(SETTINGS, csrf=csrf(reader), description="New", readme="", **more)
    (row,) = town.rows("SELECT namespace, name, is_private, star_count, description FROM repositories")
    assert (row.namespace, row.name, bool(row.is_private), row.star_count, row.description) == (
        "acme",
        "app",
        False,
        0,
        "New",
    )


def test_writers_are_offered_the_texts_alone(town):
    page = Reader(town, "wanda").open(SETTINGS)
    assert not page.all("a", href=f"{SETTINGS}/delete")
    assert Reader(town, "adam").open(SETTINGS).all("a", href=f"{SETTINGS}/delete")
    told = Reader(town, "wanda").api("/repositories/acme/app/@settings")
    assert (told["holders"], told["teams"], told["head"]["may_manage"]) == ([], [], False)


def test_texts_come_back_as_they_were_written(town):
    readme = "  # Ducks\n\n\t<b>&amp;</b> \u4e2d\u6587 \U0001f986\n"
    reader = Reader(town, "olga")
    reader.send(SETTINGS, description='Serves "ducks"', readme=readme.replace("\n", "\r\n"))
    told = reader.api("/repositories/acme/app/@settings")
    assert (told["head"]["description"], told["readme"]) == ('Serves "ducks"', readme.strip())
    (row,) = town.rows("SELECT readme FROM repositories")
    reader.send(SETTINGS, description="", readme=row.readme)
    assert town.rows("SELECT readme FROM repositories") == [row]


def test_a_readme_is_looked_at_before_it_is_saved(town):
    reader, before = Reader(town, "wanda"), state(town)
    form = {"description": "New", "readme": "# Ducks\n\n[more](docs)", "source": "https://git.example/app"}
    answer = reader.post(SETTINGS, csrf=csrf(reader), preview="yes", **form)
    shown = Page(answer)
    assert [link["href"] for link in shown.all("a") if link.get("href", "").startswith("https://git")] == [
        "https://git.example/app/docs"
    ]
    assert "\n# Ducks\n" in answer.text
    assert state(town) == before
    refused = reader.post(SETTINGS, csrf=csrf(reader), preview="yes", **{**form, "source": "javascript:alert(1)"})
    assert refused.status_code == 422


def test_relative_links_of_a_readme_lead_into_its_source(town):
    reader, source = Reader(town, "wanda"), "https://github.com/acme/app"
    reader.send(SETTINGS, description="", readme="[more](docs/x.md)", source="")
    assert not reader.open("/r/acme/app").all("a", href=f"{source}/blob/HEAD/docs/x.md")
    reader.send(SETTINGS, description="", readme="[more](docs/x.md)", source=source)
    page = reader.open("/r/acme/app")
    assert page.all("a", href=f"{source}/blob/HEAD/docs/x.md")
    assert page.all("a", href=source)
    assert reader.api("/repositories/acme/app")["source_url"] == source


@SQLITE
@pytest.mark.parametrize(
    ("part", "form", "told"),
    [
        ("", {"description": "x" * 256}, "it is too long"),
        ("", {"description": "a\nb"}, "characters that cannot be shown"),
        ("/access", {"person": "nobody", "role": "read"}, "No account or organisation has this name"),
        ("/access", {"person": "eve", "role": "king"}, "Choose a role"),
        ("/visibility", {"visibility": "secret"}, "Choose who can see it"),
        ("/transfer", {"target": "acme/app"}, "The repository already has this name"),
        ("/transfer", {"target": "app"}, "Enter the full name"),
        ("/transfer", {"target": "acme/App"}, "Invalid repository name"),
        ("/transfer", {"target": "../../etc"}, "Invalid repository name"),
        ("/transfer", {"target": "olga/taken"}, "This name is taken"),
        ("/transfer", {"target": "eve/app"}, "may not write repositories of eve"),
        ("/delete", {"confirm": "app"}, "The name does not match"),
        ("/delete", {}, "The name does not match"),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(town, part, form, told):
    town.push("olga/taken", "olga")
    reader = Reader(town, "olga")
    answer = reader.post(SETTINGS + part, csrf=csrf(reader), **form)
    assert answer.status_code == 422
    assert told in Page(answer).text


def test_roles_and_visibility_are_changed_by_their_page(town):
    reader = Reader(town, "olga")
    page = reader.send(f"{SETTINGS}/access", person="@crew", role="write")
    assert "Team crew" in page.text
    page = reader.send(f"{SETTINGS}/access/take", f"{SETTINGS}/access", person="@crew")
    assert "Team crew" not in page.text
    page = reader.send(f"{SETTINGS}/visibility", f"{SETTINGS}/access", visibility="private")
    assert "Only people with access can see it now." in page.text
    assert town.request("GET", "/v1/repositories/acme/app/images").status_code == 404


def test_who_gives_up_the_last_role_is_led_to_what_may_be_seen(town):
    reader = Reader(town, "adam")
    page = reader.open(f"{SETTINGS}/access")
    assert reader.post(f"{SETTINGS}/access/take", csrf=page.forms["/language"]["csrf"], person="adam").location == (
        "/r/acme/app"
    )


def test_the_number_of_queries_does_not_grow_with_the_roles(town):
    reader = Reader(town, "olga")

    def count():
        with counted_queries(town.engine) as queries:
            assert reader.get(f"{SETTINGS}/access").status_code == 200
        return len(queries)

    before = count()
    for number in range(8):
        town.services.permissions.grant_role(
            town.actor("olga"), "", APP, Grantee(town.user(f"person{number}")), Role.READ
        )
    assert count() == before


def test_a_transfer_ends_in_the_registry_too(harbour):
    chain = make_chain(2)
    harbour.push("olga/app", chain)
    harbour.work_off()
    reader = Reader(harbour.site, "olga")
    page = reader.send("/r/olga/app/@settings/transfer", target="acme/moved")
    assert "olga/app renamed to acme/moved." in page.text
    assert harbour.work_off() > 0
    harbour.daemon("olga").pull("acme/moved")
    assert harbour.site.request("GET", "/v1/repositories/olga/app/images", user="olga").status_code == 404
    assert [path for path in stored(harbour) if "olga/app" in path] == []


def test_a_deletion_ends_in_the_registry_too(harbour):
    harbour.push("olga/app", make_chain(2))
    harbour.work_off()
    reader = Reader(harbour.site, "olga")
    page = reader.open("/r/olga/app/@settings/delete")
    assert "1 tag, also at the registry" in page.text
    page = reader.send("/r/olga/app/@settings/delete", confirm="olga/app")
    assert "olga/app deleted." in page.text
    assert reader.get("/r/olga/app/@settings").status_code == 404
    assert [path for path in stored(harbour) if "olga/app" in path] == []
    (row,) = harbour.site.rows("SELECT actor_name, subject FROM audit WHERE action = 'repository.deleted'")
    assert tuple(row) == ("olga", "olga/app")


def test_without_its_registry_nothing_is_deleted(harbour):
    harbour.push("olga/app", make_chain(1))
    harbour.registry.stop()
    reader = Reader(harbour.site, "olga")
    reader.send("/r/olga/app/@settings/delete", confirm="olga/app")
    assert reader.answer.status_code == 503
    assert reader.get("/r/olga/app/@settings").status_code == 200


def stored(harbour):
    """Every path in the registry's store."""

    def walk(path):
        with suppress(PathNotFound):
            return [found for child in harbour.driver.list(path) for found in walk(f"{path}/{child}")]
        return [path]

    return walk("repositories")
