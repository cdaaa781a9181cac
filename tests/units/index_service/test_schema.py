"""Migrations: up, down, in step with the models, and safe when several start at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event, inspect, text

from index_service import schema
from index_service.database import open_engine
from index_service.search import terms
from index_service.search.documents import AT_ONCE
from tests.units.index_service.site import Site

ROOT = Path(__file__).resolve().parents[3]
TABLES = {
    *(
        "users",
        "emails",
        "sessions",
        "access_tokens",
        "organisations",
        "members",
        "teams",
        "team_members",
        "namespaces",
    ),
    *("repositories", "listed_images", "held_images", "tags", "tag_moves", "roles", "pulls", "images", "jobs"),
    *("stars", "comments", "comment_versions", "flags", "tokens", "audit", "known_networks", "rate_counts", "letters"),
    "translations",
}


@pytest.fixture
def empty(empty_url):
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def tables(engine):
    """All that models describe; `search_documents` with what belongs to it has to be there or gone with them."""
    found = set(inspect(engine).get_table_names()) - {"alembic_version"}
    modelled = {name for name in found if schema.is_modelled(name, "table")}
    assert ("search_documents" in found) == bool(modelled)
    return modelled


def test_up_down_and_up_again(empty):
    assert schema.current(empty) is None
    schema.upgrade(empty)
    assert schema.current(empty) == schema.head()
    assert tables(empty) == TABLES
    schema.upgrade(empty)
    schema.downgrade(empty, "base")
    assert (schema.current(empty), tables(empty)) == (None, set())
    schema.upgrade(empty)
    assert tables(empty) == TABLES


def test_every_step_can_be_taken_back_and_again(empty):
    revisions = [script.revision for script in reversed(list(schema.steps()))]
    for revision in revisions:
        schema.upgrade(empty, revision)
        schema.downgrade(empty, "-1")
        schema.upgrade(empty, revision)
    assert schema.current(empty) == schema.head()


def test_models_and_migrations_agree(engine):
    with engine.connect() as connection:
        options = {"compare_type": True, "include_name": schema.is_modelled}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata()) == []


def test_every_constraint_has_the_name_the_models_give_it(engine):
    inspector = inspect(engine)
    for table in schema.metadata().sorted_tables:
        named = {constraint.name for constraint in table.constraints} | {index.name for index in table.indexes}
        found = {inspector.get_pk_constraint(table.name)["name"]}
        kinds = (inspector.get_unique_constraints, inspector.get_foreign_keys, inspector.get_indexes)
        for kind in (*kinds, inspector.get_check_constraints):
            found |= {constraint["name"] for constraint in kind(table.name)}
        assert named <= found


def test_a_migration_keeps_the_data(engine):
    site = Site(engine)
    site.user("alice")
    site.push("alice/app", "alice")
    schema.upgrade(engine)
    assert site.request("GET", "/v1/search").json["num_results"] == 1


def test_a_migrated_sqlite_has_a_write_ahead_log(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/new/folder/index.db")
    schema.upgrade(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_unknown_revisions_and_unreachable_databases_are_said_in_one_line(empty, tmp_path):
    with pytest.raises(schema.SchemaError, match="9999"):
        schema.downgrade(empty, "9999")
    lost = open_engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(schema.SchemaError, match="cannot use the database") as raised:
        schema.current(lost)
    assert "\n" not in str(raised.value)


def test_many_processes_migrate_at_once(empty_url):
    command = [sys.executable, "-W", "error", "-c", "from index_service.cli import main; main()", "migrate"]
    environ = os.environ | {"WHARFINGER_INDEX_DATABASE_URL": empty_url, "WHARFINGER_INDEX_SECRET_KEYS": "k" * 32}
    processes = [
        subprocess.Popen(command, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    results = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert results == [((f"The database is at revision {schema.head()}.\n", ""), 0)] * 3
    engine = open_engine(empty_url)
    assert tables(engine) == TABLES
    engine.dispose()


def test_what_the_first_version_kept_is_there_after_every_step(empty):
    """Up to here and back: an account, its repository with a tag, and one that was only announced."""
    now = "'2015-06-08 12:00:00'"
    schema.upgrade(empty, "0001")
    with empty.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (id, name, password_hash, is_active, is_admin, created_at)"
            f" VALUES (7, 'ada', 'x', true, false, {now})"
        )
        for number, name in ((1, "tagged"), (2, "announced")):
            connection.exec_driver_sql(
                "INSERT INTO repositories (id, namespace, name, owner_id, description, is_private, endpoint,"
                f" created_at, updated_at) VALUES ({number}, 'ada', '{name}', 7, '', true, 'e:1', {now}, {now})"
            )
        for number, image in ((1, "'a'"), (2, "NULL")):
            connection.exec_driver_sql(
                "INSERT INTO tags (repository_id, name, image_id, announced_id, updated_at)"
                f" VALUES ({number}, 'latest', {image}, 'a', {now})"
            )
    schema.upgrade(empty)
    with empty.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT name, creator_id, is_private, is_tagged, pushed_at = updated_at FROM repositories ORDER BY id"
        )
        assert [tuple(row) for row in rows] == [("tagged", 7, True, True, True), ("announced", 7, True, False, True)]
        spaces = connection.exec_driver_sql("SELECT name, user_id FROM namespaces ORDER BY name")
        assert [tuple(row) for row in spaces] == [("ada", 7), ("library", None)]
    schema.downgrade(empty, "0001")
    with empty.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT r.name, owner_id, t.name FROM repositories r JOIN tags t ON r.id = t.repository_id ORDER BY r.id"
        )
        assert [tuple(row) for row in rows] == [("tagged", 7, "latest"), ("announced", 7, "latest")]


def test_what_administrators_of_the_index_have_hidden_is_theirs_after_the_step(empty):
    now = "'2015-06-08 12:00:00'"
    schema.upgrade(empty, "0006")
    with empty.begin() as connection:
        for number, name in ((1, "root"), (2, "ada")):
            connection.exec_driver_sql(
                "INSERT INTO users (id, name, password_hash, is_active, is_admin, created_at)"
                f" VALUES ({number}, '{name}', 'x', true, {name == 'root'}, {now})"
            )
        connection.exec_driver_sql("INSERT INTO namespaces (name, user_id, default_private) VALUES ('ada', 2, false)")
        connection.exec_driver_sql(
            "INSERT INTO repositories (id, namespace, name, creator_id, description, is_private, endpoint, created_at,"
            f" updated_at, pushed_at) VALUES (1, 'ada', 'app', 2, '', false, 'e:1', {now}, {now}, {now})"
        )
        for number, hider in enumerate(("1", "2", "NULL"), 1):
            hidden = "NULL" if hider == "NULL" else now
            connection.exec_driver_sql(
                "INSERT INTO comments (id, repository_id, author_id, body, created_at, hidden_at, hidden_by)"
                f" VALUES ({number}, 1, 2, 'rude', {now}, {hidden}, {hider})"
            )
    schema.upgrade(empty)
    with empty.connect() as connection:
        rows = connection.exec_driver_sql("SELECT is_moderated FROM comments ORDER BY id")
        assert [bool(moderated) for (moderated,) in rows] == [True, False, False]


def test_a_repository_holds_what_its_tags_reached_before_the_step(empty):
    """Where a chain is not known to its end, what is known of it, and a job reads the rest at the registry."""
    now = "'2015-06-08 12:00:00'"
    (size,) = (step.module.BATCH_SIZE for step in schema.steps() if step.revision == "0010")
    schema.upgrade(empty, "0009")
    write_repositories(empty, 1, 2 * size + 1)
    whole, broken, last = 1, size + 1, 2 * size + 1
    images = [("base", None), ("mid", "base"), ("top", "mid"), ("other", "base"), ("cut", "unknown")]
    listed = {whole: ["base", "mid", "top", "secret"], broken: ["cut", "top"], last: ["other"]}
    tags = [(whole, "v1", "top"), (whole, "v2", "mid"), (broken, "v1", "cut"), (broken, "v2", "top")]
    tags += [(last, "v1", "other"), (last, "v2", "never read")]
    with empty.begin() as connection:
        for image, parent in images:
            connection.execute(
                text(
                    "INSERT INTO images (image_id, parent_id, size, total_size, depth, command, author, docker_version,"
                    " os, architecture, config, read_at)"
                    f" VALUES (:id, :parent, 1, 1, 0, '', '', '', '', '', '', {now})"
                ),
                {"id": image, "parent": parent},
            )
        for number, ids in listed.items():
            for image in ids:
                connection.exec_driver_sql(
                    f"INSERT INTO listed_images (repository_id, image_id) VALUES ({number}, '{image}')"
                )
        for number, name, image in tags:
            connection.exec_driver_sql(
                "INSERT INTO tags (repository_id, name, image_id, updated_at)"
                f" VALUES ({number}, '{name}', '{image}', {now})"
            )
        # Announced by a push, and one that waits to be read already.
        connection.exec_driver_sql(
            f"INSERT INTO tags (repository_id, name, announced_id, updated_at) VALUES (2, 'v1', 'top', {now})"
        )
        connection.exec_driver_sql(
            "INSERT INTO jobs (kind, repository_id, details, asked_at, due_at, attempts, failure)"
            f" VALUES ('read', {last}, '{{}}', {now}, {now}, 7, 'it was down')"
        )
    schema.upgrade(empty)
    with empty.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT repository_id, image_id, is_apart FROM held_images ORDER BY repository_id, image_id"
        )
        held = [tuple(row) for row in rows]
        jobs = connection.exec_driver_sql("SELECT kind, repository_id FROM jobs ORDER BY id").all()
        announced = connection.exec_driver_sql("SELECT count(*) FROM listed_images WHERE is_announced").scalar()
    assert held == [
        *((whole, image, False) for image in ("base", "mid", "top")),
        *((broken, image, False) for image in ("base", "mid", "unknown")),
        (last, "base", False),
    ]
    assert [tuple(job) for job in jobs] == [("read", last), ("read", broken)]
    assert announced == 0
    schema.downgrade(empty, "0009")


MANY = 2 * AT_ONCE + 100


def write_repositories(engine, first, last):
    """As the code of revision 0004 wrote them, which knew of no search documents."""
    now = "'2015-06-08 12:00:00'"
    with engine.begin() as connection:
        if first == 1:
            connection.exec_driver_sql(
                "INSERT INTO users (id, name, password_hash, is_active, is_admin, created_at)"
                f" VALUES (1, 'ada', 'x', true, false, {now})"
            )
            connection.exec_driver_sql(
                "INSERT INTO namespaces (name, user_id, default_private) VALUES ('ada', 1, false)"
            )
        connection.execute(
            text(
                "INSERT INTO repositories (id, namespace, name, creator_id, description, is_private, endpoint,"
                " is_tagged, created_at, updated_at, pushed_at) VALUES"
                " (:number, 'ada', :name, 1, 'a ship', false, 'e:1', true,"
                f" {now}, {now}, {now})"
            ),
            [{"number": number, "name": f"app{number}"} for number in range(first, last + 1)],
        )


def documents(engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM search_documents").scalar()


def found(engine, query):
    return Site(engine).request("GET", f"/v1/search?q={query}").json["num_results"]


def test_repositories_older_than_search_are_found_after_the_upgrade(empty):
    schema.upgrade(empty, "0004")
    write_repositories(empty, 1, MANY)
    schema.upgrade(empty)
    assert documents(empty) == MANY
    assert found(empty, f"app{AT_ONCE + 1}") == found(empty, f"app{MANY}") == 1
    schema.downgrade(empty, "0004")
    schema.upgrade(empty)
    assert documents(empty) == MANY
    assert found(empty, f"app{AT_ONCE + 1}") == found(empty, f"app{MANY}") == 1


def test_search_is_filled_at_head_and_no_earlier(empty):
    """The code speaks of columns that only the last step has."""
    schema.upgrade(empty, "0004")
    write_repositories(empty, 1, 3)
    schema.upgrade(empty, "0005")
    assert documents(empty) == 0
    schema.upgrade(empty)
    assert documents(empty) == 3


def test_an_upgrade_that_was_interrupted_is_completed_by_the_next(empty):
    """What it had written stays, and is not written again."""
    schema.upgrade(empty, "0004")
    write_repositories(empty, 1, MANY)
    writes = []

    def interrupt(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO search_documents"):
            writes.append(statement)
            if len(writes) == 2:
                raise InterruptedError

    event.listen(empty, "before_cursor_execute", interrupt)
    with pytest.raises(InterruptedError):
        schema.upgrade(empty)
    assert (schema.current(empty), documents(empty)) == (schema.head(), AT_ONCE)
    schema.upgrade(empty)
    assert (documents(empty), len(writes)) == (MANY, 2 + 2)
    assert found(empty, f"app{MANY}") == 1


def test_what_older_code_creates_beside_an_upgrade_is_found_after_the_next(empty):
    schema.upgrade(empty, "0004")
    write_repositories(empty, 1, 2)
    schema.upgrade(empty)
    write_repositories(empty, 3, 5)
    assert found(empty, "ship") == 2
    schema.upgrade(empty)
    assert found(empty, "ship") == 5


def test_documents_of_another_version_are_written_again(empty, monkeypatch):
    """As after a release that divides texts differently; nothing else is written."""
    schema.upgrade(empty)
    write_repositories(empty, 1, 3)
    schema.upgrade(empty)
    with empty.begin() as connection:
        connection.exec_driver_sql("UPDATE repositories SET description = 'a barge'")
    schema.upgrade(empty)
    assert (found(empty, "ship"), found(empty, "barge")) == (3, 0)
    with empty.begin() as connection:
        connection.exec_driver_sql("UPDATE repositories SET search_version = 0 WHERE id = 2")
    schema.upgrade(empty)
    assert (found(empty, "ship"), found(empty, "barge")) == (2, 1)
    monkeypatch.setattr(terms, "VERSION", terms.VERSION + 1)
    schema.upgrade(empty)
    assert (found(empty, "ship"), found(empty, "barge"), documents(empty)) == (0, 3, 3)


def test_a_changed_bag_of_words_has_a_version_of_its_own():
    """If this fails, raise `terms.VERSION` and update the digest: existing documents have become outdated."""
    texts = "Ships' logs: über-große 镜像仓库, e2e_tests at 10.4.0", "x" * 100, "\u0130stanbul \ufb01sh ไทย"
    bag = terms.bag_of_words("Acme", "web/my_app.io", texts)
    digest = hashlib.sha256("\n".join(sorted(bag)).encode()).hexdigest()
    assert (terms.VERSION, digest[:16]) == (1, "c438a0779f6f653b")
