"""What tokens for reading state, as far as this registry believes it without asking the index.

It knows the public keys and the clock of the index for as long as it would believe a statement: a key that the index
gives up ends here as soon, and clocks that differ make no token live longer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from common.errors import Unavailable
from common.statements import NotStated, PublicKeys, Statement, is_statement
from common.tokens import Token, authorization
from registry_service.index_client import IndexClient

RETRY_SECONDS = 5.0
"""How long an index is not asked again that told no keys, as one of an earlier version."""

logger = logging.getLogger(__name__)


class Stated(NamedTuple):
    """A statement, and when it is no longer believed, in seconds since the epoch by the clock of this registry."""

    statement: Statement
    expires: float


class _Known(NamedTuple):
    """The keys of the index, by how many seconds its clock is ahead, and until when both are believed."""

    keys: PublicKeys
    ahead: float
    expires: float


class StatedTokens:
    """Reads tokens for one gate; it is believed what a token states for `seconds` from the moment it was issued."""

    def __init__(self, index: IndexClient, seconds: float, clock: Callable[[], float]) -> None:
        self._index = index
        self._seconds = seconds
        self._clock = clock
        self._known = _Known(PublicKeys(), 0.0, 0.0)
        self._lock = threading.Lock()

    def read(self, token: Token) -> Stated | None:
        """None for a token that states nothing, or nothing that is believed: the index says what it is worth."""
        if not is_statement(token):
            return None
        known = self._current(token)
        try:
            statement = known.keys.read(token)
        except NotStated:
            return None
        now, until = self._clock(), min(statement.issued_at / 1e6 + self._seconds, statement.expires_at / 1e6)
        # No token is younger than just issued, whatever has become of the clocks since they were compared.
        until = min(until - known.ahead, now + self._seconds)
        return Stated(statement, until) if now < until else None

    def _current(self, token: Token) -> _Known:
        if self._known.expires <= self._clock():
            # Others wait for the one that asks.
            with self._lock:
                if self._known.expires <= self._clock():
                    self._known = self._learn(token)
        return self._known

    def _learn(self, token: Token) -> _Known:
        asked_at = self._clock()
        try:
            keys, now = self._index.token_keys(authorization([token]))
        except Unavailable as failure:
            logger.info("the keys of tokens are not known: %s", failure.message)
            return _Known(PublicKeys(), 0.0, asked_at + RETRY_SECONDS)
        # Counted from before the question: an answer that took long makes tokens older, never younger.
        return _Known(keys, now - asked_at, asked_at + self._seconds)
