"""Answers about images that the nginx in front may keep for seconds, so that one serves many clients (deploy/nginx).

Seconds suffice for that, and are fewer than any signed URL in an answer lives.
"""

from __future__ import annotations

from common.names import ImageId
from registry_service.api.delivery import Answer
from registry_service.grants import Credentials, Gate

HEADER = "X-Accel-Expires"
"""For how many seconds nginx keeps an answer. It removes the header, and without one it keeps nothing."""

SECONDS = 5

_ROUNDING = 1
"""By how many seconds nginx, which counts whole ones, may keep an answer longer."""


class Sharing:
    """Tells nginx what it may keep. Its keys tell repositories and kinds of credentials apart, and no two tokens for
    reading the same repository: what it keeps is for everybody who names the repository."""

    def __init__(self, gate: Gate, *, is_fronted: bool) -> None:
        """`is_fronted`: nginx stands in front."""
        self._gate = gate
        self._is_fronted = is_fronted

    def allow(self, answer: Answer, credentials: Credentials, image: ImageId) -> None:
        """Let nginx keep an answer about an image, as far as anybody may have it."""
        if not self._is_fronted or not answer.is_shareable:
            return
        seconds = int(min(SECONDS, self._gate.public_seconds(credentials, image) - _ROUNDING))
        if seconds > 0:
            answer.headers.append((HEADER, str(seconds)))
