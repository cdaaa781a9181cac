"""What is noted of a request while it is answered, for metrics and the access log, and what is passed on of it.

It lies in the WSGI environ, where the server finds it after the response, and in a context variable for what knows no
environ.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from wsgiref.types import WSGIEnvironment

from common import headers

KEY = "wharfinger.record"

_TRACE = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class Record:
    """One request. `route` is the template of its path, empty until one has matched; `file_bytes` were sent by the
    kernel, of which the server does not know; `token` identifies a protocol token, and opens nothing."""

    # Of the class, so that a request pays for what is noted of it.
    route = ""
    repository = ""
    account = ""
    access_token: int | None = None
    token: bytes | None = None
    file_bytes = 0
    upstream: dict[str, float] | None = None
    trace_id = ""
    span_id = ""
    trace_flags = ""

    def __init__(self, id_: str = "", trace: str | None = None) -> None:
        """`trace` is the header `traceparent` as it came."""
        self.id = id_
        found = _TRACE.fullmatch(trace) if trace else None
        if found is not None:
            self.trace_id, _, self.trace_flags = found.groups()
            self.span_id = secrets.token_hex(8)


current: ContextVar[Record | None] = ContextVar("record", default=None)


def begin(environ: WSGIEnvironment, id_: str) -> Record:
    """A new record, of the request that this context answers."""
    record = environ[KEY] = Record(id_, environ.get("HTTP_TRACEPARENT"))
    current.set(record)
    return record


def of(environ: WSGIEnvironment) -> Record:
    """The record of a request that was begun."""
    record: Record = environ[KEY]
    return record


def note_account(name: str, access_token: int | None) -> None:
    """Whose request it is; `access_token` is the id of the one that proved it."""
    record = current.get()
    if record is not None:
        record.account, record.access_token = name, access_token


def note_token(key: bytes, repository: str = "") -> None:
    """The protocol token that is presented, or issued, by a digest of it, and what it opens."""
    record = current.get()
    if record is not None:
        record.token, record.repository = key, repository or record.repository


def token_id(key: bytes) -> str:
    """What logs of both services call a token: by no log can its digest be told, which registries use as a key."""
    return hashlib.sha256(b"wharfinger-log:" + key).hexdigest()[:12]


def add_wait(upstream: str, seconds: float) -> None:
    """This request has waited for another server."""
    record = current.get()
    if record is not None:
        record.upstream = record.upstream or {}
        record.upstream[upstream] = record.upstream.get(upstream, 0.0) + seconds


@contextmanager
def waiting_for(upstream: str) -> Iterator[None]:
    """Note how long the block takes as a wait."""
    began = time.perf_counter()
    try:
        yield
    finally:
        add_wait(upstream, time.perf_counter() - began)


def passed_on() -> dict[str, str]:
    """The headers by which the logs of the other service name this request as ours do."""
    record = current.get()
    if record is None or not record.id:
        return {}
    passed = {headers.REQUEST_ID: record.id}
    if record.trace_id:
        passed["traceparent"] = f"00-{record.trace_id}-{record.span_id}-{record.trace_flags}"
    return passed
