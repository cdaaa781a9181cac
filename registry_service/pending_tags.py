"""Changes of tags that an index could not be asked about: each is asked about once the index answers again.

The index decides who may change a tag, and is asked before the store is changed. Only while nobody can reach it a
change is let pass, for the token was good a moment ago. It is remembered here, in the process that made it, and asked
about every few seconds; what the index then refuses is undone, unless somebody has changed the tag since.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from common.agents import Agent
from common.errors import Failure, Unavailable
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.tags import Tags

RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTag:
    """A tag as it is now and as it was before, None where it is absent. `ask` asks the index for its consent."""

    repository: RepositoryName
    tag: Tag
    now: ImageId | None
    before: ImageId | None
    agent: Agent
    ask: Callable[[], None]


class PendingTags:
    """The pending changes of one process, the latest of each tag."""

    def __init__(self, tags: Tags, retry_seconds: float = RETRY_SECONDS) -> None:
        self._tags = tags
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._pending: dict[tuple[RepositoryName, Tag], PendingTag] = {}
        self._is_running = False

    def add(self, pending: PendingTag) -> None:
        """Remember a change that was let pass. Of a tag that was changed before, what it was at first counts."""
        key = pending.repository, pending.tag
        with self._lock:
            earlier = self._pending.get(key)
            self._pending[key] = replace(pending, before=earlier.before) if earlier else pending
            starts = not self._is_running
            self._is_running = True
        if starts:
            threading.Thread(target=self._run, daemon=True).start()

    def settle(self, repository: RepositoryName, tag: Tag) -> None:
        """The index has consented to a later change of the tag."""
        with self._lock:
            self._pending.pop((repository, tag), None)

    def _run(self) -> None:
        while True:
            time.sleep(self._retry_seconds)
            for pending in self._all():
                try:
                    self._retry(pending)
                except Exception:
                    # One tag keeps no other from being asked about.
                    logger.exception("%s:%s is asked about again", pending.repository, pending.tag)
            with self._lock:
                if not self._pending:
                    self._is_running = False
                    return

    def _all(self) -> list[PendingTag]:
        with self._lock:
            return list(self._pending.values())

    def _retry(self, pending: PendingTag) -> None:
        try:
            if self._is_current(pending):
                pending.ask()
        except Unavailable:
            # Neither an index nor a store that fails has decided anything.
            return
        except Failure as failure:
            logger.warning("The index refused %s:%s: %s", pending.repository, pending.tag, failure.message)
            self._undo(pending)
        self._forget(pending)

    def _undo(self, pending: PendingTag) -> None:
        with suppress(Failure):
            if self._is_current(pending):
                self._tags.change(pending.repository, pending.tag, pending.before, pending.agent)

    def _is_current(self, pending: PendingTag) -> bool:
        return self._tags.find(pending.repository, pending.tag) == pending.now

    def _forget(self, pending: PendingTag) -> None:
        key = pending.repository, pending.tag
        with self._lock:
            if self._pending.get(key) is pending:
                del self._pending[key]
