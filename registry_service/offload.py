"""The executor of the registry: blocking work on the thread pool of gevent's hub, while other greenlets go on.

A reader may not follow its work there. The socket it reads belongs to the hub that opened it; on any other thread it
works as long as the next bytes have come already, and fails with "Cannot switch to a different thread" as soon as they
have not. So a reader among the arguments stays here: it is read by the greenlet that asked for the work, some blocks
ahead of the thread that uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original

from registry_service.storage.driver import Reader

AHEAD = 4
"""Blocks read before they are asked for, which is a MiB."""

MAX_RELAYS = 4
"""Readers relayed at once, each of which occupies one of the pool's ten threads, however slow its store is."""

_relays = BoundedSemaphore(MAX_RELAYS)

# Blocks its thread, not its greenlet: on a thread of the pool there is nothing else to do.
_SimpleQueue = get_original("queue", "SimpleQueue")


class Abandoned(Exception):
    """Whoever asked for the work does not wait for it any more."""


def offload(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run blocking work on the hub's threads: other greenlets go on while a block is hashed or written."""
    if any(isinstance(argument, Reader) for argument in arguments):
        result, failure = _offload_reading(function, arguments)
    else:
        result, failure = gevent.get_hub().threadpool.apply(_outcome, (function, arguments))
    if failure is not None:
        raise failure
    return result


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    """The exception as a value: gevent's pool writes the traceback of each one raised in it to standard error."""
    try:
        return function(*arguments), None
    except Exception as error:  # noqa: BLE001 - raised again where the work was asked for
        return None, error


def _offload_reading(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    """Of the arguments one is a reader."""
    with _relays:
        (reader,) = (argument for argument in arguments if isinstance(argument, Reader))
        relay = _Relay()
        try:
            given = tuple(relay if argument is reader else argument for argument in arguments)
            work = gevent.get_hub().threadpool.spawn(relay.run, function, given)
            relay.feed(reader)
            outcome: tuple[Any, Exception | None] = work.get()
        except BaseException:
            relay.abandon()
            raise
        relay.close()
    return outcome


class _Relay:
    """The blocks of one reader: fed by a greenlet of the hub that opened it, iterated on a thread of the pool."""

    def __init__(self) -> None:
        self._blocks = _SimpleQueue()
        self._is_done = False
        self._changed = Event()
        # The one thing of a hub that another thread may touch.
        self._signal = gevent.get_hub().loop.async_()
        self._signal.start(self._changed.set)

    def feed(self, reader: Reader) -> None:
        """Read until the work is done. What reading raises is raised where the work asks for the block."""
        try:
            for block in reader:
                self._blocks.put(block)
                if not self._is_wanted():
                    return
        except Exception as error:  # noqa: BLE001 - raised in the work
            self._blocks.put(error)
        else:
            self._blocks.put(None)

    def close(self) -> None:
        """The work has ended."""
        self._signal.stop()
        self._signal.close()

    def abandon(self) -> None:
        """The work is to end at the next block it asks for, and may still signal until then."""
        self._signal.stop()
        self._blocks.put(Abandoned())

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
        try:
            return _outcome(function, arguments)
        finally:
            self._is_done = True
            self._signal.send()

    def __iter__(self) -> Iterator[bytes]:
        while (item := self._blocks.get()) is not None:
            if isinstance(item, Exception):
                raise item
            self._signal.send()
            yield item

    def _is_wanted(self) -> bool:
        """Wait for room; whether the work goes on."""
        while not self._is_done:
            self._changed.clear()
            if self._is_done or self._blocks.qsize() < AHEAD:
                break
            self._changed.wait()
        return not self._is_done
