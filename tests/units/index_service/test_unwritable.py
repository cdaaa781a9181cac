"""A database that can only be read, or is full: what needs no write goes on, all else is refused in words."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from tests.units.index_service.site import Site

READ_ONLY = "The database can only be read now, try again later"
FULL = "The database has no space left"

_BYTES = (1_000_000, 10_000, 1000, 10)


@pytest.fixture
def filled(site: Site) -> Site:
    """A public and a private repository of Alice's, who has logged in from here; and no process remembers it."""
    site.user("alice")
    site.push("alice/app", "alice")
    site.push("alice/secret", "alice")
    site.set_private("alice/secret")
    return site


def let_only_read(site: Site) -> None:
    """As a standby is, or a file that nobody may write to."""
    statement = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    }[site.engine.dialect.name]

    def begin(connection, _record):
        connection.cursor().execute(statement)
        connection.commit()

    event.listen(site.engine, "connect", begin)
    site.engine.dispose()
    site.restart()


def fill(site: Site) -> None:
    """Let the database have no page more, and use up those it has."""

    def bound(connection, _record):
        connection.execute("PRAGMA max_page_count = 1")

    with site.engine.begin() as connection:
        connection.execute(text("CREATE TABLE junk (content BLOB)"))
    event.listen(site.engine, "connect", bound)
    site.engine.dispose()
    site.restart()
    for size in _BYTES:
        while insert(site, size):
            pass


def insert(site: Site, size: int) -> bool:
    """Whether there was room for it."""
    try:
        with site.engine.begin() as connection:
            connection.execute(text("INSERT INTO junk VALUES (zeroblob(:size))"), {"size": size})
    except OperationalError:
        return False
    return True


def demand_reads(site: Site) -> None:
    """Pulls and logins go on, of whoever logged in from here before; so do searches and pages."""
    for user in (None, "alice"):
        token = site.pull_token("alice/app", user)
        assert site.redeem("alice/app", token) == 200
        assert site.request("GET", "/v1/search?q=app", user=user).status_code == 200
        told = site.request("GET", "/v2/token?scope=repository:alice/app:pull&service=s", user=user)
        bearer = f"Bearer {told.get_json()['token']}"
        assert site.request("GET", "/v2/", auth=bearer).status_code == 200
        assert site.request("GET", "/v2/alice/app/tags/list", auth=bearer).status_code == 307
    assert site.request("GET", "/v1/users/", user="alice").status_code == 200
    assert site.request("GET", "/v1/repositories/alice/secret/tags", user="alice").status_code == 200
    assert site.request("GET", "/r/alice/app").status_code in (200, 404)
    assert site.request("GET", "/api/v1/repositories/alice/app", user="alice").status_code == 200


def test_a_database_that_can_only_be_read(filled: Site) -> None:
    let_only_read(filled)
    demand_reads(filled)
    account = {"username": "bob", "password": "password-bob", "email": "bob@example.com"}
    filled.restart()
    for answer in (
        filled.request("GET", "/v1/users/", user="alice", address="192.0.2.7"),
        filled.request("GET", "/v1/repositories/alice/secret/images", user="alice", ask=True),
        filled.request("PUT", "/v1/repositories/alice/app/", user="alice", ask=True, body=[]),
        filled.request("PUT", "/v1/repositories/alice/app/images", user="alice", raw="[]"),
        filled.request("POST", "/v1/users/", body=account),
        filled.request("DELETE", "/v1/repositories/alice/app/", user="alice", ask=True),
    ):
        assert (answer.status_code, answer.json) == (503, {"error": READ_ONLY})
    answer = filled.request("GET", "/v2/token?scope=repository:alice/secret:pull", user="alice")
    assert (answer.status_code, answer.json["errors"][0]["message"]) == (503, READ_ONLY)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_full_database(filled: Site) -> None:
    """A page with room for a row more takes it."""
    fill(filled)
    for _ in range(200):
        answer = filled.request("GET", "/v1/repositories/alice/secret/images", user="alice", ask=True)
        if answer.status_code != 200:
            break
    assert (answer.status_code, answer.json) == (507, {"error": FULL})
    demand_reads(filled)
