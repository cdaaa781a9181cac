"""Claims: of all processes that want to change one thing in the store, one may.

A claim is a content made exclusively at an agreed path. It says what for and who made it, so that one whose
owner died does not bar the way for ever: the next comer takes over by making, exclusively again, a successor
named after the dead claim's content. Whoever made the last of the chain holds the claim; taking over
is therefore as atomic as claiming, and the path is never without a content from claim to release.
"""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from registry_service.graph.processes import Process
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound

STALE_SECONDS = 600.0
"""A claim this old is dead, whatever is known of its owner; publishing takes milliseconds, or one server-side copy."""

POLL_SECONDS = 0.05
"""How long one who waits for a claim sleeps between two looks."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim held. `inherited` tells that it took over from a mark that was no claim, as docker-registry's are."""

    path: str
    content: bytes
    inherited: bool


class Claims:
    """Makes, takes over and releases claims in one store."""

    def __init__(self, driver: Driver, stale_seconds: float = STALE_SECONDS) -> None:
        self._driver = driver
        self._stale_seconds = stale_seconds

    def take(self, path: str, subject: str) -> Claim | None:
        """Claim a path, or None while somebody else does. `subject` says what for.

        A claim of unknown ownership is taken over only for the same subject: both may then do the same thing.
        """
        mine = _write(subject)
        if self._driver.create(path, mine):
            return Claim(path, mine, inherited=False)
        chain = self._chain(path)
        if not chain or not self._may_take_over(chain[-1], subject):
            return None
        if self._driver.create(paths.successor(path, chain[-1]), mine):
            return Claim(path, mine, inherited=_read(chain[0]) is None)
        return None

    def holds(self, claim: Claim) -> bool:
        """Whether nobody took over meanwhile."""
        return self._chain(claim.path)[-1:] == [claim.content]

    def renew(self, claim: Claim, subject: str) -> Claim | None:
        """Hold on to a claim before it grows stale, by taking over from oneself; None where somebody else did."""
        mine = _write(subject)
        if not self._driver.create(paths.successor(claim.path, claim.content), mine):
            return None
        return Claim(claim.path, mine, claim.inherited)

    def holder(self, path: str) -> tuple[str, Process] | None:
        """What a path is claimed for, and by whom; None where it is not, or by a mark that is no claim of ours."""
        chain = self._chain(path)
        claim = _read(chain[-1]) if chain else None
        return None if claim is None else (claim["subject"], Process(**claim["owner"]))

    def release(self, claim: Claim) -> None:
        """Let the next one in. What the claim took over from goes too."""
        successors = [paths.successor(claim.path, content) for content in self._chain(claim.path)]
        for path in (claim.path, *successors):
            with suppress(PathNotFound):
                self._driver.delete(path)

    def _chain(self, path: str) -> list[bytes]:
        chain: list[bytes] = []
        with suppress(PathNotFound):
            while True:
                chain.append(self._driver.get(paths.successor(path, chain[-1]) if chain else path))
        return chain

    def _may_take_over(self, content: bytes, subject: str) -> bool:
        claim = _read(content)
        if claim is None or time.time() - claim["since"] > self._stale_seconds:
            return True
        running = Process(**claim["owner"]).is_running()
        return not running if running is not None else claim["subject"] == subject


def _write(subject: str) -> bytes:
    owner = asdict(Process.this())
    claim = {"subject": subject, "owner": owner, "since": int(time.time()), "nonce": secrets.token_hex(8)}
    return json.dumps(claim).encode()


def is_claim(content: bytes) -> bool:
    """Whether a mark is a claim of ours, and not docker-registry's."""
    return _read(content) is not None


def _read(content: bytes) -> dict[str, Any] | None:
    """None for a mark that is no claim of ours."""
    try:
        claim = json.loads(content)
    except ValueError:
        return None
    return claim if isinstance(claim, dict) else None
