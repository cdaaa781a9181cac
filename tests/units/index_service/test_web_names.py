"""The pages behind a name: people, organisations, teams, roles; who sees which, and who may send which form."""

from __future__ import annotations

import pytest

from index_service.accounts.organisations import OrganisationProfile
from index_service.repositories.policy import Role
from index_service.services.accounts import ProfileUpdate as PersonProfile
from index_service.services.permissions import Grantee
from tests.units.index_service.reader import Page, Reader, counted_queries

EVIL = '"><script>alert(1)</script>'
PEOPLE = ("olga", "mia", "eve", "adam")


def four_people(site):
    """`acme` is olga's; mia is a member and in its team; adam administers its repositories; eve is a stranger."""
    for name in PEOPLE:
        site.user(name)
    site.user("root", admin=True)
    olga, organisations = site.actor("olga"), site.services.organisations
    organisations.create(olga, "", "acme", OrganisationProfile("Acme Ltd", "We ship", "https://acme.example"))
    organisations.add_member(olga, "", "acme", "mia")
    organisations.create_team(olga, "", "acme", "crew", "They push")
    organisations.join_team(olga, "", "acme", "crew", "mia")
    site.services.permissions.grant_namespace_role(olga, "", "acme", Grantee("adam"), Role.ADMIN)
    site.push("acme/app", "olga")
    site.push("acme/secret", "olga")
    site.set_private("acme/secret")


@pytest.fixture
def contents():
    return four_people


@pytest.fixture
def town(site):
    return site


def names(answer):
    return [card["full_name"] for card in answer["items"]]


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        (None, ["acme/app"]),
        ("eve", ["acme/app"]),
        ("root", ["acme/app"]),
        ("mia", ["acme/secret", "acme/app"]),
        ("adam", ["acme/secret", "acme/app"]),
    ],
)
def test_a_name_shows_the_repositories_that_the_reader_may_see(town, who, seen):
    reader = Reader(town, who)
    assert names(reader.api("/people/acme/repositories")) == seen
    page = reader.open("/u/acme")
    for name in ("app", "secret"):
        assert bool(page.all("a", href=f"/r/acme/{name}")) is (f"acme/{name}" in seen)
    moves = reader.api("/people/acme/activity")["items"]
    assert [move["repository"] for move in moves] == seen
    assert Page(reader.get("/u/olga/@activity")).all("a", href="/r/acme/app")


def test_an_organisations_page_says_what_it_is(town):
    shown = Reader(town).api("/people/acme")
    assert (shown["kind"], shown["full_name"], shown["standing"], shown["may_manage"]) == (
        "organisation",
        "Acme Ltd",
        "",
        False,
    )
    page = Reader(town).open("/u/acme")
    assert page.all("a", href="https://acme.example", rel="nofollow noopener ugc")
    assert not page.all("a", href="/u/acme/@members")
    assert Reader(town, "mia").open("/u/acme").all("a", href="/u/acme/@members")
    assert Reader(town, "olga").open("/u/acme").all("a", href="/u/acme/@settings")


def test_who_is_in_an_organisation_is_told_to_its_members(town):
    def memberships(who):
        shown = Reader(town, who).api("/people/mia")
        return [found["name"] for found in shown["organisations"]]

    assert [memberships(who) for who in (None, "eve", "olga", "mia", "root")] == [[], [], ["acme"], ["acme"], ["acme"]]


def test_lists_are_sorted_and_paged_by_their_address(town):
    for number in range(30):
        town.push(f"eve/app{number:02}", "eve")
        town.clock.move(minutes=1)
    reader = Reader(town)
    first, second = (reader.api(f"/people/eve/repositories?sort=name&page={number}") for number in (1, 2))
    assert names(first) + names(second) == [f"eve/app{number:02}" for number in range(30)]
    assert names(reader.api("/people/eve/repositories"))[0] == "eve/app29"
    assert reader.open("/u/eve?sort=name").links["Next"].endswith("/u/eve?sort=name&page=2")
    assert reader.open("/u/eve/@activity").links["Older"].endswith("/u/eve/@activity?page=2")
    for path, status in (("/u/eve?page=3", 404), ("/u/eve?sort=best", 400), ("/u/eve?page=0", 400)):
        assert reader.get(path).status_code == status


def test_the_number_of_queries_does_not_grow_with_the_rows(town):
    reader, pages = Reader(town, "olga"), ("/u/acme", "/u/acme/@activity", "/u/acme/@members", "/u/acme/@teams")
    pages += ("/u/acme/@teams/crew", "/u/acme/@access", "/u/olga/@starred")

    def counts():
        found = []
        for path in pages:
            reader.open(path)
            with counted_queries(town.engine) as queries:
                assert reader.get(path).status_code == 200
            found.append(len(queries))
        return found

    before, olga = counts(), town.actor("olga")
    for number in range(8):
        name = town.user(f"person{number}")
        town.services.organisations.add_member(olga, "", "acme", name)
        town.services.organisations.create_team(olga, "", "acme", f"team{number}", "")
        town.services.organisations.join_team(olga, "", "acme", "crew", name)
        town.services.permissions.grant_namespace_role(olga, "", "acme", Grantee(name), Role.READ)
        town.push(f"acme/app{number}", "olga")
        with town.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO stars (user_id, repository_id, created_at)"
                f" SELECT {olga.id}, id, created_at FROM repositories WHERE name = 'app{number}'"
            )
    assert counts() == before
    assert len(reader.api("/people/olga/starred")["items"]) == 8


def test_what_people_write_is_text(town):
    town.services.accounts.change_profile(
        town.actor("eve"),
        PersonProfile(
            full_name=EVIL, about=EVIL, location=EVIL, company=EVIL, website="https://e.example/?a=1", language=""
        ),
    )
    olga, organisations = town.actor("olga"), town.services.organisations
    organisations.create(olga, "", "evil", OrganisationProfile(EVIL, EVIL))
    organisations.create_team(olga, "", "evil", "crew", EVIL)
    organisations.add_member(olga, "", "evil", "eve")
    reader = Reader(town, "olga")
    for path in ("/u/eve", "/u/evil", "/u/evil/@members", "/u/evil/@teams", "/u/evil/@teams/crew", "/u/evil/@settings"):
        page = reader.open(path)
        assert EVIL in page.text or "alert(1)" in str(page.attributes), path
        assert all("src" in given for given in page.all("script")), path


def same_refusal(reader, first, second):
    """Two addresses answered alike, but for the request's id."""
    answers = [reader.get(path) for path in (first, second)]
    texts = [
        Page(answer).text.replace(answer.headers["X-Request-Id"], "").replace(path, "")
        for answer, path in zip(answers, (first, second), strict=True)
    ]
    return answers[0].status_code == answers[1].status_code and texts[0] == texts[1]


@pytest.mark.parametrize("sign_up", ["admin", "closed"])
def test_strangers_are_not_told_who_has_an_account(town, sign_up):
    town.push("adam/shown", "adam")
    town.restart(sign_up=sign_up)
    reader = Reader(town)
    for part in ("", "/@starred", "/@activity"):
        assert same_refusal(reader, f"/u/eve{part}", f"/u/nobody{part}")
    assert reader.get("/u/eve").status_code == 404
    assert reader.get("/u/adam").status_code == 200
    assert reader.get("/u/library").status_code == 200
    town.set_private("adam/shown")
    assert reader.get("/u/adam").status_code == 404


def test_members_and_teams_are_refused_as_those_of_no_organisation(town):
    reader = Reader(town, "eve")
    for part in ("/@members", "/@teams", "/@teams/crew", "/@access"):
        assert same_refusal(reader, f"/u/acme{part}", f"/u/nobody{part}")


def test_where_everybody_has_to_sign_in_nothing_is_shown_before(town):
    town.restart(anonymous_pull=False)
    for path in ("/u/acme", "/u/acme/@activity", "/u/olga/@starred", "/u/nobody"):
        answer = Reader(town).get(path)
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in")
        resource = path.replace("/u/", "/people/").replace("/@", "/")
        assert Reader(town).get(f"/api/v1{resource}").status_code == 401


def test_a_closed_account_shows_nothing_but_its_name_and_repositories(town):
    town.services.accounts.change_profile(
        town.actor("eve"),
        PersonProfile(full_name="Eve Adams", about="", location="", company="", website="", language=""),
    )
    town.push("eve/app", "eve")
    town.set_active("eve", False)
    page = Reader(town).open("/u/eve")
    assert "This account is closed." in page.text
    assert "Eve Adams" not in page.text
    assert page.all("a", href="/r/eve/app")


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ED%A0%80", "..", "%2e%2e", "A", "a" * 300, "'", "%25"])
def test_a_name_that_is_none_is_not_there(town, name):
    reader = Reader(town, "olga")
    for path in (f"/u/{name}", f"/u/{name}/@members", f"/u/acme/@teams/{name}"):
        assert reader.get(path).status_code in (404, 308)


FORMS = {
    # The form, what it brings, and who may send it.
    "/organisations/new": ({"name": "zeta", "full_name": "Zeta"}, {"olga", "mia", "eve", "adam", "root"}),
    "/u/acme/@access": ({"person": "eve", "role": "read"}, {"olga", "adam"}),
    "/u/acme/@access/take": ({"person": "adam"}, {"olga", "adam"}),
    "/u/acme/@access/default": ({"visibility": "private"}, {"olga", "adam"}),
    "/u/acme/@members": ({"person": "eve"}, {"olga"}),
    "/u/acme/@members/remove": ({"person": "mia"}, {"olga", "mia"}),
    "/u/acme/@members/owner": ({"person": "mia", "owner": "yes"}, {"olga"}),
    "/u/acme/@teams": ({"name": "other", "about": ""}, {"olga"}),
    "/u/acme/@teams/crew": ({"person": "olga"}, {"olga"}),
    "/u/acme/@teams/crew/leave": ({"person": "mia"}, {"olga"}),
    "/u/acme/@teams/crew/role": ({"role": "write"}, {"olga"}),
    "/u/acme/@teams/crew/delete": ({"confirm": "crew"}, {"olga"}),
    "/u/acme/@settings": ({"member_role": "write", "visibility": "public"}, {"olga"}),
    "/u/library/@access": ({"person": "eve", "role": "read"}, {"root"}),
    "/u/eve/@access": ({"person": "mia", "role": "admin"}, {"eve"}),
}


def csrf(reader):
    return reader.open("/organisations/new").forms["/language"]["csrf"]


def changes(site):
    return site.rows("SELECT count(*) FROM audit WHERE action NOT LIKE 'sign-in.%'")[0][0]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", FORMS)
def test_who_may_send_which_form(town, path):
    fields, allowed = FORMS[path]
    before = changes(town)
    for who in [None, *sorted({*PEOPLE, "root"} - allowed)]:
        reader = Reader(town, who)
        answer = reader.post(path, csrf=csrf(reader), **fields)
        if who is None:
            assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in")
        else:
            # Members see the page they are refused on.
            assert answer.status_code in (403, 404, 422), who
    assert changes(town) == before
    reader = Reader(town, sorted(allowed)[-1])
    assert reader.post(path, csrf=csrf(reader), **fields).status_code == 303
    assert changes(town) > before


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", [path for path in FORMS if path != "/organisations/new"])
def test_the_password_has_to_have_been_given_lately(town, path):
    fields, allowed = FORMS[path]
    reader = Reader(town, sorted(allowed)[0])
    token, before = csrf(reader), changes(town)
    town.clock.move(minutes=16)
    assert reader.post(path, csrf=token, **fields).location.startswith("/prove")
    assert changes(town) == before


def test_a_form_sets_nothing_that_it_does_not_show(town):
    reader = Reader(town, "eve")
    more = {"member_role": "admin", "id": "1", "is_owner": "", "created_at": "2001-01-01", "default_private": "1"}
    reader.post("/organisations/new", csrf=csrf(reader), name="zeta", full_name="Zeta", **more)
    (row,) = town.rows("SELECT id, member_role, created_at FROM organisations WHERE name = 'zeta'")
    assert (row.id, row.member_role) == (2, "read")
    assert "2001" not in str(row.created_at)
    form = {"full_name": "Zeta", "member_role": "read", "visibility": "public"}
    reader.post("/u/zeta/@settings", csrf=csrf(reader), **form, name="acme", id="1")
    assert [row.name for row in town.rows("SELECT name FROM organisations ORDER BY id")] == ["acme", "zeta"]


def test_an_organisation_is_made_filled_and_shared_by_its_pages(town):
    reader = Reader(town, "eve")
    page = reader.send("/organisations/new", name="zeta", full_name="Zeta & Co")
    assert "Organisation zeta created. You are its owner." in page.text
    page = reader.send("/u/zeta/@members", person="mia")
    assert page.all("a", href="/u/mia")
    reader.send("/u/zeta/@teams", name="crew", about="They push")
    page = reader.send("/u/zeta/@teams/crew", person="mia")
    assert page.all("a", href="/u/mia")
    page = reader.send("/u/zeta/@teams/crew/role", "/u/zeta/@teams/crew", role="write")
    assert "can write all repositories" in page.text
    assert town.push("zeta/app", "mia")
    page = reader.send("/u/zeta/@access", person="@crew", role="admin")
    assert "administer" in page.text
    page = reader.send("/u/zeta/@access/take", "/u/zeta/@access", person="@crew")
    assert "Nobody has been granted access yet" in page.text
    page = reader.send("/u/zeta/@teams/crew/delete", "/u/zeta/@teams/crew", confirm="crew")
    assert "No teams yet" in page.text
    page = Reader(town, "mia").send("/u/zeta/@members/remove", "/u/zeta/@members", person="mia")
    assert "mia removed from the organisation." in page.text


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "form", "told"),
    [
        ("/organisations/new", {"name": "acme"}, "This name is taken"),
        ("/organisations/new", {"name": "mia"}, "This name is taken"),
        ("/organisations/new", {"name": "Bad Name"}, "Invalid name"),
        ("/organisations/new", {"name": "library"}, "library is reserved"),
        ("/u/acme/@members", {"person": "nobody"}, "No account or organisation has this name"),
        ("/u/acme/@members", {"person": "mia"}, "This person is already a member"),
        ("/u/acme/@members/remove", {"person": "olga"}, "Cannot remove the last owner"),
        ("/u/acme/@members/owner", {"person": "olga"}, "Cannot remove the last owner"),
        ("/u/acme/@access", {"person": "", "role": "read"}, "Choose a person or a team"),
        ("/u/acme/@access", {"person": "eve", "role": "owner"}, "Choose a role"),
        ("/u/olga/@access", {"person": "olga", "role": "read"}, "This person owns the namespace"),
        ("/u/acme/@teams", {"name": "crew"}, "This name is taken"),
        ("/u/acme/@teams/crew", {"person": "mia"}, "This person is already in the team"),
        ("/u/acme/@teams/crew/role", {"role": "owner"}, "Choose a role"),
        ("/u/acme/@teams/crew/delete", {"confirm": "acme"}, "The name does not match"),
        ("/u/acme/@settings", {"member_role": "admin", "visibility": "public"}, "Choose a role"),
        ("/u/acme/@settings", {"member_role": "read", "visibility": ""}, "Choose who can see it"),
        ("/u/acme/@settings", {"member_role": "read", "visibility": "public", "website": "x"}, "Invalid website"),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(town, path, form, told):
    reader = Reader(town, "olga")
    answer = reader.post(path, csrf=csrf(reader), **form)
    assert answer.status_code == 422
    assert told in Page(answer).text


def test_the_log_says_who_did_it_and_from_where(town):
    Reader(town, "olga", REMOTE_ADDR="198.51.100.7").send("/u/acme/@members", person="eve")
    (row,) = town.rows("SELECT actor_name, subject, details, address FROM audit ORDER BY id DESC LIMIT 1")
    assert tuple(row) == ("olga", "acme", '{"person": "eve"}', "198.51.100.7")


def test_the_pages_speak_chinese(town):
    reader = Reader(town, "olga")
    assert "2 名成员" in reader.open("/u/acme/@members", **{"Accept-Language": "zh"}).text
    for language, words in (("en", "administer"), ("zh", "管理"), ("en", "administer")):
        page = reader.open("/u/acme/@access", **{"Accept-Language": language})
        assert {words} == {found for found in ("administer", "管理") if found in page.text}
