"""Pulls that this process counted, brought into the database."""

from __future__ import annotations

from index_service.database import Database
from index_service.repositories import pulls
from index_service.repositories.pulls import Pulls


class PullCounts:
    """What serving processes write every few seconds, and before they end."""

    def __init__(self, database: Database, counted: Pulls) -> None:
        self._database = database
        self._pulls = counted

    def write(self) -> None:
        """Bring the pulls that this process counted into the database. Raises Unavailable, and has lost none."""
        counted = self._pulls.taken()
        if not counted:
            return
        try:
            with self._database.writing() as session:
                pulls.record(session, counted)
        except BaseException:
            self._pulls.put_back(counted)
            raise
