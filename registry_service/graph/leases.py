"""Leases: locks in the store, by which one process of all changes a thing at a time.

A lease is an object created exclusively at an agreed path. It records its subject and its owner, so that a lease whose
owner has died does not block the path for ever: another process takes it over by creating, exclusively again, a
successor named after the content of the dead lease. The owner of the last lease of that chain holds the lock, and the
chain fences off all earlier owners (`holds`). Taking over is therefore as atomic as acquiring, and the path is never
without an object from `acquire` to `release`.

An owner in another container may be alive or dead: one that was killed and started again has a process namespace of its
own. Whoever waits for such an owner watches it by its own clock, which is that of nobody else.
"""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from common.cache import Cache
from registry_service.graph.processes import Process
from registry_service.storage import paths
from registry_service.storage.driver import Driver, PathNotFound

STALE_SECONDS = 600.0
"""A lease this old has expired, even if its owner runs; publishing takes milliseconds, or one server-side copy."""

POLL_SECONDS = 0.05
"""Pause between two attempts to acquire a lease."""

_WATCHED = 4096


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease held. `inherited`: taken over from a mark without an owner, as docker-registry leaves them."""

    path: str
    content: bytes
    inherited: bool


class Leases:
    """Acquires, takes over, renews and releases leases in one store."""

    def __init__(
        self, driver: Driver, stale_seconds: float = STALE_SECONDS, *, unknown_seconds: float | None = None
    ) -> None:
        """`unknown_seconds`: how long to watch an owner of whom it cannot be known whether it runs, before its lease
        counts as left; None to wait until it is stale."""
        self._driver = driver
        self._stale_seconds = stale_seconds
        self._unknown_seconds = unknown_seconds
        self._watched: Cache[bytes, float] = Cache(_WATCHED, stale_seconds)

    def acquire(self, path: str, subject: str) -> Lease | None:
        """Acquire the lease of a path for `subject`; None while another process holds it.

        Where it cannot be known whether the owner runs, a lease is taken over at once only for the same subject: both
        owners may then do the same thing.
        """
        mine = _write(subject)
        if self._driver.create(path, mine):
            return Lease(path, mine, inherited=False)
        chain = self._chain(path)
        if not chain or not self._may_take_over(chain[-1], subject):
            return None
        if self._driver.create(paths.successor(path, chain[-1]), mine):
            return Lease(path, mine, inherited=_read(chain[0]) is None)
        return None

    def holds(self, lease: Lease) -> bool:
        """Whether no other process has taken the lease over."""
        return self._chain(lease.path)[-1:] == [lease.content]

    def renew(self, lease: Lease, subject: str) -> Lease | None:
        """Renew a lease before it expires, by succeeding oneself; None where another process has taken it over."""
        mine = _write(subject)
        if not self._driver.create(paths.successor(lease.path, lease.content), mine):
            return None
        return Lease(lease.path, mine, lease.inherited)

    def holder(self, path: str) -> tuple[str, Process] | None:
        """Subject and owner of a path's lease; None without one, or for a mark of docker-registry."""
        chain = self._chain(path)
        lease = _read(chain[-1]) if chain else None
        return None if lease is None else (lease["subject"], Process(**lease["owner"]))

    def release(self, lease: Lease) -> None:
        """Release the lease, and delete the ones it succeeded. Nothing happens where it was taken over."""
        chain = self._chain(lease.path)
        if chain[-1:] != [lease.content]:
            return
        for path in self._places(lease.path, chain):
            with suppress(PathNotFound):
                self._driver.delete(path)

    def drop_orphans(self, lease: Lease) -> None:
        """Delete what leads from no mark any more: a process was killed while it released a lease of the same path."""
        places = self._places(lease.path, self._chain(lease.path))
        above, _, name = lease.path.rpartition("/")
        for entry in list(self._driver.list(above)):
            if entry.startswith(f"{name}.") and f"{above}/{entry}" not in places:
                with suppress(PathNotFound):
                    self._driver.delete(f"{above}/{entry}")

    def _places(self, path: str, chain: list[bytes]) -> list[str]:
        """Where the leases of a chain are, and where the next one would be."""
        return [path, *(paths.successor(path, content) for content in chain)]

    def _chain(self, path: str) -> list[bytes]:
        chain: list[bytes] = []
        with suppress(PathNotFound):
            while True:
                chain.append(self._driver.get(paths.successor(path, chain[-1]) if chain else path))
        return chain

    def _may_take_over(self, content: bytes, subject: str) -> bool:
        lease = _read(content)
        if lease is None or time.time() - lease["since"] > self._stale_seconds:
            return True
        running = Process(**lease["owner"]).is_running()
        if running is not None:
            return not running
        return lease["subject"] == subject or self._is_left(content)

    def _is_left(self, content: bytes) -> bool:
        """Whether a lease has been seen here, unchanged, for long enough. Its content is unique."""
        if self._unknown_seconds is None:
            return False
        now = time.monotonic()
        since = self._watched.get(content)
        if since is None:
            self._watched.put(content, now)
            return False
        return now - since > self._unknown_seconds


def _write(subject: str) -> bytes:
    owner = asdict(Process.this())
    lease = {"subject": subject, "owner": owner, "since": int(time.time()), "nonce": secrets.token_hex(8)}
    return json.dumps(lease).encode()


def is_lease(content: bytes) -> bool:
    """Whether a mark is a lease, and not one of docker-registry's."""
    return _read(content) is not None


def _read(content: bytes) -> dict[str, Any] | None:
    """None for a mark that is not a lease."""
    try:
        lease = json.loads(content)
    except ValueError:
        return None
    return lease if isinstance(lease, dict) else None
