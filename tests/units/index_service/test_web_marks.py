"""Every change of a permission or a credential stands in the audit log: who, what, and from where."""

from __future__ import annotations

import pytest

from index_service.audit.log import Change
from tests.units.index_service.json_api.world import World, populate
from tests.units.index_service.reader import Reader

ACME = "/u/zeta"
ELSEWHERE = {
    *(Change.TOKENS_REVOKED, Change.ENDPOINT_MOVED),
    *(Change.SIGNED_IN, Change.SIGN_IN_FAILED, Change.ACCESS_TOKEN_USED, Change.REPOSITORY_MADE),
}
"""Commands and pushes, which have no page, and what test_guessing.py and test_access_tokens.py look at."""

DEEDS = [
    # Who, the form, what it brings, and the mark it leaves.
    ("alice", "/account/emails", {"email": "more@example.com"}, Change.EMAIL_ADDED),
    ("", "/confirm/{confirmation}", {}, Change.EMAIL_CONFIRMED),
    ("alice", "/account/emails/main", {"email": "more@example.com"}, Change.EMAIL_MADE_MAIN),
    ("alice", "/account/emails/remove", {"email": "alice@example.com"}, Change.EMAIL_REMOVED),
    ("alice", "/account/tokens", {"name": "t", "pattern": "*", "access": "read"}, Change.ACCESS_TOKEN_MADE),
    ("alice", "/account/tokens/revoke", {"token": "1"}, Change.ACCESS_TOKEN_REVOKED),
    ("alice", "/account/sessions/end-others", {}, Change.SESSION_REVOKED),
    ("alice", "/r/alice/app/@settings/access", {"person": "bob", "role": "read"}, Change.ROLE_GIVEN),
    ("alice", "/r/alice/app/@settings/access/take", {"person": "bob"}, Change.ROLE_TAKEN),
    ("alice", "/r/alice/app/@settings/visibility", {"visibility": "private"}, Change.REPOSITORY_HIDDEN),
    ("alice", "/r/alice/app/@settings/visibility", {"visibility": "public"}, Change.REPOSITORY_PUBLISHED),
    ("alice", "/r/alice/moving/@settings/transfer", {"target": "alice/moved"}, Change.REPOSITORY_TRANSFERRED),
    ("alice", "/r/alice/doomed/@settings/delete", {"confirm": "alice/doomed"}, Change.REPOSITORY_DELETED),
    ("alice", "/r/alice/app/@comments/1/hide", {"hidden": "yes"}, Change.COMMENT_HIDDEN),
    ("alice", "/r/alice/app/@comments/1/hide", {"hidden": ""}, Change.COMMENT_SHOWN),
    ("root", "/admin/comments/2", {"hidden": ""}, Change.COMMENT_FLAGS_DISMISSED),
    ("alice", "/account/password", {"current": "password-alice", "password": "another one"}, Change.PASSWORD_CHANGED),
    ("", "/reset", {"email": "bob@example.com"}, Change.PASSWORD_RESET_ASKED),
    ("", "/reset/{reset}", {"password": "another one"}, Change.PASSWORD_RESET),
    ("olga", "/organisations/new", {"name": "zeta"}, Change.ORGANISATION_MADE),
    ("olga", f"{ACME}/@settings", {"member_role": "write", "visibility": "public"}, Change.ORGANISATION_CHANGED),
    ("olga", f"{ACME}/@access/default", {"visibility": "private"}, Change.NAMESPACE_CHANGED),
    ("olga", f"{ACME}/@members", {"person": "mia"}, Change.MEMBER_ADDED),
    ("olga", f"{ACME}/@members/owner", {"person": "mia", "owner": "yes"}, Change.MEMBER_MADE_OWNER),
    ("olga", f"{ACME}/@members/owner", {"person": "mia", "owner": ""}, Change.MEMBER_UNMADE_OWNER),
    ("olga", f"{ACME}/@teams", {"name": "crew", "about": ""}, Change.TEAM_MADE),
    ("olga", f"{ACME}/@teams/crew", {"person": "mia"}, Change.TEAM_JOINED),
    ("olga", f"{ACME}/@teams/crew/role", {"role": "write"}, Change.ROLE_GIVEN),
    ("olga", f"{ACME}/@teams/crew/role", {"role": ""}, Change.ROLE_TAKEN),
    ("olga", f"{ACME}/@teams/crew/leave", {"person": "mia"}, Change.TEAM_LEFT),
    ("olga", f"{ACME}/@teams/crew/delete", {"confirm": "crew"}, Change.TEAM_DELETED),
    ("olga", f"{ACME}/@members/remove", {"person": "mia"}, Change.MEMBER_REMOVED),
    ("root", "/admin/people", {"person": "carl", "change": "make-admin"}, Change.ACCOUNT_MADE_ADMIN),
    ("root", "/admin/people", {"person": "carl", "change": "unmake-admin"}, Change.ACCOUNT_UNMADE_ADMIN),
    ("root", "/admin/quotas/carl", {"bytes": "5 GB", "repositories": ""}, Change.QUOTA_CHANGED),
    ("root", "/admin/people/carl/end", {"kind": "all"}, Change.ACCESS_ENDED),
    ("root", "/admin/people", {"person": "carl", "change": "close"}, Change.ACCOUNT_DEACTIVATED),
    ("root", "/admin/people", {"person": "carl", "change": "open"}, Change.ACCOUNT_ACTIVATED),
    (
        "",
        "/sign-up",
        {"name": "newcomer", "email": "new@example.com", "password": "another one"},
        Change.ACCOUNT_MADE,
    ),
]


@pytest.fixture
def contents():
    return populate


@pytest.fixture
def world(site):
    made = World(site)
    yield made
    made.close()


def test_every_change_leaves_its_mark(world):
    site = world.site
    Reader(site, "alice")
    readers = {name: Reader(site, name) for name in ("alice", "olga", "root")}
    links = {"confirmation": site.confirmation_link("alice", "more@example.com"), "reset": ""}
    for who, path, fields, change in DEEDS:
        reader, before = readers.get(who) or Reader(site), len(marks(site))
        csrf = reader.open("/search").forms["/language"]["csrf"]
        if "{reset}" in path:
            links["reset"] = site.reset_links("bob@example.com")["bob"]
        answer = reader.post(path.format(**links), csrf=csrf, **fields)
        assert answer.status_code in (200, 201, 303), (path, answer.status_code)
        site.finish_email()
        (mark,) = marks(site)[before:]
        assert (mark.action, mark.address) == (change, "192.0.2.1"), path
        assert mark.actor_name == (who or mark.actor_name), path
    assert {change for *_, change in DEEDS} | ELSEWHERE == set(Change)
    assert "another one" not in repr(marks(site))


def marks(site):
    return site.rows("SELECT actor_name, action, subject, address, details FROM audit ORDER BY id")
