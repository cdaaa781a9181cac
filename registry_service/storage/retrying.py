"""Retry with exponential backoff, full jitter and a deadline, for everything that speaks to a store over a network.

A store that is overloaded or restarting, and a connection that broke, are worth another attempt in a moment. What is
transient is defined here, once; a driver whose store has more to say adds to it by name (`RetryPolicy.also_transient`).

    backoff     the longest pause doubles with each failure, up to MAX_BACKOFF_SECONDS
    jitter      a pause is anything from nothing to that, so that many clients do not come back at the same moment
    deadline    no attempt begins later than DEADLINE_SECONDS after the first

Forty lines of our own rather than tenacity: every pause of a store's driver is visible here, a retry costs one object
on a path that is measured in microseconds, and readers that resume need the same pauses without a function to call.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TypeVar

from urllib3.exceptions import HTTPError

from registry_service.storage.driver import StorageFailure

BACKOFF_SECONDS = 0.2
"""The longest pause after the first failure; half of it on average."""

MAX_BACKOFF_SECONDS = 8.0

DEADLINE_SECONDS = 300.0
"""Five attempts fit in at a store that is silent for the 60 seconds each of them waits by default."""

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Answers of a store that may answer otherwise in a moment: too slow, too busy, failing, or behind such a gateway."""

BROKEN = (OSError, HTTPException, HTTPError)
"""What is raised where a connection broke or cannot be had; `requests` raises OSErrors."""

T = TypeVar("T")


class Refused(StorageFailure):
    """The store answered, and not as asked. `attempt` counts from 1; above it, an earlier answer may have been lost."""

    def __init__(self, path: str, status: int, *, attempt: int = 1, code: str = "", store: str = "the store") -> None:
        self.status = status
        self.code = code
        self.attempt = attempt
        said = f"{store} answers {status} {code}".rstrip()
        super().__init__(path, f"{said} at attempt {attempt}" if attempt > 1 else said)


class NoAnswer(StorageFailure):
    """The store did not answer, or its answer broke off."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often something is attempted, and after which failures."""

    attempts: int
    also_transient: Collection[int | str] = ()
    """Statuses and codes that are transient at this store besides TRANSIENT_STATUSES."""

    backoff_seconds: float = field(default_factory=lambda: BACKOFF_SECONDS)

    def call(self, act: Callable[[int], T], is_transient: Callable[[Exception], bool] | None = None) -> T:
        """Call `act` with the number of the attempt, from 1, until it succeeds. Raises what the last attempt raised."""
        is_transient = is_transient or self.is_transient
        retries = Retries(self)
        while True:
            try:
                return act(retries.failures + 1)
            except Exception as error:
                if not is_transient(error) or not retries.wait():
                    raise

    def is_transient(self, error: Exception) -> bool:
        """Whether the same request may be answered otherwise in a moment."""
        if isinstance(error, Refused):
            also = error.status in self.also_transient or error.code in self.also_transient
            return also or error.status in TRANSIENT_STATUSES
        return isinstance(error, NoAnswer)


class Retries:
    """The failures of one thing that is attempted under a policy."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._deadline = time.monotonic() + DEADLINE_SECONDS
        self.failures = 0

    def wait(self) -> bool:
        """After a failure: whether there is to be another attempt, having paused before it."""
        self.failures += 1
        if self.failures >= self._policy.attempts:
            return False
        pause = self._pause()
        if time.monotonic() + pause > self._deadline:
            return False
        time.sleep(pause)
        return True

    def _pause(self) -> float:
        most = min(MAX_BACKOFF_SECONDS, self._policy.backoff_seconds * 2.0 ** (self.failures - 1))
        return random.uniform(0, most)  # noqa: S311 - spreads attempts, guards nothing
