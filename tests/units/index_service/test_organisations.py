"""Organisations: who may make, see and change them, and that one is never left without an owner."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from common.errors import Conflict, Failure, Forbidden, Invalid, NotFound, Unauthenticated
from index_service.accounts import organisations as accounts
from index_service.accounts.actor import Limits
from index_service.accounts.models import Member, Organisation, Team, User
from index_service.accounts.organisations import MAX_OWNED, MAX_TEAMS, LastOwner, OrganisationProfile, SoleOwner
from index_service.audit.log import AuditContext
from index_service.database import Database
from index_service.repositories.policy import Role
from index_service.services.organisations import OrganisationSettings
from index_service.services.permissions import Grantee

PEOPLE = ("olga", "mia", "eve")


def acme(site):
    """`acme` is olga's, and mia is a member of it."""
    for name in PEOPLE:
        site.user(name)
    site.user("root", admin=True)
    organisations = site.services.organisations
    organisations.create(site.actor("olga"), "192.0.2.1", "acme", OrganisationProfile("Acme Ltd"))
    organisations.add_member(site.actor("olga"), "192.0.2.1", "acme", "mia")


@pytest.fixture
def contents():
    return acme


@pytest.fixture
def organisations(site):
    return site.services.organisations


def audit(site):
    return [tuple(row) for row in site.rows("SELECT actor_name, action, subject, address FROM audit ORDER BY id")]


def names(listed):
    return [row.name for row in listed.rows]


def test_whoever_makes_one_owns_it_and_its_namespace(site, organisations):
    listed = organisations.members(site.actor("mia"), "acme", 10, 0)
    assert [(row.name, row.is_owner) for row in listed.rows] == [("olga", True), ("mia", False)]
    assert (listed.total, listed.is_owner) == (2, False)
    assert site.push("acme/app", "olga")
    body = [{"id": "1" * 64}]
    assert site.request("PUT", "/v1/repositories/acme/other/", user="mia", body=body).status_code == 403
    assert site.request("GET", "/v1/repositories/acme/app/images", user="mia").status_code == 200
    assert [entry for entry in audit(site) if entry[2] == "acme"] == [
        ("olga", "organisation.made", "acme", "192.0.2.1"),
        ("olga", "member.added", "acme", "192.0.2.1"),
    ]


@pytest.mark.parametrize("name", ["acme", "eve", "library", "support", "Acme", "a", "-a", "a" * 31, "a\n", "", None, 5])
def test_a_name_has_to_be_free_and_well_formed(site, organisations, name):
    with pytest.raises(Conflict if name in ("acme", "eve") else Invalid):
        organisations.create(site.actor("eve"), "", name, OrganisationProfile())


@pytest.mark.parametrize(
    "profile",
    [
        OrganisationProfile(website="javascript:alert(1)"),
        OrganisationProfile(about="x" * 501),
        OrganisationProfile(full_name="a\nb"),
        OrganisationProfile(full_name="a\x00b"),
        OrganisationProfile(about="\ud800"),
        OrganisationProfile(member_role="admin"),
    ],
)
def test_a_profile_has_to_be_fit_to_show(site, organisations, profile):
    with pytest.raises(Invalid):
        organisations.create(site.actor("eve"), "", "zeta", profile)
    with pytest.raises(Invalid):
        organisations.change(site.actor("olga"), "", "acme", OrganisationSettings(profile, default_private=False))


def test_a_person_cannot_take_the_name_of_an_organisation(site, organisations):
    answer = site.request(
        "POST", "/v1/users/", body={"username": "acme", "password": "boat-secret", "email": "acme@example.com"}
    )
    assert answer.status_code == 400
    with pytest.raises(Conflict):
        site.user("acme")


def test_of_two_who_take_one_name_at_once_one_is_told(site, organisations):
    def create(person):
        try:
            organisations.create(site.actor(person), "", "zeta", OrganisationProfile())
        except Conflict as failure:
            return failure.message
        return "made"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(create, ("mia", "eve"))) == ["This name is taken", "made"]


QUESTIONS = {
    # What is asked, and who is answered; the others are refused.
    "members": (lambda o, a: o.members(a, "acme", 10, 0), {"olga", "mia", "root"}),
    "teams": (lambda o, a: o.teams(a, "acme", 10, 0), {"olga", "mia", "root"}),
    "team": (lambda o, a: o.team(a, "acme", "crew", 10, 0), {"olga", "mia", "root"}),
    "settings": (lambda o, a: o.settings(a, "acme"), {"olga"}),
    "change": (lambda o, a: o.change(a, "", "acme", OrganisationSettings(OrganisationProfile(), False)), {"olga"}),
    "add": (lambda o, a: o.add_member(a, "", "acme", "eve"), {"olga"}),
    "remove": (lambda o, a: o.remove_member(a, "", "acme", "mia"), {"olga", "mia"}),
    "promote": (lambda o, a: o.set_owner(a, "", "acme", "mia", is_owner=True), {"olga"}),
    "found": (lambda o, a: o.create_team(a, "", "acme", "new", ""), {"olga"}),
    "disband": (lambda o, a: o.delete_team(a, "", "acme", "crew"), {"olga"}),
    "empower": (lambda o, a: o.set_team_role(a, "", "acme", "crew", Role.WRITE), {"olga"}),
    "join": (lambda o, a: o.join_team(a, "", "acme", "crew", "olga"), {"olga"}),
    "leave": (lambda o, a: o.leave_team(a, "", "acme", "crew", "mia"), {"olga"}),
}
REFUSALS = {"members": NotFound, "teams": NotFound, "team": NotFound}


@pytest.mark.parametrize("question", QUESTIONS)
def test_who_may_ask_what(site, organisations, question):
    """Nobody who may not has changed anything, so each is asked of one and the same organisation."""
    owner = site.actor("olga")
    organisations.create_team(owner, "", "acme", "crew", "")
    organisations.join_team(owner, "", "acme", "crew", "mia")
    ask, allowed = QUESTIONS[question]
    before = audit(site)
    for person in sorted({*PEOPLE, "root"} - allowed):
        with pytest.raises(REFUSALS.get(question, (Forbidden, NotFound))):
            ask(organisations, site.actor(person))
    for person in allowed:
        with pytest.raises(Forbidden):
            ask(organisations, replace(site.actor(person), limits=Limits(1, "*", True)))
    if question in REFUSALS:
        with pytest.raises(Unauthenticated):
            ask(organisations, None)
    assert audit(site) == before
    ask(organisations, site.actor(sorted(allowed)[0]))


def test_an_organisation_that_is_not_there_is_as_one_that_is_not_shown(site, organisations):
    said = []
    for name in ("acme", "absent"):
        with pytest.raises(NotFound) as caught:
            organisations.members(site.actor("eve"), name, 10, 0)
        said.append(caught.value.message)
    assert said[0] == said[1]


def test_the_last_owner_stays(site, organisations):
    olga = site.actor("olga")
    for leave in (
        lambda: organisations.remove_member(olga, "", "acme", "olga"),
        lambda: organisations.set_owner(olga, "", "acme", "olga", is_owner=False),
    ):
        with pytest.raises(Conflict):
            leave()
    organisations.set_owner(olga, "", "acme", "mia", is_owner=True)
    organisations.remove_member(olga, "", "acme", "olga")
    assert names(organisations.members(site.actor("mia"), "acme", 10, 0)) == ["mia"]


def test_an_owner_whose_account_is_closed_is_not_enough(site, organisations):
    olga = site.actor("olga")
    organisations.set_owner(olga, "", "acme", "mia", is_owner=True)
    site.set_active("mia", False)
    for leave in (
        lambda: organisations.remove_member(olga, "", "acme", "olga"),
        lambda: organisations.set_owner(olga, "", "acme", "olga", is_owner=False),
    ):
        with pytest.raises(LastOwner):
            leave()
    organisations.remove_member(olga, "", "acme", "mia")
    assert names(organisations.members(olga, "acme", 10, 0)) == ["olga"]


def test_two_owners_who_leave_at_once_leave_one_behind(site, organisations):
    organisations.set_owner(site.actor("olga"), "", "acme", "mia", is_owner=True)

    def leave(person):
        try:
            organisations.remove_member(site.actor(person), "", "acme", person)
        except Failure as failure:
            return type(failure).__name__
        return "left"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(leave, ("olga", "mia"))) == ["LastOwner", "left"]
    assert site.rows("SELECT count(*) FROM members") == [(1,)]


def test_the_account_of_the_last_owner_is_not_closed(site, organisations):
    root, olga, administration = site.actor("root"), site.actor("olga"), site.services.administration
    organisations.create(olga, "", "zeta", OrganisationProfile())
    for close in (
        lambda: administration.set_active(root, "", "olga", is_active=False),
        lambda: site.set_active("olga", False),
    ):
        with pytest.raises(SoleOwner, match="last owner of acme, zeta: make somebody else an owner there first"):
            close()
    organisations.set_owner(olga, "", "acme", "mia", is_owner=True)
    with pytest.raises(SoleOwner, match="of zeta:"):
        site.set_active("olga", False)
    site.services.operations.add_owner("zeta", "eve")
    site.set_active("olga", False)
    with pytest.raises(SoleOwner, match="of acme:"):
        administration.set_active(root, "", "mia", is_active=False)
    administration.set_active(root, "", "olga", is_active=True)
    administration.set_active(root, "", "mia", is_active=False)


def test_one_owner_who_leaves_while_the_other_is_closed_stays(site, organisations):
    olga, mia = site.actor("olga"), site.actor("mia")

    def leave():
        organisations.remove_member(mia, "", "acme", "mia")

    def close():
        site.set_active("olga", False)

    def outcome(deed):
        try:
            deed()
        except Failure as failure:
            return type(failure).__name__
        return "done"

    for _ in range(5):
        organisations.set_owner(olga, "", "acme", "mia", is_owner=True)
        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(outcome, (leave, close))) in (["LastOwner", "done"], ["SoleOwner", "done"])
        if organisations.members(site.actor("root"), "acme", 10, 0).total == 1:
            organisations.add_member(olga, "", "acme", "mia")
        site.set_active("olga", True)


def test_an_owner_joins_a_team_while_the_account_is_closed(site, organisations):
    """Each has what the other refers to, and neither waits for ever."""
    olga, now = site.actor("olga"), site.clock()
    organisations.set_owner(olga, "", "acme", "mia", is_owner=True)
    organisations.create_team(olga, "", "acme", "crew", "")
    with ThreadPoolExecutor(1) as threads:
        with Database(site.engine).writing() as session:
            acme = accounts.lock(session, "acme")
            closed = threads.submit(site.set_active, "mia", False)
            time.sleep(0.3)
            mia = session.scalars(select(User).where(User.name == "mia")).one()
            accounts.join_team(
                session, AuditContext(olga, "", now), acme, accounts.find_team(session, acme, "crew"), mia
            )
        closed.result()
    assert site.rows("SELECT is_active FROM users WHERE name = 'mia'") == [(False,)]


def test_who_goes_takes_every_role_along(site, organisations):
    olga, permissions = site.actor("olga"), site.services.permissions
    organisations.create_team(olga, "", "acme", "crew", "They push")
    organisations.join_team(olga, "", "acme", "crew", "mia")
    organisations.set_team_role(olga, "", "acme", "crew", Role.WRITE)
    token = site.push("acme/app", "mia")
    organisations.remove_member(olga, "", "acme", "mia")
    assert site.redeem("acme/app", token) == 401
    assert organisations.team(olga, "acme", "crew", 10, 0).rows == []
    assert permissions.namespace(olga, "acme").given[0].team == "crew"


def test_roles_given_to_a_person_go_with_the_membership(site, organisations):
    olga, permissions = site.actor("olga"), site.services.permissions
    permissions.grant_namespace_role(olga, "", "acme", Grantee("mia"), Role.ADMIN)
    organisations.remove_member(olga, "", "acme", "mia")
    assert permissions.namespace(olga, "acme").given == []


def test_a_team_is_members_and_its_role_holds_everywhere(site, organisations):
    olga = site.actor("olga")
    organisations.create_team(olga, "", "acme", "crew", "They push")
    with pytest.raises(NotFound):
        organisations.join_team(olga, "", "acme", "crew", "eve")
    organisations.join_team(olga, "", "acme", "crew", "mia")
    with pytest.raises(Conflict):
        organisations.join_team(olga, "", "acme", "crew", "mia")
    organisations.set_team_role(olga, "", "acme", "crew", Role.ADMIN)
    shown = organisations.team(site.actor("mia"), "acme", "crew", 10, 0)
    assert (shown.team.members, shown.role, [row.name for row in shown.rows]) == (1, Role.ADMIN, ["mia"])
    assert site.push("acme/app", "mia")
    organisations.set_team_role(olga, "", "acme", "crew", None)
    assert site.request("PUT", "/v1/repositories/acme/app/", user="mia", body=[]).status_code == 403
    organisations.delete_team(olga, "", "acme", "crew")
    with pytest.raises(NotFound):
        organisations.team(olga, "acme", "crew", 10, 0)


def test_what_members_may_do_is_the_organisations_choice(site, organisations):
    olga = site.actor("olga")
    site.push("acme/app", "olga")
    site.set_private("acme/app")
    reads = []
    for role in ("read", "write", ""):
        organisations.change(
            olga, "", "acme", OrganisationSettings(OrganisationProfile(member_role=role), default_private=True)
        )
        reads.append(site.request("GET", "/v1/repositories/acme/app/images", user="mia").status_code)
    assert reads == [200, 200, 404]
    assert organisations.settings(olga, "acme").default_private
    site.push("acme/new", "olga")
    assert site.request("GET", "/v1/repositories/acme/new/images").status_code == 404
    changes = [action for _, action, _, _ in audit(site) if "changed" in action]
    assert changes == ["namespace.changed", "organisation.changed", "organisation.changed"]


def test_two_who_change_one_thing_each_take_nothing_back(site, organisations):
    olga, kept = site.actor("olga"), threading.Event()

    def rename(now):
        kept.set()
        time.sleep(0.3)
        return replace(now, profile=replace(now.profile, full_name="Acme Ltd"))

    def tell(now):
        return replace(now, profile=replace(now.profile, about="ships"), default_private=True)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(organisations.revise, olga, "", "acme", rename)
        assert kept.wait(10)
        organisations.revise(olga, "", "acme", tell)
        first.result()
    found = organisations.settings(olga, "acme")
    assert (found.profile.full_name, found.profile.about, found.default_private) == ("Acme Ltd", "ships", True)


def test_operators_make_them_and_help_those_without_owners(site, organisations):
    site.services.operations.create_organisation("zeta", "mia")
    site.services.operations.add_owner("zeta", "eve")
    listed = organisations.members(site.actor("eve"), "zeta", 10, 0)
    assert [(row.name, row.is_owner) for row in listed.rows] == [("eve", True), ("mia", True)]
    assert audit(site)[-1] == ("", "member.made-owner", "zeta", "")


def test_a_closed_account_cannot_be_added(site, organisations):
    site.set_active("eve", False)
    for name in ("eve", "nobody", "", "Ä"):
        with pytest.raises(Invalid):
            organisations.add_member(site.actor("olga"), "", "acme", name)


def test_nobody_takes_all_names(site, organisations):
    eve, now = site.actor("eve").id, site.clock()
    with Database(site.engine).writing() as session:
        for number in range(MAX_OWNED):
            row = {"id": 100 + number, "name": f"zeta{number}", "created_at": now}
            session.execute(insert(Organisation), [row])
            owner = {"organisation_id": 100 + number, "user_id": eve, "is_owner": True, "created_at": now}
            session.execute(insert(Member), [owner])
    with pytest.raises(Conflict):
        organisations.create(site.actor("eve"), "", "another", OrganisationProfile())
    organisations.create(site.actor("mia"), "", "another", OrganisationProfile())


def test_teams_can_all_be_shown(site, organisations):
    with Database(site.engine).writing() as session:
        rows = [{"organisation_id": 1, "name": f"t{n}", "created_at": site.clock()} for n in range(MAX_TEAMS)]
        session.execute(insert(Team), rows)
    with pytest.raises(Conflict):
        organisations.create_team(site.actor("olga"), "", "acme", "crew", "")
