"""Roles in the database: every way to be given one, for one repository and in lists, which must agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from common.names import RepositoryName
from index_service.accounts.actor import Actor, Limits
from index_service.accounts.models import Member, Namespace, Organisation, Team, TeamMember, User
from index_service.database import Database
from index_service.repositories import catalogue
from index_service.repositories.models import Repository, RoleRecord
from index_service.repositories.policy import Action, Role
from index_service.repositories.roles import AccessControl

PEOPLE = {name: number for number, name in enumerate(("root", "olga", "mia", "tom", "nora", "rick", "eve"), 1)}
NAMES = ["acme/app", "acme/secret", "eve/secret", "eve/shown", "library/hidden", "quiet/secret"]
NAMESPACE_ROLES = {
    # Who has which role where; whoever is not named has none.
    "acme": {"olga": Role.ADMIN, "mia": Role.READ, "tom": Role.WRITE},
    "eve": {"eve": Role.ADMIN},
    "library": {"root": Role.ADMIN},
    "quiet": {"olga": Role.ADMIN, "nora": Role.READ},
}
REPOSITORY_ROLES = {"acme/secret": {"tom": Role.ADMIN, "rick": Role.WRITE}, "eve/secret": {"mia": Role.READ}}


@pytest.fixture
def database(engine, site):
    """`acme` lets its members read, `quiet` leaves all to teams; both are olga's."""
    database = Database(engine)
    now = site.clock()
    with database.writing() as session:
        for name, number in PEOPLE.items():
            user = {"id": number, "name": name, "password_hash": "x", "is_admin": name == "root", "created_at": now}
            session.execute(insert(User), [user])
            session.execute(insert(Namespace), [{"name": name, "user_id": number}])
        for number, (name, members) in enumerate((("acme", ("olga", "mia", "tom")), ("quiet", ("olga", "tom"))), 1):
            row = {"id": number, "name": name, "member_role": "read" if name == "acme" else "", "created_at": now}
            session.execute(insert(Organisation), [row])
            session.execute(insert(Namespace), [{"name": name, "organisation_id": number}])
            for person in members:
                owner = person == "olga"
                row = {"organisation_id": number, "user_id": PEOPLE[person], "is_owner": owner, "created_at": now}
                session.execute(insert(Member), [row])
        session.execute(insert(Team), [{"id": 1, "organisation_id": 1, "name": "builders", "created_at": now}])
        session.execute(insert(TeamMember), [{"team_id": 1, "user_id": PEOPLE["tom"]}])
        for number, name in enumerate(NAMES, 1):
            parsed = RepositoryName.parse(name)
            row = {"id": number, "namespace": parsed.namespace, "name": parsed.name, "endpoint": "e:1"}
            timestamps = dict.fromkeys(("created_at", "updated_at", "pushed_at"), now)
            hidden = not name.endswith(("app", "shown"))
            session.execute(insert(Repository), [row | timestamps | {"is_private": hidden, "is_tagged": True}])
        give = [
            {"team_id": 1, "namespace": "acme", "role": "write"},
            {"team_id": 1, "repository_id": 2, "role": "admin"},
            {"user_id": PEOPLE["nora"], "namespace": "quiet", "role": "read"},
            {"user_id": PEOPLE["rick"], "repository_id": 2, "role": "write"},
            {"user_id": PEOPLE["mia"], "repository_id": 3, "role": "read"},
        ]
        for row in give:
            session.execute(insert(RoleRecord), [row | {"created_at": now}])
    return database


def actor(name):
    return Actor(PEOPLE[name], name, name == "root")


def expected(person, name):
    namespace = RepositoryName.parse(name).namespace
    given = [NAMESPACE_ROLES[namespace].get(person), REPOSITORY_ROLES.get(name, {}).get(person)]
    return max((role for role in given if role), default=None)


@pytest.mark.parametrize("person", PEOPLE)
def test_the_highest_role_given_in_any_way_counts(database, person):
    with database.reading() as session:
        for name in map(RepositoryName.parse, NAMES):
            repository = catalogue.find(session, name)
            facts = AccessControl(login_only=False).policy_input(session, actor(person), name, repository)
            assert facts.role == expected(person, str(name))
            absent = RepositoryName(name.namespace, "absent")
            assert AccessControl(login_only=False).policy_input(session, actor(person), absent, None).role == (
                NAMESPACE_ROLES[name.namespace].get(person)
            )


@pytest.mark.parametrize("person", [None, *PEOPLE])
@pytest.mark.parametrize("limits", [None, Limits(1, "*", True), Limits(1, "a*/*", False), Limits(1, "eve/s%", True)])
@pytest.mark.parametrize("login_only", [False, True])
def test_lists_show_what_may_be_read(database, person, limits, login_only):
    access_control = AccessControl(login_only=login_only)
    reader = person and replace(actor(person), limits=limits)
    with database.reading() as session:
        listed = set(session.scalars(select(Repository.id).where(access_control.visible(reader))))
        rows = session.scalars(select(Repository))
        assert listed == {row.id for row in rows if access_control.permits(session, reader, row, Action.READ)}
        parts = [
            list(session.scalars(select(Repository.id).where(part)))
            for part in access_control.visible_parts(session, reader)
        ]
        assert sorted(listed) == sorted(number for part in parts for number in part)


def test_members_of_one_organisation_have_no_role_in_another(database):
    with database.reading() as session:
        name = RepositoryName.parse("quiet/secret")
        facts = AccessControl(login_only=False).policy_input(session, actor("tom"), name, catalogue.find(session, name))
        assert facts.role is None
