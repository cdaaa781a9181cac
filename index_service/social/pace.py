"""How much one person may write in a while; counted in the memory of one process, as attempts are."""

from __future__ import annotations

import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from common.errors import TooMany


class Pace:
    """Counts what people write within a moving window."""

    def __init__(self, rate: str) -> None:
        self._rate = parse(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def take(self, user_id: int) -> None:
        """One more. Raises TooMany where that is too soon."""
        if not self._limiter.hit(self._rate, str(user_id)):
            reset, _ = self._limiter.get_window_stats(self._rate, str(user_id))
            raise TooMany("You write too much at once, try again later", max(1, math.ceil(reset - time.time())))
