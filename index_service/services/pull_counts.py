"""Flushing of pull counts from this process to the database."""

from __future__ import annotations

from index_service.database import Database
from index_service.repositories import pulls
from index_service.repositories.pulls import PullCounter


class PullCounts:
    """The counts that worker processes flush every few seconds, and before they end."""

    def __init__(self, database: Database, counted: PullCounter) -> None:
        self._database = database
        self._pulls = counted

    def flush(self) -> None:
        """Flush the counted pulls to the database. Raises Unavailable, without losing any."""
        counted = self._pulls.drain()
        if not counted:
            return
        try:
            with self._database.writing(is_lasting=False) as session:
                pulls.record(session, counted)
        except BaseException:
            self._pulls.restore(counted)
            raise
