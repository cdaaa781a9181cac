"""Who may do what through the API: every route, asked by everybody, about what is public and what is private."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.units.index_service.json_api.world import API, Session, World, bearer, check, closed
from tests.units.index_service.site import IMAGES, basic

NOBODY = "anonymous"
STRANGERS = ("stranger", "site admin")
TOKENS = ("read token", "write token", "token elsewhere")
MINE = ("owner", "session")
"""Of alice, with her password or with a browser; the tokens are hers too."""

READERS = ("reader", "writer", "admin", *MINE, "read token", "write token")
WRITERS = ("writer", "admin", *MINE, "write token")
ADMINS = ("admin", *MINE)
COLLEAGUES = ("member", "team member", "organisation owner")
CALLERS = (NOBODY, *STRANGERS, *COLLEAGUES, "reader", "writer", "admin", *MINE, *TOKENS)
EVERYBODY = CALLERS
KNOWN = tuple(caller for caller in CALLERS if caller != NOBODY)
BY_PASSWORD = tuple(caller for caller in KNOWN if caller not in TOKENS)
SAYING = tuple(caller for caller in KNOWN if caller not in ("read token", "token elsewhere"))
SAYING_THERE = tuple(caller for caller in READERS if caller != "read token")

NAMES = {
    "stranger": "bob",
    "site admin": "root",
    "member": "mia",
    "team member": "carl",
    "organisation owner": "olga",
    "reader": "rita",
    "writer": "wendy",
    "admin": "adam",
    "owner": "alice",
}


@dataclass(frozen=True)
class Case:
    """`ok` may, and get `status`; others get `refused`, and `anonymous` without a login."""

    method: str
    path: str
    ok: tuple[str, ...]
    status: int = 200
    body: Any = None
    refused: int = 403
    anonymous: int = 401
    odd: tuple[tuple[str, int], ...] = ()

    def expected(self, caller: str) -> int:
        if caller in dict(self.odd):
            return dict(self.odd)[caller]
        if caller in self.ok:
            return self.status
        return self.anonymous if caller == NOBODY else self.refused

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def reads(path: str, **more: Any) -> Case:
    return Case("GET", path, EVERYBODY, **more)


def hidden(path: str, ok: tuple[str, ...] = READERS) -> Case:
    """What is private is not there for others."""
    return Case("GET", path, ok, refused=404, anonymous=404)


R, S = "/repositories/alice/app", "/repositories/alice/secret"
ACME, CREW = "/organisations/acme", "/organisations/acme/teams/crew"
IN_ACME = (*COLLEAGUES, "site admin")
OWNER = ("organisation owner",)
NONE: tuple[str, ...] = ()

CASES = [
    reads("/openapi.json"),
    reads("/repositories"),
    reads("/search"),
    reads("/explore"),
    reads("/graph"),
    reads(R),
    hidden(S),
    *(reads(f"{R}/@{part}") for part in ("tags", "activity", "pulls", "graph", "comments", "annotations")),
    *(hidden(f"{S}/@{part}") for part in ("tags", "activity", "pulls", "graph", "comments", "annotations")),
    reads(f"{R}/@comments/2"),
    hidden(f"{S}/@comments/3"),
    reads(f"/images/{IMAGES[0]}"),
    reads(f"/images/{IMAGES[0]}/ancestry"),
    reads(f"/images/{IMAGES[0]}/descendants"),
    reads(f"/images/{IMAGES[0]}/annotations"),
    hidden(f"/images/{IMAGES[8]}"),
    hidden(f"/images/{IMAGES[8]}/ancestry"),
    hidden(f"/images/{IMAGES[8]}/descendants"),
    hidden(f"/images/{IMAGES[8]}/annotations"),
    reads("/people/alice"),
    reads("/people/alice/repositories"),
    reads("/people/alice/starred"),
    reads("/people/alice/activity"),
    Case("GET", "/account", KNOWN),
    Case("GET", "/account/starred", KNOWN),
    *(Case("GET", f"/account/{part}", BY_PASSWORD) for part in ("emails", "tokens", "sessions")),
    Case("GET", f"{R}/@settings", WRITERS),
    Case("GET", f"{S}/@settings", WRITERS),
    Case("GET", f"{R}/@roles", ADMINS),
    Case("GET", f"{S}/@roles", ADMINS),
    Case("GET", "/namespaces/alice", MINE),
    Case("GET", "/namespaces/acme", OWNER),
    Case("GET", ACME, OWNER),
    *(
        Case("GET", f"{ACME}/{part}", IN_ACME, refused=404, odd=tuple((c, 403) for c in TOKENS))
        for part in ("members", "teams", "teams/crew", "teams/crew/members")
    ),
    *(Case("GET", f"/admin{part}", ("site admin",)) for part in ("", "/people", "/registries", "/audit", "/comments")),
    *(
        Case("GET", f"/admin/people/bob{part}", ("site admin",))
        for part in ("", "/sessions", "/access-tokens", "/protocol-tokens")
    ),
    *(Case("GET", f"/admin/storage{part}", ("site admin",)) for part in ("", "/namespaces")),
    Case("GET", "/admin/quotas/acme", ("site admin",)),
    # What everybody may do who is known; a token for reading says and stars nothing.
    Case("PUT", f"{R}/@star", SAYING, 204),
    Case(
        "PUT",
        f"{S}/@star",
        tuple(c for c in READERS if c != "read token"),
        204,
        refused=404,
        odd=(("read token", 403),),
    ),
    Case("DELETE", f"{R}/@star", SAYING, 204),
    Case(
        "DELETE",
        f"{S}/@star",
        tuple(c for c in READERS if c != "read token"),
        204,
        refused=404,
        odd=(("read token", 403),),
    ),
    Case("POST", f"{R}/@comments", SAYING, 201, {"body": "so"}),
    Case("POST", f"{S}/@comments", SAYING_THERE, 201, {"body": "so"}, refused=404, odd=(("read token", 403),)),
    Case("POST", f"{R}/@comments", WRITERS, 201, {"body": "CVE", "tag": "old"}),
    Case("PATCH", f"{R}/@comments/2", ("reader",), 200, {"body": "different"}),
    Case("PUT", f"{R}/@comments/2/pin", WRITERS, 200, {"tag": "old"}),
    Case("PUT", f"{R}/@comments/2/flag", SAYING, 204, {"reason": "rude"}, odd=(("reader", 403),)),
    Case("DELETE", f"{R}/@comments/2/flag", KNOWN, 204),
    Case("POST", f"{R}/@comments/2/hide", ADMINS, 201),
    Case("POST", f"{R}/@comments/2/restore", ADMINS, 201),
    Case("DELETE", f"{R}/@comments/1", (*MINE, "write token"), 204),
    Case(
        "DELETE",
        f"{S}/@comments/3",
        (*MINE, "write token"),
        204,
        refused=404,
        odd=tuple((caller, 403) for caller in READERS if caller not in (*MINE, "write token")),
    ),
    Case("PATCH", R, WRITERS, 200, {"description": "other"}),
    Case("PATCH", S, WRITERS, 200, {"readme": "# other"}),
    Case("PATCH", R, ADMINS, 200, {"is_private": False}),
    Case("PATCH", S, ADMINS, 200, {"is_private": True}),
    Case("PUT", f"{R}/@roles/people/bob", ADMINS, 204, {"role": "read"}),
    Case("DELETE", f"{R}/@roles/people/bob", ADMINS, 204),
    Case("PUT", f"{R}/@roles/teams/crew", NONE, body={"role": "read"}, odd=tuple((c, 404) for c in ADMINS)),
    Case("DELETE", f"{R}/@roles/teams/crew", NONE, odd=tuple((c, 404) for c in ADMINS)),
    Case("PUT", "/repositories/acme/tool/@roles/teams/crew", OWNER, 204, {"role": "write"}),
    Case("DELETE", "/repositories/acme/tool/@roles/teams/crew", OWNER, 204),
    Case("PATCH", "/namespaces/alice", MINE, 204, {"default_private": True}),
    Case("PUT", "/namespaces/alice/roles/people/bob", MINE, 204, {"role": "read"}),
    Case("DELETE", "/namespaces/alice/roles/people/bob", MINE, 204),
    Case("PUT", "/namespaces/acme/roles/teams/crew", OWNER, 204, {"role": "read"}),
    Case("DELETE", "/namespaces/acme/roles/teams/crew", OWNER, 204),
    Case("PATCH", "/account", BY_PASSWORD, 200, {"about": "me"}),
    Case("POST", "/account/tokens", BY_PASSWORD, 201, {"name": "mine"}),
    Case("DELETE", "/account/tokens/999", NONE, odd=tuple((c, 404) for c in BY_PASSWORD)),
    Case("DELETE", f"/account/sessions/{0:064}", NONE, odd=tuple((c, 404) for c in BY_PASSWORD)),
    Case("POST", "/organisations", BY_PASSWORD, 201, {"name": "brand-new"}),
    Case("PATCH", ACME, OWNER, 200, {"about": "us"}),
    Case("POST", f"{ACME}/members", OWNER, 204, {"person": "bob"}, odd=(("site admin", 403),)),
    Case("PATCH", f"{ACME}/members/bob", OWNER, 204, {"is_owner": True}),
    Case("POST", f"{ACME}/teams", OWNER, 201, {"name": "more"}),
    Case("PATCH", CREW, OWNER, 200, {"role": "write"}),
    Case("PUT", f"{CREW}/members/mia", OWNER, 204),
    Case("DELETE", f"{CREW}/members/mia", OWNER, 204),
    Case("DELETE", f"{ACME}/teams/gone", OWNER, 204),
    Case(
        "DELETE",
        f"{ACME}/members/bob",
        OWNER,
        204,
        odd=tuple((c, 404) for c in BY_PASSWORD if c not in IN_ACME),
    ),
    *(
        Case("DELETE", f"/admin/people/bob/{part}", ("site admin",), 204)
        for part in ("access", "sessions", "access-tokens", "protocol-tokens")
    ),
    *(
        Case("DELETE", f"/admin/people/bob/{part}", (), refused=403, odd=((NOBODY, 401), ("site admin", 404)))
        for part in (f"sessions/{'0' * 64}", f"protocol-tokens/{'0' * 64}", "access-tokens/999")
    ),
    Case("PATCH", "/admin/people/carl", ("site admin",), 204, {"is_active": False}),
    Case("PATCH", "/admin/quotas/acme", ("site admin",), 200, {"quota_repositories": 9}),
    Case("POST", "/admin/people/bob/reset", ("site admin",), 201),
    Case("PATCH", "/admin/comments/2", ("site admin",), 204, {"hide": True}),
    Case("DELETE", f"{R}/@tags", WRITERS, 204, {"tags": ["old"]}),
    Case("DELETE", f"{S}/@tags", WRITERS, 204, {"tags": ["old"]}),
    Case("POST", "/repositories/alice/moving/@transfer", MINE, 201, {"name": "alice/moved"}),
    Case("DELETE", "/repositories/alice/doomed", MINE, 204, {"name": "alice/doomed"}),
    Case("DELETE", S, ADMINS, 204, {"name": "alice/secret"}),
]


class Caller:
    """One of CALLERS, at one index."""

    def __init__(self, world: World, kind: str) -> None:
        self.world = world
        self.session = Session(world, "alice") if kind == "session" else None
        self.auth = None if kind in (NOBODY, "session") else self._auth(kind)

    def ask(self, case: Case) -> Any:
        if self.session is not None:
            return self.session.ask(case.method, case.path, case.body)
        return self.world.ask(case.method, case.path, auth=self.auth, body=case.body)

    def _auth(self, kind: str) -> str:
        if kind == "read token":
            return bearer(self.world.token("alice", write=False))
        if kind == "write token":
            return basic("alice", self.world.token("alice", "alice/*"))
        if kind == "token elsewhere":
            return bearer(self.world.token("alice", "acme/*"))
        return basic(NAMES[kind])


def operation(document, case):
    """What the document says of a case's route."""
    for path, item in document["paths"].items():
        pattern = re.sub(r"{repository}", "[a-z/]+", path)
        if re.fullmatch(re.sub(r"{\w+}", "[^/@]+", pattern), API + case.path) and case.method.lower() in item:
            return path, item[case.method.lower()]
    raise AssertionError(f"{case} is not described")


@pytest.mark.parametrize("kind", CALLERS)
def test_everybody_may_do_what_the_table_says_and_no_more(world, kind):
    """The answers are what the document says they are, those to changes too."""
    document, caller = closed(world.ask("GET", "/openapi.json").get_json()), Caller(world, kind)
    wrong = []
    for case in CASES:
        answer = caller.ask(case)
        if answer.status_code != case.expected(kind):
            wrong.append((str(case), case.expected(kind), answer.status_code, answer.get_data(as_text=True)))
        else:
            check(document, operation(document, case)[1], answer)
        assert "Set-Cookie" not in answer.headers
        assert answer.mimetype == "application/json" or answer.status_code == 204
    assert wrong == []


def test_the_table_names_every_route(world):
    document = world.ask("GET", "/openapi.json").get_json()
    asked = {(case.method.lower(), operation(document, case)[0]) for case in CASES}
    described = {(method, path) for path, item in document["paths"].items() if path.startswith(API) for method in item}
    assert described == asked


def test_a_session_changes_nothing_without_its_token(world):
    session, strange = Session(world, "alice"), Session(world, "bob").csrf
    for case in CASES:
        for session.csrf in ("", "0" * 64, strange) if case.method != "GET" else ():
            assert session.ask(case.method, case.path, case.body).status_code == 403, str(case)


@pytest.mark.parametrize("kind", [NOBODY, "stranger", "site admin", "token elsewhere"])
def test_private_names_look_absent(world, kind):
    caller = Caller(world, kind)
    for case in CASES:
        if not case.path.startswith(S):
            continue
        absent = Case(case.method, case.path.replace("/secret", "/nothing"), (), body=case.body)
        if case.method == "DELETE" and case.path == S:
            absent = Case("DELETE", absent.path, (), body={"name": "alice/nothing"})
        there, not_there = caller.ask(case), caller.ask(absent)
        assert (there.status_code, there.data) == (not_there.status_code, not_there.data), str(case)


def test_what_an_administrator_of_the_index_hid_the_repositorys_cannot_show(world):
    restore = f"{R}/@comments/2/restore"
    assert world.ask("PATCH", "/admin/comments/2", "root", {"hide": True}).status_code == 204
    for person in ("alice", "adam"):
        assert world.ask("POST", restore, person).status_code == 403
        assert world.ask("GET", f"{R}/@comments/2", person).get_json()["comment"]["is_moderated"] is True
    assert world.ask("POST", restore, auth=bearer(world.token("root"))).status_code == 404
    assert world.ask("POST", restore, "root").get_json()["is_hidden"] is False


@pytest.mark.parametrize("person", ["olga", "mia", "root"])
def test_no_access_token_is_told_who_is_in_an_organisation(world, person):
    """Whatever its pattern, and whosever it is: a pattern opens repositories."""
    for auth in (bearer(world.token(person)), basic(person, world.token(person, "acme/*", write=False))):
        for path in (f"{ACME}/members", f"{ACME}/teams", CREW, f"{CREW}/members"):
            assert world.ask("GET", path, auth=auth).status_code == 403, path
        assert world.ask("GET", "/people/acme", auth=auth).get_json()["standing"] == ""
        for member in ("olga", "carl"):
            assert world.ask("GET", f"/people/{member}", auth=auth).get_json()["organisations"] == []
        assert world.ask("GET", "/repositories/acme/tool", auth=auth).status_code == 200
    assert world.ask("GET", "/people/carl", person).get_json()["organisations"] != []


def test_private_names_stand_in_no_list(world):
    lists = ("/repositories", "/search", "/explore", "/graph", "/people/alice/repositories", "/people/alice/activity")
    for kind in (NOBODY, "stranger", "site admin", "token elsewhere"):
        for path in (*lists, "/repositories?q=secret", f"/repositories?q={IMAGES[8][:12]}"):
            answer = Caller(world, kind).ask(Case("GET", path, ()))
            assert answer.status_code == 200
            assert "alice/secret" not in answer.get_data(as_text=True), (kind, path)
    assert "alice/secret" in world.ask("GET", "/repositories", "rita").get_data(as_text=True)


def test_where_a_login_is_needed_nobody_reads_without(world):
    world.site.restart(anonymous_pull=False)
    for case in CASES:
        if case.method == "GET" and case.path != "/openapi.json":
            assert Caller(world, NOBODY).ask(case).status_code == 401, str(case)
            if case.ok == EVERYBODY:
                assert Caller(world, "stranger").ask(case).status_code == 200, str(case)
