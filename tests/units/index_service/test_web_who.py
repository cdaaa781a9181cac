"""Who may do what on the site: every page and every form, asked by everybody, about what is public and what is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from werkzeug.routing import Map

from index_service.web.request_context import is_site_path
from tests.units.index_service.json_api.world import World, populate
from tests.units.index_service.reader import Page, Reader
from tests.units.index_service.site import IMAGES

NOBODY = ""
STRANGER, ROOT, OWNER = "bob", "root", "olga"
IN_ACME = ("mia", "carl", OWNER)
ADMINS = ("adam", "alice")
WRITERS = ("wendy", *ADMINS)
READERS = ("rita", *WRITERS)
MINE = ("alice",)
KNOWN = (STRANGER, ROOT, *IN_ACME, *READERS)
EVERYBODY = (NOBODY, *KNOWN)

R, S, ACME = "/r/alice/app", "/r/alice/secret", "/u/acme"
CREW = f"{ACME}/@teams/crew"
SIGN_IN = "to sign in"


@dataclass(frozen=True)
class Case:
    """A page, or a form where there are `fields`.

    `ok` may, and get `status`; others are `refused` in one of these ways, and who is not signed in is led to do so, or
    is told `anonymous`.
    """

    path: str
    ok: tuple[str, ...]
    status: int = 200
    refused: tuple[int, ...] = (403,)
    anonymous: int | str = SIGN_IN
    fields: dict[str, str] | None = field(default=None, hash=False)

    def expected(self, caller: str) -> tuple[int | str, ...]:
        if caller in self.ok:
            return (self.status,)
        return (self.anonymous,) if caller == NOBODY else self.refused


def form(path: str, ok: tuple[str, ...], refused: tuple[int, ...] = (403,), status: int = 303, **fields: str) -> Case:
    return Case(path, ok, status, refused, fields=fields)


def hidden(path: str) -> Case:
    return Case(path, READERS, refused=(404,), anonymous=404)


ON_PAGE = (404, 422)
"""Members are told on the page of the members, which is not there for others."""

PAGES = [
    *(Case(path, EVERYBODY) for path in ("/", "/search", "/graph", "/reset", "/opensearch.xml")),
    *(Case(path, (NOBODY,), refused=(303,)) for path in ("/sign-in", "/sign-up")),
    *(Case(path, EVERYBODY, 404) for path in ("/confirm/none", "/reset/none", "/.well-known/security.txt")),
    *(Case(path, KNOWN) for path in ("/prove", "/organisations/new", "/account")),
    *(Case(f"/account/{part}", KNOWN) for part in ("password", "emails", "sessions", "tokens")),
    *(Case(f"{R}{part}", EVERYBODY) for part in ("", "/@comments", "/@comments/2", "/@tags", "/@activity")),
    Case(f"{R}/@comments/2/delete", ("rita",)),
    Case(f"{S}/@comments/4/delete", ("rita",), refused=(403, 404)),
    *(hidden(f"{S}{part}") for part in ("", "/@comments", "/@comments/3", "/@tags", "/@activity")),
    *(Case(f"{R}/@graph{part}", EVERYBODY) for part in ("", ".dot")),
    *(hidden(f"{S}/@graph{part}") for part in ("", ".dot")),
    *(Case(f"{name}/@tags/delete?tag=old", WRITERS) for name in (R, S)),
    *(Case(f"{name}/@settings", WRITERS) for name in (R, S)),
    *(Case(f"{name}/@settings/{part}", ADMINS) for name in (R, S) for part in ("access", "transfer", "delete")),
    *(Case(f"/i/{IMAGES[0]}{part}", EVERYBODY) for part in ("", "/graph")),
    *(hidden(f"/i/{IMAGES[8]}{part}") for part in ("", "/graph")),
    *(Case(f"/u/alice{part}", EVERYBODY) for part in ("", "/@starred", "/@activity")),
    Case("/u/alice/@access", MINE),
    *(Case(f"{ACME}/@{part}", (OWNER,)) for part in ("access", "settings")),
    *(Case(f"{ACME}/@{part}", (*IN_ACME, ROOT), refused=(404,)) for part in ("members", "teams", "teams/crew")),
    Case("/admin", (ROOT,)),
    *(Case(f"/admin/people/bob{part}", (ROOT,)) for part in ("", "/end?kind=all")),
    Case("/admin/quotas?name=acme", (ROOT,), 303),
    Case("/admin/quotas/acme", (ROOT,)),
    *(Case(f"/admin/{part}", (ROOT,)) for part in ("people", "registries", "storage", "audit", "comments")),
]

FORMS = [
    form(f"{R}/@star", KNOWN, starred="yes"),
    form(f"{S}/@star", READERS, (404,), starred="yes"),
    form(f"{R}/@comments", KNOWN, body="so"),
    form(f"{S}/@comments", READERS, (404,), body="so"),
    form(f"{R}/@comments", WRITERS, (422,), body="CVE", tag="old"),
    form(f"{S}/@comments", WRITERS, (404, 422), body="CVE", tag="old"),
    form(f"{R}/@comments/2", ("rita",), (422,), body="other"),
    form(f"{S}/@comments/4", ("rita",), (404, 422), body="other"),
    form(f"{R}/@comments/2/pin", WRITERS, (422,), tag="old"),
    form(f"{S}/@comments/4/pin", WRITERS, (404, 422), tag="old"),
    form(f"{R}/@comments/2/flag", tuple({*KNOWN} - {"rita"}), (422,), flagged="yes", reason="rude"),
    form(f"{S}/@comments/4/flag", WRITERS, (404, 422), flagged="yes", reason="rude"),
    form(f"{R}/@comments/2/hide", ADMINS, hidden="yes"),
    form(f"{S}/@comments/4/hide", ADMINS, (403, 404), hidden="yes"),
    form("/admin/comments/2", (ROOT,), hidden="yes"),
    form(f"{R}/@comments/2/delete", ("rita",)),
    form(f"{S}/@comments/4/delete", ("rita",), (403, 404)),
    *(form(f"{name}/@settings", WRITERS, description="other", readme="") for name in (R, S)),
    *(form(f"{name}/@settings/access", ADMINS, person="bob", role="read") for name in (R, S)),
    *(form(f"{name}/@settings/access/take", ADMINS, person="bob") for name in (R, S)),
    form(f"{R}/@settings/visibility", ADMINS, visibility="public"),
    form(f"{S}/@settings/visibility", ADMINS, visibility="private"),
    form("/u/alice/@access", MINE, person="bob", role="read"),
    form("/u/alice/@access/take", MINE, person="bob"),
    form("/u/alice/@access/default", MINE, visibility="public"),
    form(f"{ACME}/@access", (OWNER,), person="@crew", role="read"),
    form(f"{ACME}/@access/take", (OWNER,), person="@crew"),
    form(f"{ACME}/@access/default", (OWNER,), visibility="public"),
    form(f"{ACME}/@members", (OWNER,), ON_PAGE, person="bob"),
    form(f"{ACME}/@members/owner", (OWNER,), ON_PAGE, person="mia", owner="yes"),
    form(f"{ACME}/@members/owner", (OWNER,), ON_PAGE, person="mia"),
    form(f"{ACME}/@teams", (OWNER,), ON_PAGE, name="more", about=""),
    form(CREW, (OWNER,), ON_PAGE, person="mia"),
    form(f"{CREW}/leave", (OWNER,), person="mia"),
    form(f"{CREW}/role", (OWNER,), ON_PAGE, role="write"),
    form(f"{ACME}/@teams/gone/delete", (OWNER,), ON_PAGE, confirm="gone"),
    form(f"{ACME}/@settings", (OWNER,), member_role="read", visibility="public"),
    form(f"{ACME}/@members/remove", (OWNER, "mia"), ON_PAGE, person="mia"),
    form("/organisations/new", KNOWN, name="brand-new"),
    form("/account", KNOWN, full_name="Somebody"),
    form("/account/emails", KNOWN, email="other@example.com"),
    *(form(f"/account/emails/{part}", KNOWN, email="other@example.com") for part in ("confirm", "remove")),
    # Not yet confirmed, or no session of one's own.
    form("/account/emails/main", (), (404, 422), email="other@example.com"),
    form("/account/sessions/end", (), (404,), session="0"),
    form("/account/tokens/revoke", (), (404,), token="999"),
    form("/account/sessions/end-others", KNOWN),
    form("/account/tokens", KNOWN, status=201, name="mine", pattern="*", access="read", lifetime="30"),
    form("/account/password", (), (422,), current="wrong", password="something else"),
    form("/prove", (), (422,), password="wrong"),
    form("/admin/people/reset", (ROOT,), status=201, person="carl"),
    form("/admin/people/carl/end", (ROOT,), kind="all"),
    form("/admin/people", (ROOT,), person="carl", change="close"),
    form("/admin/quotas/acme", (ROOT,), bytes="", repositories="7"),
    *(form(f"{name}/@tags/delete", WRITERS, tag="old") for name in (R, S)),
    form("/r/alice/moving/@settings/transfer", MINE, target="alice/moved"),
    form("/r/alice/doomed/@settings/delete", MINE, confirm="alice/doomed"),
    form(f"{S}/@settings/delete", ADMINS, confirm="alice/secret"),
    form("/language", EVERYBODY, language="en"),
    form("/reset", EVERYBODY, status=200, email="nobody@example.com"),
    *(form(path, EVERYBODY, status=404, password="something") for path in ("/confirm/none", "/reset/none")),
    *(form(path, EVERYBODY, status=422, name="x") for path in ("/sign-up", "/sign-in")),
    form("/sign-out", EVERYBODY),
]


@pytest.fixture
def contents():
    return populate


@pytest.fixture
def world(make_site):
    made = World(make_site(comment_rate="1000/minute"))
    yield made
    made.close()


def asked(reader, csrf, case):
    answer = reader.get(case.path) if case.fields is None else reader.post(case.path, csrf=csrf, **case.fields)
    if answer.status_code == 303 and answer.location.startswith("/sign-in"):
        return SIGN_IN
    assert answer.status_code != 303 or not answer.location.startswith("/prove"), case.path
    return answer.status_code


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("caller", EVERYBODY)
def test_everybody_may_do_what_the_table_says_and_no_more(world, caller):
    reader = Reader(world.site, caller or None)
    csrf = reader.open("/search").forms["/language"]["csrf"]
    wrong = []
    for case in (*PAGES, *FORMS):
        got = asked(reader, csrf, case)
        if got not in case.expected(caller):
            wrong.append((case.path, case.fields, case.expected(caller), got))
    assert wrong == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_table_names_every_route(site):
    rules = [rule for rule in site.app.url_map.iter_rules() if is_site_path(rule.rule)]
    routes = {(method, rule.endpoint) for rule in rules for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert {named(site.app.url_map, case) for case in (*PAGES, *FORMS)} == routes - {("GET", "assets.static")}


RESOURCES: dict[Case, str | None] = {}


@pytest.fixture
def resources(world):
    """What pages name as their JSON, by page: the same in every world."""
    if not RESOURCES:
        readers = {caller: Reader(world.site, caller or None) for caller in EVERYBODY}
        RESOURCES.update({case: readers[case.ok[-1]].alternate(case.path) for case in PAGES if case.status == 200})
    return RESOURCES


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("caller", EVERYBODY)
def test_the_json_of_a_page_is_for_those_who_see_the_page(world, resources, caller):
    reader = Reader(world.site, caller or None)
    for case, resource in resources.items():
        if resource is not None:
            answer = reader.get(resource)
            assert (answer.status_code == 200) is (caller in case.ok), (resource, answer.status_code)
            assert answer.status_code in (200, 401, 403, 404), resource
            assert answer.is_json, resource
            # The audit log of all that happens is an administrator's.
            assert caller in (*READERS, ROOT) or "alice/secret" not in answer.text, resource


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_page_but_forms_and_files_names_its_json(resources):
    without = {case.path.partition("?")[0].replace("/secret", "/app") for case, found in resources.items() if not found}
    assert without == {
        "/sign-in",
        "/sign-up",
        "/reset",
        "/prove",
        "/opensearch.xml",
        "/account/password",
        "/organisations/new",
        f"{R}/@comments/2/delete",
        f"{R}/@comments/4/delete",
        f"{R}/@graph.dot",
        f"{R}/@tags/delete",
        f"{R}/@settings/transfer",
        f"{R}/@settings/delete",
        "/admin/people/bob/end",
    }


def named(url_map: Map, case: Case) -> tuple[str, str]:
    """The method and the endpoint of a case."""
    method = "GET" if case.fields is None else "POST"
    endpoint, _ = url_map.bind("localhost").match(case.path.partition("?")[0], method)
    return method, endpoint


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("caller", [NOBODY, STRANGER, ROOT, OWNER])
def test_a_private_name_looks_absent(world, caller):
    reader = Reader(world.site, caller or None)
    csrf = reader.open("/search").forms["/language"]["csrf"]
    for case in (*PAGES, *FORMS):
        if case.path.startswith(S):
            absent = replace(case, path=case.path.replace("/secret", "/nothing"))
            assert told(reader, csrf, case) == told(reader, csrf, absent), case.path


def told(reader, csrf, case):
    """All that an answer says, but for its own number and the name that was asked for."""
    asked(reader, csrf, case)
    text = Page(reader.answer).text.replace(reader.answer.headers["X-Request-Id"], "")
    return reader.answer.status_code, (reader.answer.location or "").replace("/secret", "/nothing"), text
