"""The administrators' pages: for nobody else, sorted, filtered and paged by their address, and what their forms do."""

from __future__ import annotations

import re

import pytest

from index_service.accounts.organisations import OrganisationProfile
from index_service.audit.log import Change
from tests.units.index_service.reader import Page, Reader, counted_queries
from tests.units.index_service.site import IMAGES
from tests.units.index_service.test_web_sign_in import read_letters

PAGES = ("/admin", "/admin/people", "/admin/registries", "/admin/storage", "/admin/quotas/alice", "/admin/audit")
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def office(site):
    """Two accounts and an administrator; the one registry does not answer."""
    site.restart(registry_endpoints=("127.0.0.1:1",))
    for name in ("alice", "bob"):
        site.user(name)
    site.user("root", admin=True)
    return site


def csrf(reader):
    return reader.open("/account").forms["/language"]["csrf"]


def names(answer):
    return [row["name"] for row in answer["items"]]


@SQLITE
def test_nobody_else_sees_them(office):
    for path in PAGES:
        assert Reader(office).get(path).location.startswith("/sign-in")
        assert Reader(office).get(f"/api/v1{path}").status_code == 401
        for prefix in ("", "/api/v1"):
            assert Reader(office, "alice").get(prefix + path).status_code == 403
            assert Reader(office, "root").get(prefix + path).status_code == 200


@SQLITE
@pytest.mark.parametrize("change", ["close", "open", "make-admin", "unmake-admin"])
def test_nobody_else_changes_an_account(office, change):
    before = office.rows("SELECT name, is_active, is_admin FROM users ORDER BY id")
    for path in ("/admin/people", "/admin/people/reset"):
        reader = Reader(office, "alice")
        assert reader.post(path, csrf=csrf(reader), person="bob", change=change).status_code == 403
        reader = Reader(office, "root")
        token = csrf(reader)
        office.clock.move(minutes=16)
        answer = reader.post(path, csrf=token, person="bob", change=change)
        assert answer.location.startswith("/prove")
    assert office.rows("SELECT name, is_active, is_admin FROM users ORDER BY id") == before


def test_accounts_are_found_sorted_and_paged(office):
    for number in range(30):
        office.clock.move(minutes=1)
        office.user(f"person{number:02}")
    reader = Reader(office, "root")
    first, second = (reader.api(f"/admin/people?page={number}") for number in (1, 2))
    assert names(first) + names(second) == sorted(["alice", "bob", "root", *(f"person{n:02}" for n in range(30))])
    assert names(reader.api("/admin/people?sort=newest"))[0] == "person29"
    assert names(reader.api("/admin/people?q=ALICE%40")) == ["alice"]
    assert "alice" not in reader.open("/admin/people?q=%00%25").links
    assert reader.get("/api/v1/admin/people?q=%00%25").status_code == 400
    assert names(reader.api("/admin/people?state=admin")) == ["root"]
    page = reader.open("/admin/people?q=person&page=2")
    assert page.all("input", id="filter-q", value="person")
    assert page.links["Previous"].endswith("/admin/people?q=person&page=1")
    for wrong in ("sort=size", "state=dead", "page=x"):
        assert reader.get(f"/admin/people?{wrong}").status_code == 400


def test_accounts_are_closed_opened_and_made_administrators(office):
    reader = Reader(office, "root")

    def change(person, what):
        answer = reader.post("/admin/people", csrf=csrf(reader), person=person, change=what)
        found = {row["name"]: row for row in reader.api("/admin/people")["items"]}
        return answer.status_code, found["alice"]["is_active"], found["alice"]["is_admin"]

    assert change("alice", "close") == (303, False, False)
    assert "closed" in reader.open("/admin/people?state=closed").text
    assert change("alice", "open") == (303, True, False)
    assert change("alice", "make-admin") == (303, True, True)
    assert change("alice", "unmake-admin") == (303, True, False)
    assert change("root", "close") == change("root", "unmake-admin") == (422, True, False)
    assert change("alice", "delete") == (422, True, False)
    assert change("nobody", "close") == (404, True, False)


def test_a_last_owner_s_account_is_not_closed_and_says_of_what(office):
    office.services.organisations.create(office.actor("alice"), "", "acme", OrganisationProfile())
    reader = Reader(office, "root")
    for language, words in (("en", "the last owner of acme: make"), ("zh", "acme 的最后一位所有者")):
        reader.send("/language", "/admin/people", language=language)
        answer = reader.post("/admin/people", csrf=csrf(reader), person="alice", change="close")
        assert (answer.status_code, words in Page(answer).text) == (422, True)


def test_a_form_leads_back_to_where_it_was(office):
    reader = Reader(office, "root")
    headers = {"Referer": "http://localhost/admin/people?q=alice&sort=newest"}
    answer = reader.post("/admin/people", headers, csrf=csrf(reader), person="alice", change="close")
    assert answer.location == "/admin/people?q=alice&sort=newest"


def test_a_reset_link_is_shown_once_and_works(office):
    reader = Reader(office, "root")
    answer = reader.post("/admin/people/reset", csrf=csrf(reader), person="alice", send="")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    link = re.search(r"http://127\.0\.0\.1:5000(/reset/[\w.~-]+)", Page(answer).text)[1]
    Reader(office).send(link, password="another-password")
    assert office.request("GET", "/v1/users/", user="alice").status_code == 401
    assert Reader(office).get(link).status_code in (400, 404)


def test_a_reset_link_can_be_sent_by_letter(office, tmp_path):
    office.restart(mail_folder=str(tmp_path / "mail"))
    reader = Reader(office, "root")
    page = Page(reader.post("/admin/people/reset", csrf=csrf(reader), person="alice", send=""))
    assert page.forms["/admin/people/reset"]["send"] == "yes"
    assert not (tmp_path / "mail").exists()
    page = Page(reader.post("/admin/people/reset", csrf=csrf(reader), person="alice", send="yes"))
    assert "We e-mailed you a link at alice@example.com" in page.text
    (letter,) = read_letters(office)
    assert letter["To"] == "alice@example.com"


def test_registries_that_do_not_answer_are_told_so(office):
    office.push("alice/app", "alice")
    page = Reader(office, "root").open("/admin/registries")
    assert "127.0.0.1:1" in page.text
    assert "cannot be reached" in page.text
    with office.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET failure = '<b>down</b>', attempts = 3")
    page = Reader(office, "root").open("/admin/registries")
    assert "alice/app" in page.text
    assert "<b>down</b>" in page.text


def test_storage_is_sorted_and_paged(office):
    office.push("alice/app", "alice", images=IMAGES[:3])
    office.push("bob/app", "bob", images=IMAGES[:1])
    reader = Reader(office, "root")
    for sort in ("size", "saved", "name"):
        found = reader.api(f"/admin/storage/namespaces?sort={sort}")
        assert [row["namespace"] for row in found["items"]] == ["alice", "bob"]
    usage = reader.api("/admin/storage")
    assert (usage["images"], usage["together"]) == (0, 0)
    assert usage["counted_at"] == "2015-06-08T12:00:00Z"
    for wrong, status in (("sort=x", 400), ("page=2", 404)):
        for path in ("/admin/storage", "/api/v1/admin/storage/namespaces"):
            assert reader.get(f"{path}?{wrong}").status_code == status


def test_the_log_is_filtered_and_paged(office):
    for _ in range(30):
        office.services.operations.revoke_tokens("alice")
    office.clock.move(days=1)
    office.services.operations.revoke_tokens("bob")
    reader = Reader(office, "root")

    def found(query):
        answer = reader.api(f"/admin/audit?{query}")
        return [entry["subject"] for entry in answer["items"]], answer["paging"]["total"]

    assert found("action=tokens.revoked&subject=bob") == found("since=2015-06-09&action=tokens") == (["bob"], 1)
    assert found("action=tokens&page=2") == (["alice"] * 6, 31)
    assert found("until=2015-06-08&action=tokens&subject=bob") == ([], 0)
    assert found("actor=alice") == ([], 0)
    assert reader.get("/admin/audit?subject=%00x").status_code == 200
    assert reader.alternate("/admin/audit?action=tokens&until=2015-06-08") == "/api/v1/admin/audit?action=tokens"
    assert reader.get("/admin/audit?since=yesterday").status_code == 400
    page = reader.open("/admin/audit?action=tokens")
    assert page.links["Next"].endswith("/admin/audit?action=tokens&page=2")
    assert page.all("option", value="tokens", selected="")


@SQLITE
def test_every_change_has_words_on_the_page(office):
    reader = Reader(office, "root")
    values = {given["value"] for given in reader.open("/admin/audit").all("option")}
    assert set(map(str, Change)) <= values


def test_what_stands_in_the_log_is_text(office):
    evil = "<script>alert(1)</script>"
    with office.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE audit SET subject = '{evil}', details = '{{\"{evil}\": \"{evil}\"}}'")
    for path in ("/admin", "/admin/audit"):
        page = Reader(office, "root").open(path)
        assert evil in page.text
        assert all("src" in given for given in page.all("script"))


def test_the_number_of_queries_does_not_grow_with_the_rows(office):
    reader = Reader(office, "root")

    def counts():
        found = []
        for path in PAGES:
            office.restart(registry_endpoints=("127.0.0.1:1",))
            reader.client.application = office.app
            reader.get(path)
            with counted_queries(office.engine) as queries:
                assert reader.get(path).status_code == 200
            found.append(len(queries))
        return found

    before = counts()
    for number in range(8):
        office.user(f"person{number}")
        office.push(f"person{number}/app", f"person{number}")
    assert counts() == before


@SQLITE
def test_the_pages_speak_chinese(office):
    reader = Reader(office, "root")
    for language, words in (("en", "Account created"), ("zh", "创建账户"), ("en", "Account created")):
        page = reader.open("/admin/audit", **{"Accept-Language": language})
        assert {words} == {found for found in ("Account created", "创建账户") if found in page.text}
