"""Metrics of the registry, beside those that both services have (`common/metrics.py`)."""

from __future__ import annotations

from common.metrics import Counter, Histogram

LAYERS_RECEIVED = Counter("wharfinger_layers_received_total", "Layers that were received whole.")
BYTES_RECEIVED = Counter("wharfinger_bytes_received_total", "Bytes of layers that were received whole.")
PUSHES = Counter(
    "wharfinger_pushes_total",
    "Images whose push ended: published, existed (another upload of the same was first), conflict (one of other "
    "content was), refused (a wrong checksum, say).",
    ("outcome",),
    known=(("published",), ("existed",), ("conflict",), ("refused",)),
)
INDEX_QUESTIONS = Counter(
    "wharfinger_index_questions_total",
    "Questions to the index: answered, unreachable, busy (not asked, since too many wait), failed.",
    ("outcome",),
    known=(("answered",), ("unreachable",), ("busy",), ("failed",)),
)
INDEX_SECONDS = Histogram("wharfinger_index_question_seconds", "Seconds of a question to the index, with its wait.")
GRANT_CACHE = Counter(
    "wharfinger_grant_cache_total",
    "Tokens whose grant was found: memory, cookie, stated (by the token itself), or miss, for which the index is "
    "asked.",
    ("hit",),
    known=(("memory",), ("cookie",), ("stated",), ("miss",)),
)
STORAGE_SECONDS = Histogram(
    "wharfinger_storage_seconds",
    "Seconds of an operation of the store; of open_reader until the first byte may be read.",
    ("driver", "operation"),
)
STORAGE_FAILURES = Counter(
    "wharfinger_storage_failures_total",
    "Operations of the store that failed; what is not there is no failure.",
    ("driver", "operation"),
)
TRANSLATIONS = Counter(
    "wharfinger_translations_total",
    "Layers examined for clients of /v2/: done, or refused as ones that cannot be had by it.",
    ("outcome",),
    known=(("done",), ("refused",)),
)
TRANSLATION_SECONDS = Histogram("wharfinger_translation_seconds", "Seconds in which a layer was examined.")
