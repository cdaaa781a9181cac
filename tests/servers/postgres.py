"""A real PostgreSQL for the tests: made from nothing, listening on loopback, gone when the tests are.

It promises nothing to the disk, which makes it fast. As root, who may not run it, it runs as the user `postgres`.

A test gets a database as its template has it. To copy one takes 0.3 s on an idle machine and seconds on a busy one, to
empty one and fill it again 0.01 s: so each is used again and again, until somebody changes its schema.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.servers.process import free_port

_REMEMBER = """
CREATE SCHEMA kept;
CREATE TABLE kept.alterations (tag text);
CREATE FUNCTION kept.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kept.alterations VALUES (tg_tag);
END $$;
CREATE FUNCTION kept.keep(contents text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
    filled boolean;
BEGIN
    EXECUTE format('CREATE SCHEMA %I', contents);
    EXECUTE format('CREATE TABLE kept.%I (sequence text, last_value bigint)', contents);
    EXECUTE format('INSERT INTO kept.%I SELECT quote_ident(schemaname) || $1 || quote_ident(sequencename), last_value'
        ' FROM pg_sequences WHERE schemaname = $2', contents) USING '.', 'public';
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
        IF filled THEN
            EXECUTE format('CREATE TABLE %I.%I AS TABLE public.%I', contents, name, name);
        END IF;
    END LOOP;
    DELETE FROM kept.alterations;
END $$;
CREATE FUNCTION kept.restore(contents text) RETURNS boolean LANGUAGE plpgsql
SET session_replication_role = replica AS $$
DECLARE
    name text;
    number record;
BEGIN
    IF EXISTS (SELECT FROM kept.alterations) THEN
        RETURN false;
    END IF;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('DELETE FROM public.%I', name);
    END LOOP;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = contents LOOP
        EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE SELECT * FROM %I.%I', name, contents, name);
    END LOOP;
    FOR number IN EXECUTE format('SELECT * FROM kept.%I', contents) LOOP
        PERFORM setval(number.sequence, coalesce(number.last_value, 1), number.last_value IS NOT NULL);
    END LOOP;
    RETURN true;
END $$;
SELECT kept.keep('template');
CREATE EVENT TRIGGER note_ends ON ddl_command_end EXECUTE FUNCTION kept.note();
CREATE EVENT TRIGGER note_drops ON sql_drop EXECUTE FUNCTION kept.note();
"""
"""A database then knows what it holds, by name, and how to hold it again, unless its schema changed."""

_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=80")

_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Postgres:
    """One running server; `create_database` gives a new empty-or-migrated database and its URL.

    `buffers` is the memory for its pages: a test needs less of it than the 128 MB that PostgreSQL takes by itself.
    """

    def __init__(self, buffers: str = "32MB") -> None:
        self._settings = (*_FAST, f"shared_buffers={buffers}")
        self._folder = Path(tempfile.mkdtemp(prefix="wharfinger-pg-"))
        self._data = self._folder / "data"
        self._port = free_port()
        self._names = (f"test{number}" for number in count())
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if os.getuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
        with (self._folder / "log").open("wb") as log:
            initdb = [_program("initdb"), "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
            subprocess.run(_as_postgres([*initdb, "--locale=C.UTF-8"]), stdout=log, stderr=log, cwd="/", check=True)
            settings = (*self._settings, "listen_addresses=127.0.0.1", f"port={self._port}", "unix_socket_directories=")
            server = [_program("postgres"), "-D", self._data, *(word for line in settings for word in ("-c", line))]
            self._process = subprocess.Popen(_as_postgres(server), stdout=log, stderr=log, cwd="/")
        self._await()

    def stop(self) -> None:
        """Ends it at once: nothing in it is worth a shutdown's checkpoint."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def create_database(self, template: str = "template0") -> str:
        """A new database, a copy of `template`; returns its URL."""
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        self._execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def _await(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}", pytrace=False)
                time.sleep(0.05)
            else:
                return


class Reused:
    """A database that every test finds as its template is, or with contents that were kept, though none is copied."""

    def __init__(self, server: Postgres, template: str) -> None:
        """`template` is the URL of a database that nobody is connected to."""
        self._server = server
        with psycopg.connect(template, autocommit=True) as connection:
            connection.execute(_REMEMBER)
        self._template = template.rpartition("/")[2]
        self._begin()

    def restore(self, contents: str = "template") -> bool:
        """End whoever is connected to it, and make it what it was; as its template, and false, where it never was."""
        found = contents if contents in self._kept else "template"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            row = connection.execute("SELECT kept.restore(%s)", [found]).fetchone()
        if row != (True,):
            self._server.drop_database(self.url)
            self._begin()
        return contents in self._kept

    def keep(self, contents: str) -> None:
        """Remember what it holds now."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT kept.keep(%s)", [contents])
        self._kept.add(contents)

    def _begin(self) -> None:
        self.url = self._server.create_database(self._template)
        self._kept = {"template"}


def _program(name: str) -> Path:
    """The newest installed one; Debian keeps it off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which(name)
    if not found and on_path is None:
        pytest.fail(f"the tests start a PostgreSQL and found no {name}: apt-get install postgresql", pytrace=False)
    return found[-1] if found else Path(str(on_path))


def _as_postgres(command: list[object]) -> list[str]:
    """The command, ended by the kernel when the tests die, and as `postgres` where they run as root."""
    words = ["setpriv", "--pdeathsig", "QUIT"]
    if os.getuid() == 0:
        words += ["--reuid=postgres", "--regid=postgres", "--init-groups"]
    return [*words, "--", *map(str, command)]
