"""One logging set-up for both services: a request id on every line, and no secret in any.

Lines look like `2026-01-31 12:00:00,000 INFO registry [3f9ac1d2] message`. Passwords, tokens and signed
query strings are struck out before a line is written, whoever wrote it.
"""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="-")

_SECRETS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # What gunicorn repeats of a request that is none: whatever it was meant to be, it may be a secret.
        (r"(Invalid request from ip=\S*:[A-Za-z ]*|No more data after:).*", r"\1 …"),
        # Headers by their names, with a colon or without.
        (r"(authori[sz]ation|x[-_. ]?(?:csrf|docker)[-_. ]?token|www[-_. ]?authenticate)\b.+", r"\1 …"),
        (r"(cookie)\W.{0,80}=.*", r"\1 …"),
        (r"((?:wharfinger-(?:session|visitor|flash)|grant|push)\s*=\s*)[^\s;,\"']+", r"\1…"),
        # Credentials by their form.
        (r"(signature=)[^,\s\"']+", r"\1…"),
        (r"\b(Basic\s+)[A-Za-z0-9+/=_-]+", r"\1…"),
        (r"(Bearer\W{1,3})\S+", r"\1…"),
        (r"(whp_)[A-Za-z0-9_-]+", r"\1…"),
        # In URLs, bodies and reprs.
        (r"([?&](?:X-Amz-[A-Za-z-]+)=)[^&\s\"']+", r"\1…"),
        (r"([?&;][\w.-]{0,30}(?:token|csrf|secret|sig|signature|temp_url_sig|key)=)[^&;\s\"']+", r"\1…"),
        (r"([\"']?password[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^,\s}]+)", r"\1…"),
        (r"(://[^/:@\s]+:)[^/@\s]+@", r"\1…@"),
        (r"(\b(?:reset|confirm)(?:/|%2f)+)[^\s\"'?&#]+", r"\1…"),
    )
)


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


_SIGNS = (
    "invalid request", "no more data", "authori", "token", "authenticate", "cookie", "wharfinger-", "grant", "push",
    "sig", "basic", "bearer", "whp_", "x-amz-", "csrf", "secret", "key=", "password", "://", "reset", "confirm",
)  # fmt: skip
"""In lower case, what each secret has that is struck out: to look for these takes a twentieth of the time."""


def redact(text: str) -> str:
    """Strike out whatever a bearer could use."""
    lower = text.lower()
    # Other alphabets have letters that the patterns take for some of these.
    if text.isascii() and not any(sign in lower for sign in _SIGNS):
        return text
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
    # urllib3 writes a line for every connection it opens, swiftclient three for every request it sends.
    for chatty in ("urllib3", "swiftclient"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
