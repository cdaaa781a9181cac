"""Metrics of the index, beside those that both services have (`common/metrics.py`)."""

from __future__ import annotations

from common.metrics import Counter, Gauge, Histogram

REFUSED = Counter(
    "wharfinger_refused_total",
    "Requests refused before a thread took them, by the status: 503 too many at once or half-sent, 408 too slow, "
    "431 too large, 400 TLS on a port of plain HTTP.",
    ("status",),
    known=(("503",), ("408",), ("431",), ("400",)),
)
TOKENS_ISSUED = Counter(
    "wharfinger_tokens_issued_total",
    "Tokens issued to clients, by access.",
    ("access",),
    known=(("read",), ("write",), ("delete",)),
)
LOGINS = Counter(
    "wharfinger_logins_total",
    "Passwords and access tokens that were verified: right, wrong, limited (not verified, after too many).",
    ("outcome",),
    known=(("right",), ("wrong",), ("limited",)),
)
REGISTRY_QUESTIONS = Counter(
    "wharfinger_registry_questions_total",
    "Questions to registries: answered, refused (no such thing, or the index's token is not believed), failed.",
    ("outcome",),
    known=(("answered",), ("refused",), ("failed",)),
)
REGISTRY_SECONDS = Histogram("wharfinger_registry_question_seconds", "Seconds of a question to a registry.")
JOBS = Gauge(
    "wharfinger_jobs",
    "Jobs for registries, by kind and state: due, running, later.",
    ("kind", "state"),
    is_shared=True,
)
JOBS_OLDEST = Gauge("wharfinger_jobs_oldest_seconds", "Age of the oldest job.", is_shared=True)
JOBS_DONE = Counter(
    "wharfinger_jobs_done_total",
    "Jobs that ended: completed, failed (to be tried again), given_up.",
    ("kind", "outcome"),
    known=(
        *(("read", outcome) for outcome in ("completed", "failed", "given_up")),
        *((kind, outcome) for kind in ("move", "translate") for outcome in ("completed", "failed")),
    ),
)
LETTERS = Gauge("wharfinger_letters", "Letters that wait to be sent.", is_shared=True)
LETTERS_OLDEST = Gauge("wharfinger_letters_oldest_seconds", "Age of the oldest letter that waits.", is_shared=True)
LETTERS_SENT = Counter(
    "wharfinger_letters_sent_total",
    "Letters: sent, postponed, given_up.",
    ("outcome",),
    known=(("sent",), ("postponed",), ("given_up",)),
)
