"""The database under duress: gone, locked, written by many."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError

from common.errors import Unavailable
from index_service.accounts.models import User
from index_service.database import Database, open_engine
from index_service.db import insert_missing, upsert
from tests.units.index_service.databases import nothing
from tests.units.index_service.site import IMAGES, Site, basic

NOW = datetime(2015, 6, 8, 12, 30, 15, 250, tzinfo=timezone(timedelta(hours=2)))


def user(name, **columns):
    return {"name": name, "password_hash": "x", "is_active": True, "is_admin": False, "created_at": NOW, **columns}


def test_a_block_that_ends_is_committed_and_one_that_raises_is_not(engine):
    database = Database(engine)
    with database.writing() as session:
        insert_missing(session, User, [user("alice")])
    with suppress(KeyError), database.writing() as session:
        insert_missing(session, User, [user("bob")])
        raise KeyError
    with database.reading() as session:
        assert list(session.scalars(select(User.name))) == ["alice"]


def test_a_moment_comes_back_as_it_went_whatever_its_zone(engine):
    database = Database(engine)
    with database.writing() as session:
        insert_missing(session, User, [user("alice")])
    with database.reading() as session:
        created_at = session.scalar(select(User.created_at).where(User.created_at <= NOW))
    assert created_at == NOW
    assert created_at.utcoffset() == timedelta(0)


def test_rows_are_inserted_where_missing_and_changed_where_asked(engine):
    database = Database(engine)
    with database.writing() as session:
        insert_missing(session, User, [user("alice"), user("bob")])
        insert_missing(session, User, [user("alice", password_hash="y"), user("carol")])
        changed = [user("bob", password_hash="z", is_admin=True)]
        upsert(session, User, changed, key=("name",), changed=("password_hash",))
        insert_missing(session, User, [])
        upsert(session, User, [], key=("name",), changed=("password_hash",))
        rows = session.execute(select(User.name, User.password_hash, User.is_admin).order_by(User.name)).all()
    assert rows == [("alice", "x", False), ("bob", "z", False), ("carol", "x", False)]


def test_writers_wait_for_each_other_and_none_is_lost(engine):
    database = Database(engine)
    with database.writing() as session:
        insert_missing(session, User, [user("alice", password_hash="0")])

    def count(_):
        with database.writing() as session:
            alice = session.scalar(select(User).with_for_update())
            alice.password_hash = str(int(alice.password_hash) + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(80)))
    with database.reading() as session:
        assert session.scalar(select(User.password_hash)) == "80"


@pytest.mark.parametrize("backend", ["postgresql"])
def test_connections_that_ended_while_nobody_asked_are_made_anew(engine, monkeypatch):
    database = Database(engine)

    def ask():
        with database.reading() as session:
            return session.scalar(select(1))

    def end_all():
        with database.reading() as one, database.reading() as other:
            assert (one.scalar(select(1)), other.scalar(select(1))) == (1, 1)
        with engine.connect() as connection:
            own = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            with suppress(OperationalError):
                connection.execute(text(own))

    end_all()
    monkeypatch.setattr("index_service.database.RESTED_SECONDS", 0.0)
    assert ask() == 1
    monkeypatch.undo()
    end_all()
    # One that was used a moment ago is not asked first: the first who finds it gone is told so, and nobody after.
    outcomes = []
    for _ in range(4):
        try:
            outcomes.append(ask())
        except Unavailable:
            outcomes.append(0)
    assert outcomes[1:] == [1, 1, 1]


def test_reading_goes_on_while_somebody_writes(engine):
    site = Site(engine)
    site.user("alice")
    token = site.push("alice/app", "alice")
    with engine.begin() as connection:
        connection.execute(text("UPDATE users SET is_admin = true"))
        assert site.redeem("alice/app", token) == 200
        assert site.request("GET", "/v1/search").json["num_results"] == 1


def test_a_database_that_does_not_answer_is_said_to_be_unavailable():
    engine = open_engine("postgresql://nobody@127.0.0.1:1/nothing")
    site = Site(engine)
    for method, path, body in [
        ("GET", "/v1/users/", None),
        ("GET", "/v1/repositories/alice/app/images", None),
        ("GET", "/v1/search", None),
        ("POST", "/v1/users/", {"username": "alice", "password": "labpass1", "email": "a@example.com"}),
    ]:
        auth = basic("alice") if path == "/v1/users/" else None
        answer = site.request(method, path, body=body, auth=auth)
        assert answer.status_code == 503
        assert answer.json == {"error": "The database does not answer, try again later"}
    # What needs no database is answered all the same.
    assert site.request("GET", "/v1/_ping").status_code == 200


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_lock_on_a_table_ends_no_later_than_a_client_does(url, monkeypatch):
    """And a statement, whatever it does; but not that of a command, which may take its time."""
    monkeypatch.setattr("index_service.database.LOCK_SECONDS", 0.2)
    monkeypatch.setattr("index_service.database.STATEMENT_SECONDS", 0.4)
    serving, command = open_engine(url, is_serving=True), open_engine(url)
    site = Site(serving)
    with command.begin() as holder:
        holder.execute(text("LOCK TABLE repositories IN ACCESS EXCLUSIVE MODE"))
        for path in ("/v1/search?q=app", "/v1/repositories/alice/app/images", "/"):
            began = time.monotonic()
            assert site.request("GET", path).status_code == 503
            assert time.monotonic() - began < 5
    assert site.request("GET", "/v1/search?q=app").status_code == 200
    with pytest.raises(Unavailable), Database(serving).reading() as session:
        session.execute(text("SELECT pg_sleep(20)"))
    with Database(command).reading() as session:
        session.execute(text("SELECT pg_sleep(0.6)"))
    bounded = open_engine(f"{url}?options=-c%20statement_timeout%3D7s", is_serving=True)
    with Database(bounded).reading() as session:
        assert session.scalar(text("SHOW statement_timeout")) == "7s", "as the operator has it"
    for engine in (serving, command, bounded):
        engine.dispose()


def test_what_is_acknowledged_is_on_the_disk_first(tmp_path, sqlite_databases):
    """And what is of no use after a power failure, such as a token to read with, waits for no disk."""
    engine, full, normal = open_engine(sqlite_databases.holding(nothing, tmp_path)), 2, 1
    site, kinds = Site(engine), []

    def note(connection):
        if connection.connection.dbapi_connection.in_transaction:
            kinds.append(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    event.listen(engine, "commit", note)

    def committed(ask):
        kinds.clear()
        ask()
        return set(kinds)

    assert committed(lambda: site.user("alice")) == {full}
    assert committed(lambda: site.push("alice/app", "alice", held=False)) == {full}
    site.set_private("alice/app")
    for _ in range(2):
        assert committed(lambda: site.pull_token("alice/app", "alice")) == {normal}
        assert committed(lambda: site.push("alice/app", "alice", tag="v2", held=False)) == {full}
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    engine.dispose()


def test_a_write_lock_held_too_long_is_unavailable_not_an_error(tmp_path, sqlite_databases, monkeypatch):
    monkeypatch.setattr("index_service.database.BUSY_SECONDS", 0.1)
    engine = open_engine(sqlite_databases.holding(nothing, tmp_path))
    site = Site(engine)
    site.user("alice")
    holder = sqlite3.connect(tmp_path / "index.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        site.user("bob")
    assert site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[]).status_code == 503
    holder.execute("ROLLBACK")
    holder.close()
    assert site.request("PUT", "/v1/repositories/alice/app/", user="alice", body=[{"id": IMAGES[0]}]).status_code == 200
    engine.dispose()
