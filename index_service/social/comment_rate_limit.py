"""The rate limit on comments, per person; counted in the memory of one process, as for logins."""

from __future__ import annotations

import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from common.errors import TooMany


class CommentRateLimit:
    """Counts what each person writes within a moving window."""

    def __init__(self, rate: str) -> None:
        self._rate = parse(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def take(self, user_id: int) -> None:
        """Count a comment. Raises TooMany over the limit."""
        if not self._limiter.hit(self._rate, str(user_id)):
            reset, _ = self._limiter.get_window_stats(self._rate, str(user_id))
            raise TooMany("Too many comments, try again later", max(1, math.ceil(reset - time.time())))
