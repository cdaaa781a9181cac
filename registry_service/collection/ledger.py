"""What one collection knows of a store's images: in a temporary database, which grows on the disk and not in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

_CACHE_KIB = 16 * 1024

_SCHEMA = """
CREATE TABLE reached (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE expanded (root TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE present (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE stones (path TEXT PRIMARY KEY, is_ripe INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sizes (path TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE spaces (repository TEXT PRIMARY KEY, before INTEGER NOT NULL, after INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE listed (path TEXT, repository TEXT, PRIMARY KEY (path, repository)) WITHOUT ROWID;
"""


class Ledger:
    """Sets of paths of images, and sums. Nothing in it outlives the collection: the store has the truth."""

    def __init__(self) -> None:
        # An empty name is a database of its own in a temporary file, which SQLite removes.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def reach(self, paths: Iterable[str]) -> None:
        self._database.executemany("INSERT OR IGNORE INTO reached VALUES (?)", ((path,) for path in paths))

    def is_reached(self, path: str) -> bool:
        return self._has("SELECT 1 FROM reached WHERE path = ?", path)

    def expand(self, root: str) -> None:
        """That all which a root reaches is recorded."""
        self._database.execute("INSERT OR IGNORE INTO expanded VALUES (?)", (root,))

    def is_expanded(self, root: str) -> bool:
        return self._has("SELECT 1 FROM expanded WHERE root = ?", root)

    def find(self, path: str) -> None:
        """That an image, or something of it, is there."""
        self._database.execute("INSERT OR IGNORE INTO present VALUES (?)", (path,))

    def lose(self, path: str) -> None:
        self._database.execute("DELETE FROM present WHERE path = ?", (path,))

    def is_present(self, path: str) -> bool:
        return self._has("SELECT 1 FROM present WHERE path = ?", path)

    def condemn(self, path: str, *, is_ripe: bool) -> None:
        """That a stone stands for an image; `is_ripe` since a grace period ago."""
        self._database.execute("INSERT OR REPLACE INTO stones VALUES (?, ?)", (path, is_ripe))

    def is_condemned(self, path: str) -> bool:
        return self._has("SELECT 1 FROM stones WHERE path = ?", path)

    def ripe(self, after: str, most: int) -> list[str]:
        """So many at most of the images condemned a grace period ago, by path, after a path."""
        rows = self._database.execute(
            "SELECT path FROM stones WHERE is_ripe AND path > ? ORDER BY path LIMIT ?", (after, most)
        )
        return [path for (path,) in rows]

    def unreached(self) -> Iterator[str]:
        """The images that are there and not reached, by path. Others may be read and written meanwhile."""
        unreached = "SELECT path FROM present WHERE path > ? AND path NOT IN (SELECT path FROM reached)"
        after = ""
        while batch := self._database.execute(f"{unreached} ORDER BY path LIMIT 1000", (after,)).fetchall():
            after = batch[-1][0]
            yield from (path for (path,) in batch)

    def counts(self) -> tuple[int, int]:
        """How many images are there, and how many of these are reached."""
        present = self._database.execute("SELECT count(*) FROM present").fetchone()[0]
        reached = self._database.execute("SELECT count(*) FROM present WHERE path IN (SELECT path FROM reached)")
        return present, reached.fetchone()[0]

    def size(self, path: str) -> int | None:
        row = self._database.execute("SELECT size FROM sizes WHERE path = ?", (path,)).fetchone()
        return None if row is None else int(row[0])

    def measure(self, path: str, size: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO sizes VALUES (?, ?)", (path, size))

    def count_space(self, repository: str, size: int, listed: Iterable[str]) -> None:
        """What a repository has, in bytes, and which images of it nothing reaches."""
        self._database.execute("INSERT OR REPLACE INTO spaces VALUES (?, ?, ?)", (repository, size, size))
        self._database.executemany(
            "INSERT OR IGNORE INTO listed VALUES (?, ?)", ((path, repository) for path in listed)
        )

    def free(self, path: str, size: int) -> None:
        """That an image was deleted, so much of which each repository had that listed it."""
        self._database.execute(
            "UPDATE spaces SET after = after - ? WHERE repository IN (SELECT repository FROM listed WHERE path = ?)",
            (size, path),
        )

    def spaces(self) -> Iterator[tuple[str, int, int]]:
        """Bytes of each repository before and after, by name."""
        yield from self._database.execute("SELECT repository, before, after FROM spaces ORDER BY repository")

    def _has(self, statement: str, value: str) -> bool:
        return self._database.execute(statement, (value,)).fetchone() is not None
