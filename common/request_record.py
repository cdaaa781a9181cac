"""What is noted of a request while it is answered, for metrics and the access log.

It lies in the WSGI environ, where the server finds it after the response, and in a context variable for what knows no
environ.
"""

from __future__ import annotations

from contextvars import ContextVar
from wsgiref.types import WSGIEnvironment

KEY = "wharfinger.record"


class Record:
    """One request. `route` is the template of its path, empty until one has matched; `file_bytes` were sent by the
    kernel, of which the server does not know."""

    __slots__ = ("file_bytes", "route")

    def __init__(self) -> None:
        self.route = ""
        self.file_bytes = 0


current: ContextVar[Record | None] = ContextVar("record", default=None)


def begin(environ: WSGIEnvironment) -> Record:
    """A new record, of the request that this context answers."""
    record = environ[KEY] = Record()
    current.set(record)
    return record


def of(environ: WSGIEnvironment) -> Record:
    """The record of a request that was begun."""
    record: Record = environ[KEY]
    return record
