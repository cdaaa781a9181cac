"""One logging set-up for both services: a request id on every line, and no secret in any.

Lines look like `2026-01-31 12:00:00,000 INFO registry [3f9ac1d2] message`. Passwords, tokens and signed
query strings are struck out before a line is written, whoever wrote it.
"""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")

_SECRETS = (
    (re.compile(r"(signature=)[^,\s\"']+", re.IGNORECASE), r"\1…"),
    (re.compile(r"(\bauthorization['\"]?[\s:=]{1,3}token\s+).+", re.IGNORECASE), r"\1…"),
    (re.compile(r"\b(Basic\s+)[A-Za-z0-9+/=_-]+", re.IGNORECASE), r"\1…"),
    (re.compile(r"([?&](?:X-Amz-[A-Za-z-]+|Signature|temp_url_sig|sig)=)[^&\s\"']+", re.IGNORECASE), r"\1…"),
    (re.compile(r"([\"']?password[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^,\s}]+)", re.IGNORECASE), r"\1…"),
    (re.compile(r"(://[^/:@\s]+:)[^/@\s]+@"), r"\1…@"),
)


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def redact(text: str) -> str:
    """Strike out whatever a bearer could use."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class Formatter(logging.Formatter):
    """Lines without secrets, and one line a message."""

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = request_id.get()
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """What a client sent cannot end the line and begin another."""
        return super().formatMessage(record).translate(_CONTROLS)


def configure(service: str, level: str) -> None:
    """Log to standard error at `level` (a name of the logging module); call once, from the service's entry."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(f"%(asctime)s %(levelname)s {service} [%(request_id)s] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # urllib3 writes a line for every connection it opens.
    logging.getLogger("urllib3").setLevel(max(logging.WARNING, root.level))
