"""The door for programs: proofs and their limits, bodies and what is refused of them, lists, sessions."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from index_service.json_api.bodies import MAX_BYTES
from tests.units.index_service.json_api.world import API, APP, Session, bearer
from tests.units.index_service.reader import counted_queries
from tests.units.index_service.site import basic

R = "/repositories/alice/app"


# Who asks


WRONG = [
    "Bearer whp_" + "x" * 40,
    "Bearer",
    "Bearer é",
    "Basic !!!",
    "Basic bm9jb2xvbg==",
    "Digest x",
    'Token signature=x,repository="alice/app",access=read',
    basic("alice", "wrong"),
    basic("nobody", "wrong"),
    basic("alice", "whp_" + "x" * 40),
]


def test_a_wrong_credential_is_never_taken_for_none(world):
    for auth in WRONG:
        answer = world.ask("GET", R, auth=auth)
        assert answer.status_code == 401
        assert answer.get_json().keys() == {"error"}
        # A challenge for Basic would open a window of the browser.
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_no_credential_reads_what_is_public(world):
    for auth in (None, "", "Basic Og=="):
        assert world.ask("GET", R, auth=auth).status_code == 200


def test_wrong_passwords_are_counted_here_too(make_site):
    site = make_site(login_rate="3/minute", address_rate="20/minute")
    for _ in range(3):
        assert site.request("GET", f"{API}/account", auth=basic("alice", "wrong")).status_code == 401
    answer = site.request("GET", f"{API}/account", auth=basic("alice"))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    # At any door: it is one account.
    assert site.request("GET", "/v1/users", auth=basic("alice")).status_code == 429
    assert site.request("GET", f"{API}/account", auth=basic("alice"), address="192.0.2.9").status_code == 200


def test_made_up_tokens_are_counted_by_address_and_stop_no_good_one_at_first(world):
    world.site.restart(login_rate="3/minute", address_rate="8/minute")
    good = bearer(world.token("alice"))
    made_up = [f"Bearer whp_{number:040}" for number in range(8)]
    for auth in made_up[:4]:
        assert world.ask("GET", "/account", auth=auth).status_code == 401
    assert world.ask("GET", "/account", auth=good).status_code == 200
    for _ in range(2):
        assert world.ask("GET", "/account", auth=made_up[0]).status_code == 401
    assert world.ask("GET", "/account", auth=made_up[0]).status_code == 429
    for auth in made_up[4:6]:
        assert world.ask("GET", "/account", auth=auth).status_code == 401
    assert world.ask("GET", "/account", auth=made_up[7]).status_code == 429
    assert world.ask("GET", "/account", auth=good, address="192.0.2.9").status_code == 200


def test_a_token_ends_with_its_time_its_revocation_and_its_account(world):
    ends = bearer(world.token("alice"))
    assert world.ask("GET", "/account", auth=ends).get_json()["name"] == "alice"
    revoked = bearer(world.token("alice"))
    number = world.ask("GET", "/account/tokens", "alice").get_json()["items"][0]["id"]
    assert world.ask("DELETE", f"/account/tokens/{number}", "bob").status_code == 404
    assert world.ask("DELETE", f"/account/tokens/{number}", "alice").status_code == 204
    assert world.ask("GET", "/account", auth=revoked).status_code == 401
    world.site.clock.move(days=2)
    assert world.ask("GET", "/account", auth=ends).status_code == 401
    closed = bearer(world.token("alice"))
    for is_active in (False, True):
        world.site.set_active("alice", is_active)
        assert world.ask("GET", "/account", auth=closed).status_code == 401


def test_a_token_opens_what_its_pattern_says(world):
    token = bearer(world.token("alice", "alice/s*"))
    assert world.ask("GET", "/repositories/alice/secret", auth=token).status_code == 200
    assert world.ask("PATCH", "/repositories/alice/secret", auth=token, body={"readme": "x"}).status_code == 200
    assert world.ask("PATCH", R, auth=token, body={"readme": "x"}).status_code == 403
    listed = world.ask("GET", "/account/starred", auth=token).get_json()["items"]
    assert [item["full_name"] for item in listed] == [str(APP)]


def test_what_is_dangerous_wants_a_password_given_lately(world):
    session = Session(world, "alice")
    assert session.ask("POST", "/account/tokens", {"name": "one"}).status_code == 201
    world.site.clock.move(minutes=16)
    assert session.ask("PATCH", "/account", {"about": "me"}).status_code == 200
    for method, path, body in [
        ("POST", "/account/tokens", {"name": "two"}),
        ("DELETE", R, {"name": "alice/app"}),
        ("PATCH", R, {"is_private": True}),
        ("POST", f"{R}/@transfer", {"name": "alice/other"}),
        ("PUT", f"{R}/@roles/people/bob", {"role": "admin"}),
    ]:
        answer = session.ask(method, path, body)
        assert (answer.status_code, "password" in answer.get_json()["error"]) == (403, True), path
        assert world.ask(method, path, "bob", body=body).status_code in (201, 403), path
    session.reader.send("/prove", password="password-alice")
    assert session.ask("PATCH", R, {"is_private": True}).status_code == 200


ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def test_another_site_changes_nothing_with_what_a_browser_sends_along(world):
    session = Session(world, "alice")
    for headers in ELSEWHERE:
        assert session.ask("PUT", f"{R}/@star", None, **headers).status_code == 403
        assert world.ask("PUT", f"{R}/@star", "bob", **headers).status_code == 403
    assert world.ask("PUT", f"{R}/@star", "bob", Origin="http://localhost").status_code == 204
    assert session.ask("PUT", f"{R}/@star", None, Origin="http://localhost").status_code == 204


def test_an_ended_session_is_nobody(world):
    session = Session(world, "alice")
    (found,) = [each for each in session.ask("GET", "/account/sessions").get_json()["items"] if each["is_current"]]
    assert session.ask("DELETE", f"/account/sessions/{found['id']}").status_code == 204
    assert session.ask("GET", "/account").status_code == 401
    assert session.ask("GET", R).status_code == 200


# Bodies


def test_who_may_not_is_told_so_before_anything_is_read(world):
    for method, path in (
        ("PATCH", "/account"),
        ("POST", f"{R}/@comments"),
        ("DELETE", R),
        ("PATCH", "/admin/people/bob"),
    ):
        assert world.ask(method, path, raw="{").status_code == 401, path
        assert world.ask(method, path, "alice", raw="{").status_code == (403 if "admin" in path else 400), path
    # Where nobody has to show anything, what is shown has to be right all the same.
    assert world.ask("GET", "/openapi.json", auth=basic("alice", "wrong")).status_code == 401


def test_a_body_has_to_be_an_object(world):
    for raw in ("", "{", "[]", '"x"', "1", "null", "\xff", "[" * 100_000):
        answer = world.ask("PATCH", R, "alice", raw=raw)
        assert answer.status_code == 400
        assert answer.get_json().keys() == {"error"}


def test_a_body_that_is_too_large_is_refused(world):
    assert world.ask("PATCH", R, "alice", raw=b" " * (MAX_BYTES + 1)).status_code == 413
    assert world.ask("PATCH", R, "alice", body={"readme": "\N{ANCHOR}" * 100_000}).status_code == 200
    assert world.ask("PATCH", R, "alice", body={"readme": "x" * 100_001}).status_code == 400


ASSIGNMENTS = [
    ("PATCH", R, {"description": "x", "star_count": 1000}),
    ("PATCH", R, {"creator_id": 1}),
    ("PATCH", R, {"namespace": "bob", "name": "app"}),
    ("PATCH", "/account", {"about": "x", "is_admin": True}),
    ("PATCH", "/account", {"name": "root"}),
    ("PATCH", "/account", {"password_hash": "x"}),
    ("POST", "/account/tokens", {"name": "x", "user_id": 1}),
    ("POST", "/account/tokens", {"name": "x", "digest": "x"}),
    ("POST", "/organisations", {"name": "other", "owner": "bob"}),
    ("POST", f"{R}/@comments", {"body": "x", "author": "bob"}),
    ("POST", f"{R}/@comments", {"body": "x", "is_hidden": False, "hidden_at": None}),
    ("PATCH", "/organisations/acme", {"name": "other"}),
]


def test_what_a_route_does_not_offer_cannot_be_set(world):
    tables = ("users", "repositories", "access_tokens", "comments", "organisations")
    before = [world.site.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables]
    for method, path, body in ASSIGNMENTS:
        answer = world.ask(method, path, "olga" if "acme" in path else "alice", body=body)
        assert answer.status_code == 400, (path, body)
        assert "Unknown field" in answer.get_json()["error"]
    assert [world.site.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables] == before


REFUSALS = [
    ("PATCH", R, {"description": None}, "description has to be a text"),
    ("PATCH", R, {"description": 5}, "description has to be a text"),
    ("PATCH", R, {"is_private": 1}, "is_private has to be true or false"),
    ("PATCH", R, {"is_private": "true"}, "is_private has to be true or false"),
    ("PATCH", R, {"description": "a\0b"}, "cannot be kept"),
    ("PATCH", R, {"description": "a\ud800b"}, "cannot be kept"),
    ("PATCH", R, {"description": "two\nlines"}, "Invalid text"),
    ("DELETE", f"{R}/@tags", {"tags": "latest"}, "tags has to be a list"),
    ("DELETE", f"{R}/@tags", {"tags": ["ok", 5]}, "tags has to be a text"),
    ("DELETE", f"{R}/@tags", {"tags": ["no/tag"]}, "Invalid tag name"),
    ("DELETE", f"{R}/@tags", {}, "Missing field 'tags'"),
    ("DELETE", R, {"name": "alice/ap"}, "name has to be the name"),
    ("PUT", f"{R}/@roles/people/bob", {"role": "owner"}, "role has to be one of 'admin', 'read', 'write'"),
    ("PUT", f"{R}/@roles/people/bob", {"role": ["read"]}, "role has to be one of"),
    ("POST", "/account/tokens", {}, "Missing field 'name'"),
    ("POST", "/account/tokens", {"name": "x", "expires_at": "tomorrow"}, "expires_at has to be a timestamp"),
    ("POST", "/account/tokens", {"name": "x", "expires_at": "2030-01-01T00:00:00"}, "with its zone"),
    ("POST", "/account/tokens", {"name": "x", "expires_at": 5}, "expires_at has to be a timestamp"),
    ("POST", "/account/tokens", {"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, "lie in the future"),
    ("POST", "/account/tokens", {"name": "x", "pattern": "../"}, "Use a repository's full name"),
    ("POST", f"{R}/@transfer", {"name": "other"}, "full name"),
    ("POST", f"{R}/@comments", {"body": "x", "tag": "a", "image_id": "b"}, "not to both"),
    ("POST", f"{R}/@comments", {"body": "x", "tag": "never"}, "no such tag"),
    ("POST", f"{R}/@comments", {"body": " "}, "cannot be empty"),
]


def test_a_refusal_says_what_to_mend(world):
    for method, path, body, said in REFUSALS:
        answer = world.ask(method, path, "alice", raw=json.dumps(body))
        assert (answer.status_code, said in answer.get_json()["error"]) == (400, True), (path, body, answer.data)


def test_a_change_is_made_whole_or_not_at_all(world):
    body = {"description": "new", "readme": "# New", "source_url": "https://git.example/app", "is_private": True}
    assert world.ask("PATCH", R, "wendy", body=body).status_code == 403
    assert world.ask("PATCH", R, "alice", body={**body, "description": "x" * 1000}).status_code == 400
    found = world.ask("GET", R).get_json()
    assert (found["head"]["description"], found["readme"], found["head"]["is_private"]) == ("", "", False)
    assert world.ask("PATCH", R, "alice", body=body).get_json()["readme"] == "# New"
    assert world.ask("GET", R).status_code == 404
    told = world.ask("PATCH", R, "alice", body={"description": ""}).get_json()
    assert (told["readme"], told["source_url"]) == ("# New", "https://git.example/app")
    assert world.ask("PATCH", R, "alice", body={"source_url": "ftp://x"}).status_code == 400
    audit = world.ask("GET", "/admin/audit?action=repository.hidden&subject=alice/app", "root").get_json()["items"]
    assert [(entry["actor"], entry["subject"]) for entry in audit] == [("alice", "alice/app")]


def test_what_is_left_out_of_a_change_is_not_written(world):
    """So that two who change one thing each at once take nothing back."""
    assert world.ask("PATCH", "/account", "alice", body={"about": "me", "location": "here"}).status_code == 200
    with counted_queries(world.site.engine) as queries:
        told = world.ask("PATCH", "/account", "alice", body={"about": "you"}).get_json()
    assert (told["about"], told["location"]) == ("you", "here")
    (written,) = (query for query in queries if query.startswith("UPDATE users"))
    assert re.findall(r"(\w+)=", written) == ["about"]
    assert world.ask("PATCH", "/account", "alice", body={}).get_json()["about"] == "you"
    assert world.ask("PATCH", "/organisations/acme", "olga", body={"about": "us"}).get_json()["full_name"] == "Acme Ltd"


def test_an_account_is_opened_closed_promoted_one_at_a_time(world):
    for body in ({}, {"is_active": False, "is_admin": True}):
        assert world.ask("PATCH", "/admin/people/bob", "root", body=body).status_code == 400
    assert world.ask("PATCH", "/admin/people/root", "root", body={"is_active": False}).status_code == 409
    refused = world.ask("PATCH", "/admin/people/olga", "root", body={"is_active": False})
    assert (refused.status_code, "last owner of acme" in refused.get_json()["error"]) == (409, True)
    assert world.ask("PATCH", "/admin/people/bob", "root", body={"is_admin": True}).status_code == 204
    assert world.ask("GET", "/admin", "bob").get_json()["people"] == 9
    assert world.ask("PATCH", "/admin/people/bob", "root", body={"is_active": False}).status_code == 204
    assert world.ask("GET", "/admin", "bob").status_code == 403
    assert world.ask("POST", "/admin/people/bob/reset", "root").status_code == 409
    link = world.ask("POST", "/admin/people/mia/reset", "root").get_json()
    assert (link["name"], link["email"]) == ("mia", "mia@example.com")
    page = world.site.app.test_client().get(urlsplit(link["url"]).path)
    assert "mia" in page.get_data(as_text=True)


def test_organisations_live_through_the_api(world):
    made = world.ask("POST", "/organisations", "bob", body={"name": "harbour", "member_role": "none"}).get_json()
    assert (made["kind"], made["name"], made["standing"]) == ("organisation", "harbour", "owner")
    assert world.ask("GET", "/organisations/harbour", "bob").get_json()["member_role"] == "none"
    changed = world.ask("PATCH", "/organisations/harbour", "bob", body={"about": "ships", "default_private": True})
    assert (changed.get_json()["about"], changed.get_json()["member_role"]) == ("ships", "none")
    for person in ("rita", "rita", "nobody"):
        world.ask("POST", "/organisations/harbour/members", "bob", body={"person": person})
    rows = world.ask("GET", "/organisations/harbour/members", "rita").get_json()["items"]
    assert [(row["name"], row["is_owner"]) for row in rows] == [("bob", True), ("rita", False)]
    assert world.ask("DELETE", "/organisations/harbour/members/bob", "bob").status_code == 409
    assert world.ask("POST", "/organisations/harbour/teams", "bob", body={"name": "crew"}).get_json()["role"] == "none"
    role = world.ask("PATCH", "/organisations/harbour/teams/crew", "bob", body={"role": "admin"}).get_json()["role"]
    assert role == "admin"
    assert world.ask("PUT", "/organisations/harbour/teams/crew/members/rita", "bob").status_code == 204
    world.site.push("harbour/app", "rita")
    assert world.ask("GET", "/repositories/harbour/app", "rita").get_json()["head"]["is_private"] is True
    assert world.ask("GET", "/repositories/harbour/app").status_code == 404


def test_a_token_is_told_once_and_works(world):
    body = {"name": "builds", "pattern": "alice/*", "access": "write", "expires_at": "2030-01-01T00:00:00+01:00"}
    made = world.ask("POST", "/account/tokens", "alice", body=body).get_json()
    assert made["token"]["expires_at"] == "2029-12-31T23:00:00Z"
    assert made["secret"] not in world.ask("GET", "/account/tokens", "alice").get_data(as_text=True)
    assert world.ask("PATCH", R, auth=bearer(made["secret"]), body={"description": "built"}).status_code == 200
    # The same token pushes, with docker.
    assert world.site.request("GET", "/v1/users", auth=basic("alice", made["secret"])).status_code == 200


# Lists


def test_lists_are_paged_and_lead_on(world):
    for number in range(30):
        world.site.push(f"bob/r{number:02}", "bob")
    first = world.ask("GET", "/people/bob/repositories?sort=name")
    assert [item["full_name"] for item in first.get_json()["items"]][:2] == ["bob/r00", "bob/r01"]
    assert first.get_json()["paging"] == {
        "number": 1,
        "size": 25,
        "total": 30,
        "sort": "name",
        "sorts": ["pushed", "stars", "pulls", "name"],
    }
    link = first.headers["Link"]
    assert link == f'<{API}/people/bob/repositories?sort=name&page=2>; rel="next"'
    second = world.site.request("GET", link[1 : link.index(">")])
    assert len(second.get_json()["items"]) == 5
    assert second.headers["Link"] == f'<{API}/people/bob/repositories?sort=name&page=1>; rel="prev"'
    stretch = world.ask("GET", "/people/bob/activity?page=2")
    assert (len(stretch.get_json()["items"]), stretch.get_json()["is_more"]) == (5, False)
    assert 'rel="prev"' in stretch.headers["Link"]


def test_a_page_that_is_none_is_refused(world):
    for path in ("/repositories", f"{R}/@tags", "/people/alice/repositories", "/graph"):
        for query, status in (("page=0", 400), ("page=x", 400), ("page=99", 404), ("sort=x", 400)):
            assert world.ask("GET", f"{path}?{query}").status_code == status, (path, query)


def test_what_cannot_be_is_not_there_and_breaks_nothing(world):
    strange = ["%00", "%ED%A0%80", "x" * 300, "..", "%2e%2e", "é", "A", "9" * 30, "9" * 18, "9" * 10, "'", "*"]
    for text in strange:
        for path in (
            f"/people/{text}",
            f"/organisations/{text}/members",
            f"/repositories/alice/{text}",
            f"{R}/@comments/{text}",
            f"{R}/@activity?tag={text}",
            f"/repositories?q={text}",
            f"/images/{text}",
            f"/images/{text}/annotations",
            f"/account/sessions/{text}",
            f"/account/tokens/{text}",
            f"/admin/people?q={text}",
            f"/admin/audit?actor={text}&subject={text}&action={text}",
            f"/admin/audit?since={text}",
        ):
            for method in ("GET", "DELETE"):
                answer = world.ask(method, path, "root")
                assert answer.status_code in (200, 400, 403, 404, 405), (method, path, answer.data)
                assert answer.mimetype == "application/json"


def test_what_is_not_there_is_no_page(world):
    for path in ("", "/", "/nothing", "/repositories/alice/app/@nothing", "/../../v1"):
        answer = world.ask("GET", path)
        assert (answer.status_code, answer.get_json()) == (404, {"error": "Not Found"})
        assert "Set-Cookie" not in answer.headers


def test_other_methods_are_refused_as_json(world):
    answer = world.ask("POST", R)
    assert answer.status_code == 405
    assert answer.get_json().keys() == {"error"}
    assert "PATCH" in answer.headers["Allow"]


def test_library_may_be_left_out(world):
    world.site.push("busybox", "root")
    for name in ("busybox", "library/busybox"):
        assert world.ask("GET", f"/repositories/{name}").get_json()["head"]["name"] == "library/busybox"
    assert world.ask("GET", "/repositories/alice/deep/er/@tags").status_code == 200


def test_no_answer_is_framed_sniffed_or_kept(world):
    answer = world.ask("GET", R)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Vary"] == "Authorization, Cookie"
    assert "X-Request-Id" in answer.headers
