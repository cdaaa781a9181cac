"""What a simulated daemon does, as generators that know no sockets, and the plain engine that runs them.

There are two engines for the same daemon. `perform`, here, sends each request on a connection of its own and holds
the whole answer: what a test wants to look at. The loop of the benchmarks walks hundreds of daemons at once on epoll
and counts layers in the kernel: it shares its two processors with the server it measures, where a thread and a copy
of every layer for each daemon would be most of what is measured.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.clients.wire import Header, Target, WireError, ask

Result = TypeVar("Result")

Steps = Generator[Any, Any, Result]
"""Yields a `Request` and is sent its `Answer`, or has a `WireError` or `OSError` raised; yields a `Together` and is
sent the results."""


@dataclass(slots=True)
class Request:
    """One request with all its headers, in order; `chunks` are a body in chunked transfer coding."""

    target: Target
    line: str
    headers: Sequence[Header]
    body: bytes | None = None
    chunks: Iterable[bytes] | None = None


@dataclass(slots=True)
class Together:
    """Run these, at most `limit` at a time; the results come in this order."""

    steps: Sequence[Steps[Any]]
    limit: int


def perform(steps: Steps[Result]) -> Result:
    """Run the generator to its end, and return what it returns."""
    got: Any = None
    failure: Exception | None = None
    while True:
        try:
            step = steps.send(got) if failure is None else steps.throw(failure)
        except StopIteration as end:
            return end.value
        got = failure = None
        if isinstance(step, Together):
            with ThreadPoolExecutor(step.limit) as pool:
                got = list(pool.map(perform, step.steps))
        else:
            try:
                got = ask(step.target, step.line, step.headers, step.body, step.chunks)
            except (OSError, WireError) as error:
                failure = error
