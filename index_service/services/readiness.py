"""Readiness: whether the index can answer, which takes its database."""

from __future__ import annotations

import time

from sqlalchemy import literal, select

from common.errors import Unavailable
from index_service.database import Database

CACHE_SECONDS = 1.0
"""Anybody may ask."""

_CHECK = select(literal(1))


class Readiness:
    """Reads from the database, at most once a second in each process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: dict[str, str] = {}
        self._checked = float("-inf")

    def failures(self) -> dict[str, str]:
        """Failures by service; empty if all is well. Registries are not asked: without them there is much to answer."""
        if time.monotonic() - self._checked > CACHE_SECONDS:
            self._found = self._check()
            self._checked = time.monotonic()
        return self._found

    def _check(self) -> dict[str, str]:
        try:
            with self._database.reading() as session:
                session.execute(_CHECK)
        except Unavailable as failure:
            return {"database": failure.message}
        return {}
