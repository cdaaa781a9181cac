"""Exclusive creation by bakery-style mutual exclusion, where a store has no conditional PUT or lets several pass it.

Whoever wants to create a path puts an empty candidate beside those of all others, and lists them. Alone, it writes the
path unless it is there, and takes its candidate away. Not alone, the one of the least name waits and all others
withdraw. These watch for the path, and come back under another name when nobody stands and it is still not there.

Why only one creates: of two whose candidates stand at once, the one that listed later saw the other, unless that one
was done; then the path was written before its candidate went, and is found. All this asks of the store is that a
listing shows whatever was put before.

A process may die with its candidate standing. One older than its lifetime counts as dead and is cleared away, by the
store's own clock. Should its process live after all, it finds its candidate gone when it has written, and fails.

`ExclusiveCreate` is the protocol. Two stores have a transport for it: `DriverCandidates`, through the plain operations
of any driver, and Swift's, which writes on condition as well and keeps candidates where its other records are.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from registry_service.storage.driver import Driver, PathNotFound, StorageFailure, StorageProblem, names_below

FOLDER = "_exclusive"
"""Where in a driver's store candidates stand."""

LIFETIME_SECONDS = 600.0
"""Age at which a candidate counts as left by a process that died."""

PATIENCE_SECONDS = 20.0
"""How long a create waits for others to be done."""

_POLL_SECONDS = 0.04
_LONGEST_POLL_SECONDS = 0.25
_LONGEST_FIRST_POLL_SECONDS = 0.1
"""For the one that all others wait for."""

_POLLS_A_LISTING = 3
"""Those who wait look for the path, which is cheap, and one time in so many for who stands, which is not."""


class CandidateStore(ABC):
    """What the protocol asks of a store."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether the path has a content."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> bool:
        """Write the path, unless it is there; whether it was written. Nobody else's candidate is writing meanwhile."""

    @abstractmethod
    def enter(self, path: str) -> str:
        """Put a new candidate for the path; returns its name."""

    @abstractmethod
    def standing(self, path: str) -> Mapping[str, float | None]:
        """All candidates for the path, each with when it was put, by the store's clock, where a listing tells."""

    @abstractmethod
    def entered_at(self, path: str, candidate: str) -> float:
        """When a candidate was put, by the store's clock. Raises PathNotFound."""

    @abstractmethod
    def withdraw(self, path: str, candidate: str) -> None:
        """Take a candidate away, if it is there."""


class ExclusiveCreate:
    """Creates paths of one store, each once."""

    def __init__(
        self,
        store: CandidateStore,
        *,
        lifetime_seconds: float = LIFETIME_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._lifetime_seconds = lifetime_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._sleep = sleep

    def create(self, path: str, content: bytes) -> bool:
        """As `Driver.create`. Raises StorageFailure when others neither write nor go."""
        deadline = self._clock() + self._patience_seconds
        is_there = self._store.exists(path)
        while not is_there:
            mine = _Candidate(self._store.enter(path), self._clock())
            ahead = self._stand(path, mine, deadline)
            if ahead is None:
                return self._write(path, content, mine)
            self._store.withdraw(path, mine.name)
            if self._clock() > deadline:
                raise StorageFailure(path, "another creation of it has not ended")
            is_there = self._await(path, ahead, deadline)
        return False

    def _stand(self, path: str, mine: _Candidate, deadline: float) -> _Candidate | None:
        """Wait with a candidate; None once it is the only one, else the other to withdraw for."""
        try:
            return self._wait(path, mine, deadline)
        except StorageProblem:
            with suppress(StorageProblem):
                self._store.withdraw(path, mine.name)
            raise

    def _wait(self, path: str, mine: _Candidate, deadline: float) -> _Candidate | None:
        polls = _polls(_LONGEST_FIRST_POLL_SECONDS)
        # Once it is old itself it comes back as a young one: nobody shall think that it is dead.
        oldest = mine.entered + self._lifetime_seconds / 2
        while len(standing := self._store.standing(path)) > (mine.name in standing):
            first = self._first(path, standing, mine)
            if self._dies(first) < self._clock():
                self._store.withdraw(path, first.name)
            elif first.name < mine.name or self._clock() > min(deadline, oldest):
                return first
            else:
                self._sleep(next(polls))
        return None

    def _first(self, path: str, standing: Mapping[str, float | None], mine: _Candidate) -> _Candidate:
        """Of the others the one of the least name."""
        name = min(standing.keys() - {mine.name})
        try:
            if mine.entered_at is None:
                mine.entered_at = standing.get(mine.name) or self._store.entered_at(path, mine.name)
            entered_at = standing[name] or self._store.entered_at(path, name)
        except PathNotFound:
            # It has just gone, or mine has: the next listing tells.
            return _Candidate(name, self._clock())
        return _Candidate(name, entered_at - mine.entered_at + mine.entered)

    def _dies(self, candidate: _Candidate) -> float:
        return candidate.entered + self._lifetime_seconds

    def _await(self, path: str, ahead: _Candidate, deadline: float) -> bool:
        """Wait until the path is there, and say so; or until nobody stands, or whoever is ahead counts as dead.

        To come back before that would only make others wait in turn.
        """
        polls = enumerate(_polls(_LONGEST_POLL_SECONDS), 1)
        while self._clock() <= min(deadline, self._dies(ahead)):
            poll, pause = next(polls)
            self._sleep(pause)
            if self._store.exists(path):
                return True
            if poll % _POLLS_A_LISTING == 0 and not self._store.standing(path):
                break
        return False

    def _write(self, path: str, content: bytes, mine: _Candidate) -> bool:
        """Where this fails the candidate stays until it is too old: the write may yet be done."""
        created = self._store.write(path, content)
        if created and mine.name not in self._store.standing(path):
            raise StorageFailure(path, "its creation took so long that others took its creator for dead")
        self._store.withdraw(path, mine.name)
        return created


class _Candidate:
    """Its name, and when it was put, by our clock and, of ours once that was asked for, by the store's."""

    def __init__(self, name: str, entered: float) -> None:
        self.name = name
        self.entered = entered
        self.entered_at: float | None = None


def _polls(longest_pause: float) -> Iterator[float]:
    """Pauses between looks: they grow, and are uneven, so that those who look do not do so all at once."""
    longest = _POLL_SECONDS
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - jitter, guards nothing
        longest = min(2 * longest, longest_pause)


class DriverCandidates(CandidateStore):
    """Candidates as contents of any driver whose `list` shows what its `put` has put."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def exists(self, path: str) -> bool:
        try:
            self._driver.stat(path)
        except PathNotFound:
            return False
        return True

    def write(self, path: str, content: bytes) -> bool:
        if self.exists(path):
            return False
        self._driver.put(path, content)
        return True

    def enter(self, path: str) -> str:
        candidate = secrets.token_hex(16)
        self._driver.put(f"{_folder(path)}/{candidate}", b"")
        return candidate

    def standing(self, path: str) -> Mapping[str, float | None]:
        return dict.fromkeys(names_below(self._driver, _folder(path)))

    def entered_at(self, path: str, candidate: str) -> float:
        return self._driver.stat(f"{_folder(path)}/{candidate}").modified

    def withdraw(self, path: str, candidate: str) -> None:
        with suppress(PathNotFound):
            self._driver.delete(f"{_folder(path)}/{candidate}")


def _folder(path: str) -> str:
    return f"{FOLDER}/{hashlib.sha256(path.encode()).hexdigest()}"
