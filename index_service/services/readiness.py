"""Readiness: whether the index can answer, which takes its database."""

from __future__ import annotations

from sqlalchemy import literal, select

from common.cache import Cached
from common.errors import Unavailable
from index_service.database import Database

CACHE_SECONDS = 1.0
"""Anybody may ask."""

_CHECK = select(literal(1))


class Readiness:
    """Reads from the database, at most once a second in each process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checked = Cached(self._check, CACHE_SECONDS)

    def failures(self) -> dict[str, str]:
        """Failures by service; empty if all is well. Registries are not asked: without them there is much to answer."""
        return self._checked.get()

    def _check(self) -> dict[str, str]:
        try:
            with self._database.reading() as session:
                session.execute(_CHECK)
        except Unavailable as failure:
            return {"database": failure.message}
        return {}
