"""Changes of tags that an index could not be asked about: each is asked about once the index answers again.

The index decides who may change a tag, and is asked before the store is changed. Only while nobody can reach it a
change is let pass, for the token was good a moment ago. It is recorded in the store before it is made, with the token,
sealed; one process at a time asks about all records every few seconds, whichever made the changes, and what the index
then refuses is undone, unless somebody has changed the tag since. A tag has one record: the latest change, and what the
tag was before the first. It ends when the index has answered, or has consented to a later change.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, Protocol

from common.agents import Agent
from common.errors import Failure, Invalid, NotFound, Unavailable
from common.names import ImageId, RepositoryName, Tag
from registry_service.graph.leases import Leases
from registry_service.graph.tags import Tags
from registry_service.index_client import IndexUnreachable
from registry_service.seal import Seal
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound, names_below

RETRY_SECONDS = 2.0
"""How often the index is asked while there are records."""

LOOK_SECONDS = 60.0
"""How often a process looks for records of others."""

UNMADE_SECONDS = 60.0
"""A change may be recorded and not yet made for so long; later, a tag that differs was changed by somebody else."""

UNREADABLE_SECONDS = 86400.0
"""How long a record is left to registries with other keys; by then its token has expired."""

_UNKNOWN_SECONDS = 30.0

logger = logging.getLogger(__name__)


class Consent(Protocol):
    """The index, as far as it is asked about tags."""

    def set_tag(self, repository: RepositoryName, tag: Tag, image: ImageId, authorization: str) -> None: ...

    def delete_tag(self, repository: RepositoryName, tag: Tag, authorization: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChange:
    """A tag as it is to be and as it was before, None where it is absent. `agent` is who changes it."""

    repository: RepositoryName
    tag: Tag
    now: ImageId | None
    before: ImageId | None
    agent: Agent


@dataclass(frozen=True, slots=True)
class _Record:
    """A change at its path, with its sealed token and when it was recorded, epoch seconds."""

    path: str
    change: TagChange
    token: str
    since: float


class PendingTags:
    """The pending changes of one store."""

    def __init__(
        self,
        driver: Driver,
        tags: Tags,
        index: Consent,
        secret_keys: Sequence[str],
        *,
        retry_seconds: float = RETRY_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`secret_keys`: the first seals tokens, all open them."""
        self._driver = driver
        self._tags = tags
        self._index = index
        self._seal = Seal(secret_keys)
        self._retry_seconds = retry_seconds
        self._look_seconds = look_seconds
        self._leases = Leases(driver, unknown_seconds=_UNKNOWN_SECONDS)
        self._added = threading.Event()

    def start(self) -> None:
        """Ask about what is recorded, from now on; once per process, which may end at any moment without harm."""
        threading.Thread(target=self._run, name="pending tags", daemon=True).start()

    def add(self, change: TagChange, authorization: str) -> None:
        """Record a change that is let pass, before it is made. `authorization` is its token, as a header."""
        earlier = list(self._records(paths.pending_tag(change.repository, change.tag)))
        first = min(earlier, key=_since, default=None)
        if first is not None:
            change = replace(change, before=first.change.before)
        path = f"{paths.PENDING}/{paths.pending_tag(change.repository, change.tag)}{secrets.token_hex(8)}"
        self._driver.put(path, _write(change, self._seal.seal(authorization)))
        self._drop(earlier)
        self._added.set()

    def settle(self, repository: RepositoryName, tag: Tag) -> None:
        """The index has consented to a later change of the tag."""
        self._drop(self._records(paths.pending_tag(repository, tag)))

    def retry(self) -> bool:
        """Ask about all that is recorded, unless another process does; whether anything was."""
        if not self._names(""):
            return False
        lease = self._leases.acquire(paths.PENDING_CLAIM, secrets.token_hex(8))
        if lease is not None:
            try:
                self._retry_all()
            except IndexUnreachable:
                """Nobody answers: neither would it be otherwise about the next."""
            finally:
                self._leases.release(lease)
        return True

    def _run(self) -> None:
        while True:
            pause = self._retry_seconds
            try:
                if not self.retry():
                    pause = self._look_seconds
            except Exception:
                logger.exception("pending tags")
            if self._added.wait(pause):
                self._added.clear()
                time.sleep(self._retry_seconds)

    def _retry_all(self) -> None:
        records = sorted(self._records(""), key=_tag)
        for (repository, tag), several in groupby(records, _tag):
            try:
                self._retry(sorted(several, key=_since))
            except IndexUnreachable:
                raise
            except Unavailable as failure:
                # Neither an index nor a store that fails has decided anything.
                logger.warning("%s:%s is asked about again: %s", repository, tag, failure.message)
            except Exception:
                # One tag keeps no other from being asked about.
                logger.exception("%s:%s is asked about again", repository, tag)

    def _retry(self, records: list[_Record]) -> None:
        """The records of one tag, the latest last; more than one if a process was killed, or several add at once."""
        last, age = records[-1], time.time() - records[-1].since
        change = replace(last.change, before=records[0].change.before)
        token = self._seal.open(last.token)
        if token is None and age < UNREADABLE_SECONDS:
            return
        if self._is_current(change):
            try:
                self._ask(change, token or "")
            except Unavailable:
                raise
            except Failure as failure:
                logger.warning("The index refused %s:%s: %s", change.repository, change.tag, failure.message)
                self._undo(change)
        elif age < UNMADE_SECONDS:
            return
        self._drop(records)

    def _ask(self, change: TagChange, authorization: str) -> None:
        if change.now is None:
            self._index.delete_tag(change.repository, change.tag, authorization)
        else:
            self._index.set_tag(change.repository, change.tag, change.now, authorization)

    def _undo(self, change: TagChange) -> None:
        if self._is_current(change):
            with suppress(NotFound):
                self._tags.change(change.repository, change.tag, change.before, change.agent)

    def _is_current(self, change: TagChange) -> bool:
        return self._tags.find(change.repository, change.tag) == change.now

    def _records(self, prefix: str) -> Iterator[_Record]:
        for name in self._names(prefix):
            path = f"{paths.PENDING}/{name}"
            try:
                yield _read(path, json.loads(self._driver.get(path)))
            except PathNotFound:
                continue
            except (ValueError, TypeError, KeyError, Invalid, NotFound) as error:
                logger.warning("%s cannot be read: %r", path, error)

    def _names(self, prefix: str) -> list[str]:
        return [name for name in names_below(self._driver, paths.PENDING) if name.startswith(prefix)]

    def _drop(self, records: Iterator[_Record] | list[_Record]) -> None:
        for record in records:
            with suppress(PathNotFound):
                self._driver.delete(record.path)


def _tag(record: _Record) -> tuple[RepositoryName, Tag]:
    return record.change.repository, record.change.tag


def _since(record: _Record) -> float:
    return record.since


def _write(change: TagChange, token: str) -> bytes:
    fields = asdict(change) | {"repository": str(change.repository), "token": token, "since": time.time()}
    return json.dumps(fields).encode()


def _read(path: str, stored: dict[str, Any]) -> _Record:
    now, before = (None if stored[key] is None else ImageId(stored[key]) for key in ("now", "before"))
    change = TagChange(
        repository=RepositoryName.parse(stored["repository"]),
        tag=Tag(stored["tag"]),
        now=now,
        before=before,
        agent=Agent(**stored["agent"]),
    )
    return _Record(path, change, stored["token"], stored["since"])
